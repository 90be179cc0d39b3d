"""Load the word lists that ship with this version: the newest, and those that owners signed earlier.

An owner signs a list by its digest. A list that was released is therefore never edited: a better one is a new file,
and the old ones stay.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import msgspec

from cameo.crypto.encoding import sha256_hex
from cameo.errors import CameoError
from cameo.grants.words.phrases import Phrases

LISTS = ("cameo-words-1",)  # oldest first
LIST_ID = LISTS[-1]

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
def shipped_list(name: str = LIST_ID) -> WordList:
    """Load and compile a shipped list, once.

    Raises:
        CameoError: the file is missing or damaged.
    """
    try:
        raw = _raw(name)
        read = msgspec.convert(tomllib.loads(raw.decode("utf-8")), _File)
    except (ValueError, msgspec.ValidationError) as error:
        raise CameoError(f"the word list {name} cannot be read", _HINT) from error
    entries = [(rule.id, phrase) for rule in read.rules for phrase in rule.words]
    phrases = Phrases(entries, read.harmless, read.sets, guess=True)
    return WordList(tuple(read.rules), phrases, sha256_hex(raw))


def signed_list(sha256: str) -> WordList | None:
    """Find the list that an owner signed; None if this version has none of that digest."""
    return next((shipped_list(name) for name in LISTS if list_digest(name) == sha256), None)


@cache
def list_digest(name: str = LIST_ID) -> str:
    """Compute the SHA-256 of a shipped list's file, hex: what a consent record signs, of the newest by default."""
    return sha256_hex(_raw(name))


def _raw(name: str) -> bytes:
    try:
        return (files("cameo.grants.words") / f"{name}.toml").read_bytes()
    except OSError as error:
        raise CameoError(f"the word list {name} is not there", _HINT) from error
