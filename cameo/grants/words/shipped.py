"""Load the word list that ships with this version, the one that owners sign by its digest."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import msgspec

from cameo.crypto.encoding import sha256_hex
from cameo.errors import CameoError
from cameo.grants.words.phrases import Phrases

LIST_ID = "cameo-words-1"

_HINT = "the installation is damaged: install cameo-double again"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold one rule of the list.

    `id` is `use/name`. With `beside`, the rule holds only in a prompt that also trips a rule of that use.
    """

    id: str
    words: list[str]
    beside: str = ""

    @property
    def use(self) -> str:
        """Name the prohibited use that the rule is about."""
        return self.id.partition("/")[0]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    sets: dict[str, list[str]]
    harmless: list[str]
    rules: list[Rule]


@dataclass(frozen=True, slots=True)
class WordList:
    """Hold the list: its rules in their order, its phrases compiled, the SHA-256 of its file."""

    rules: tuple[Rule, ...]
    phrases: Phrases
    sha256: str

    @property
    def uses(self) -> frozenset[str]:
        """Name the prohibited uses that the list knows."""
        return frozenset(rule.use for rule in self.rules)


@cache
def shipped_list() -> WordList:
    """Load and compile the shipped list, once.

    Raises:
        CameoError: the file is missing or damaged.
    """
    try:
        raw = _raw()
        read = msgspec.convert(tomllib.loads(raw.decode("utf-8")), _File)
    except (ValueError, msgspec.ValidationError) as error:
        raise CameoError(f"the word list {LIST_ID} cannot be read", _HINT) from error
    entries = [(rule.id, phrase) for rule in read.rules for phrase in rule.words]
    phrases = Phrases(entries, read.harmless, read.sets, guess=True)
    return WordList(tuple(read.rules), phrases, sha256_hex(raw))


@cache
def list_digest() -> str:
    """Compute the SHA-256 of the shipped list's file, hex: what an owner's consent record signs."""
    return sha256_hex(_raw())


def _raw() -> bytes:
    try:
        return (files("cameo.grants.words") / f"{LIST_ID}.toml").read_bytes()
    except OSError as error:
        raise CameoError(f"the word list {LIST_ID} is not there", _HINT) from error
