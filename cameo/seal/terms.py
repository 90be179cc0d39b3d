"""Say what an owner allows: read it from TOML, and hold a use or a grant against it. What is not said is no.

The fields follow ISO/IEC TS 27560:2023 (consent record information structure).
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

import msgspec

from cameo.errors import NotPermitted, UsageError

if TYPE_CHECKING:
    from cameo.records import Use

TERMS_LIMIT = 128 * 1024
VALID_DAYS = 365
WORDS_LIMIT = 16 * 1024  # characters, over all of an owner's words

Prohibition = Literal["intimate", "minors", "political", "financial-fraud", "identity-fraud", "endorsement"]
PROHIBITIONS: tuple[Prohibition, ...] = (
    "intimate",
    "minors",
    "political",
    "financial-fraud",
    "identity-fraud",
    "endorsement",
)
# No owner can allow these, not even for themselves.
ALWAYS_PROHIBITED = frozenset({"minors", "financial-fraud", "identity-fraud"})

Action = Literal["generate", "export"]

Audience = Literal["owner", "approved", "group", "everyone"]
AUDIENCES: tuple[Audience, ...] = ("owner", "approved", "group", "everyone")  # each includes those before it

_ID = r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?"
_Id = Annotated[str, msgspec.Meta(pattern=rf"\A{_ID}\Z")]
_GeneratorId = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9])?\Z")]
_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Purpose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Describe one allowed use. Every default is the narrowest that is still a use.

    `actions` holds "export" only where its owner says so: what is exported leaves the seal for good.

    `generators` empty means those the double is tuned for when it is sealed; `valid_from` and `valid_until`
    (both inclusive) default to the day of consent and a year after it.
    """

    id: _Id
    description: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    audience: Audience = "approved"
    actions: tuple[Action, ...] = ("generate",)
    outputs: tuple[Literal["video", "image", "audio"], ...] = ("video",)
    modalities: tuple[Literal["face", "voice"], ...] = ("face", "voice")
    generators: Annotated[tuple[_GeneratorId, ...], msgspec.Meta(max_length=30)] = ()
    commercial: bool = False
    delegable: bool = False
    valid_from: datetime.date | None = None
    valid_until: datetime.date | None = None


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Say what is kept: the footage itself only if asked for."""

    captures: bool = False
    until: Literal["erased-by-owner"] = "erased-by-owner"


class Guard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name the word list that prompts are judged by; `sha256` fixes its edition, "" leaves it open."""

    list: Literal["cameo-words-1"] = "cameo-words-1"
    sha256: Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{64})?\Z")] = ""


class WordRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold words the owner forbids in a prompt: for every purpose, or only for the one named."""

    id: _Id
    words: Annotated[tuple[_Word, ...], msgspec.Meta(min_length=1, max_length=256)]
    purpose: Annotated[str, msgspec.Meta(pattern=rf"\A(?:{_ID})?\Z")] = ""


class ConsentTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold what an owner allows; the shape of `consent.toml`."""

    purposes: Annotated[tuple[Purpose, ...], msgspec.Meta(min_length=1, max_length=64)]
    name: Annotated[str, msgspec.Meta(max_length=128)] = ""
    prohibited: Annotated[tuple[Prohibition, ...], msgspec.Meta(max_length=len(PROHIBITIONS))] = PROHIBITIONS
    retention: Retention = Retention()
    jurisdiction: Annotated[str, msgspec.Meta(max_length=64)] = ""
    guard: Guard = Guard()
    words: Annotated[tuple[WordRule, ...], msgspec.Meta(max_length=64)] = ()


DEFAULT_TERMS = ConsentTerms(
    (Purpose("personal", "clips the owner makes of themselves", "owner", outputs=("video", "audio")),)
)


def parse_terms(text: str, what: str = "the consent file") -> ConsentTerms:
    """Read terms from TOML; unknown keys are refused, missing ones take the narrowest value.

    Raises:
        UsageError: not TOML, or not terms.
    """
    import tomllib  # here, because reading a sealed record does not need it

    hint = 'the smallest file that works is [[purposes]] with id = "birthday"'
    try:
        terms = msgspec.convert(tomllib.loads(text), ConsentTerms, builtin_types=(datetime.date,))
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{what}: {reason}", hint) from None
    check_terms(terms, what)
    return terms


def load_terms(path: str | os.PathLike[str]) -> ConsentTerms:
    """Read terms from a TOML file.

    Raises:
        UsageError: the file cannot be read, is not TOML, or is not terms.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(TERMS_LIMIT + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot read {path}: {reason}", "check the path after --consent") from None
    if len(raw) > TERMS_LIMIT:
        raise UsageError(f"{path} is larger than a consent file may be", "check the path after --consent")
    try:
        text = raw.decode("utf-8")
    except ValueError:
        raise UsageError(f"{path} is not UTF-8 text", "save the file as UTF-8") from None
    return parse_terms(text, str(path))


def today() -> datetime.date:
    """Return the day it is in UTC: the days of a consent begin and end there, wherever a machine says it is."""
    return datetime.datetime.now(datetime.UTC).date()


def resolve_terms(
    terms: ConsentTerms, generators: Iterable[str], today: datetime.date, guard_sha256: str = ""
) -> ConsentTerms:
    """Fill what was left open: the generators at hand, a year from `today`, the edition of the word list."""
    known = tuple(sorted(generators))
    purposes = tuple(
        msgspec.structs.replace(
            purpose,
            generators=purpose.generators or known,
            valid_from=purpose.valid_from or today,
            valid_until=purpose.valid_until or _year_after(purpose.valid_from or today),
        )
        for purpose in terms.purposes
    )
    guard = msgspec.structs.replace(terms.guard, sha256=terms.guard.sha256 or guard_sha256)
    return msgspec.structs.replace(terms, purposes=purposes, guard=guard)


def with_generator(terms: ConsentTerms, generator: str) -> ConsentTerms:
    """Let every purpose of resolved terms use one more generator."""
    purposes = tuple(
        msgspec.structs.replace(purpose, generators=tuple(sorted({*purpose.generators, generator})))
        for purpose in terms.purposes
    )
    return msgspec.structs.replace(terms, purposes=purposes)


def allows_generator(terms: ConsentTerms, generator: str, day: datetime.date) -> bool:
    """Say whether resolved terms allow some use with a generator, on that day or later."""
    return any(generator in p.generators and (p.valid_until or day) >= day for p in terms.purposes)


def _year_after(day: datetime.date) -> datetime.date:
    year = datetime.timedelta(days=VALID_DAYS)
    return min(day, datetime.date.max - year) + year


def leaves_open(terms: ConsentTerms) -> bool:
    """Say whether some purpose has no generators or dates yet."""
    return any(not (p.generators and p.valid_from and p.valid_until) for p in terms.purposes)


def check_terms(terms: ConsentTerms, what: str) -> None:
    """Check that terms do not contradict themselves.

    Raises:
        UsageError: they do; `what` names them in the message.
    """
    _distinct([purpose.id for purpose in terms.purposes], f"{what}: two purposes have")
    missing = ALWAYS_PROHIBITED - set(terms.prohibited)
    if missing:
        names = ", ".join(sorted(missing))
        raise UsageError(f"{what}: prohibited must contain {names}", "these uses cannot be allowed")
    for purpose in terms.purposes:
        if not (purpose.actions and purpose.outputs and purpose.modalities):
            raise UsageError(f"{what}: purpose {purpose.id} allows nothing", "leave the empty list out")
        if purpose.valid_from and purpose.valid_until and purpose.valid_until < purpose.valid_from:
            raise UsageError(f"{what}: purpose {purpose.id} ends before it begins", "check valid_from and valid_until")
    _check_words(terms, what)


def _check_words(terms: ConsentTerms, what: str) -> None:
    _distinct([rule.id for rule in terms.words], f"{what}: two lists of words have")
    purposes = {purpose.id for purpose in terms.purposes}
    for rule in terms.words:
        if rule.purpose and rule.purpose not in purposes:
            hint = f"the purposes are: {', '.join(sorted(purposes))}"
            raise UsageError(f"{what}: words {rule.id} are for a purpose that is not there: {rule.purpose}", hint)
        if not all(any(c.isalnum() for c in word) and word.isprintable() for word in rule.words):
            raise UsageError(f"{what}: words {rule.id} hold one without a letter", "write plain words and phrases")
    if sum(len(word) for rule in terms.words for word in rule.words) > WORDS_LIMIT:
        raise UsageError(f"{what}: the words are longer than {WORDS_LIMIT} characters together", "keep fewer of them")


def _distinct(ids: list[str], message: str) -> None:
    if len(set(ids)) != len(ids):
        raise UsageError(f"{message} the same id", "give each its own id")


class Granted(Protocol):
    """Say what a grant is to allow; `grants.scope.Scope` has this shape."""

    @property
    def actions(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def purposes(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def outputs(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def modalities(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def generators(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def commercial(self) -> bool: ...  # noqa: D102


def require_allowed(terms: ConsentTerms, use: Use, audience: Audience, day: datetime.date) -> Purpose:
    """Return the purpose that allows a use; what none allows is refused.

    Args:
        terms: resolved.
        use: what is asked for; its prompt, length and size are judged elsewhere.
        audience: as whom it is asked for.
        day: when.

    Raises:
        NotPermitted: "wrong_purpose", "consent_exceeded", "not_yet" or "expired".
    """
    purpose = _find(terms, use.purpose)
    _require_within(purpose, use, audience, day)
    return purpose


def any_purpose(terms: ConsentTerms, use: Use, audience: Audience, day: datetime.date) -> Purpose:
    """Return the first purpose that allows a use which does not say what it is for.

    Raises:
        NotPermitted: none does; "not_yet" or "expired" when the day alone is in the way, otherwise "consent_exceeded".
    """
    refusals = []
    for purpose in terms.purposes:
        try:
            _require_within(purpose, use, audience, day)
        except NotPermitted as error:
            refusals.append(error)
        else:
            return purpose
    code = next((error.code for error in refusals if error.code != "consent_exceeded"), "consent_exceeded")
    what = "exporting what was tuned for" if use.action == "export" else f"{' and '.join(use.outputs)} with"
    wanted = f"{what} {_shown([use.generator])} on {day}"
    raise NotPermitted(f"the consent in this double does not allow {wanted}", _SEE, code)


def require_grantable(
    terms: ConsentTerms, granted: Granted, until: datetime.date, audience: Audience, delegable: bool
) -> None:
    """Check that a grant stays within the consent: in everything it names, and to its last day.

    Raises:
        NotPermitted: "wrong_purpose" or "consent_exceeded".
        UsageError: it names no purpose.
    """
    if not granted.purposes:
        raise UsageError("the grant is for nothing", "name a purpose of the consent")
    for purpose in (_find(terms, name) for name in granted.purposes):
        _require_named(purpose, "action", granted.actions, purpose.actions)
        _require_named(purpose, "output", granted.outputs, purpose.outputs)
        _require_named(purpose, "modality", granted.modalities, purpose.modalities)
        _require_named(purpose, "generator", granted.generators, purpose.generators)
        _require_audience(purpose, audience, granted.commercial)
        if delegable and not purpose.delegable:
            raise _exceeded(f"the consent does not let {purpose.id} be passed on")
        if purpose.valid_until is None or until > purpose.valid_until:
            raise _exceeded(f"the consent to {purpose.id} ends on {purpose.valid_until}, before {until}")


_SEE = "see what it allows with cameo inspect; its owner can allow more"


def _find(terms: ConsentTerms, name: str) -> Purpose:
    for purpose in terms.purposes:
        if purpose.id == name:
            return purpose
    known = ", ".join(purpose.id for purpose in terms.purposes)
    raise NotPermitted(f"the consent knows no purpose {_shown([name])}", f"it knows: {known}", "wrong_purpose")


def _require_within(purpose: Purpose, use: Use, audience: Audience, day: datetime.date) -> None:
    _require_named(purpose, "action", (use.action,), purpose.actions)
    _require_named(purpose, "output", use.outputs, purpose.outputs)
    _require_named(purpose, "modality", use.modalities, purpose.modalities)
    _require_named(purpose, "generator", (use.generator,), purpose.generators)
    _require_audience(purpose, audience, use.commercial)
    # Last, so that "expired" means that nothing else was in the way.
    if purpose.valid_from is None or day < purpose.valid_from:
        raise NotPermitted(f"the consent to {purpose.id} begins on {purpose.valid_from}", "wait until then", "not_yet")
    if purpose.valid_until is None or day > purpose.valid_until:
        hint = "ask its owner to renew it"
        raise NotPermitted(f"the consent to {purpose.id} ended on {purpose.valid_until}", hint, "expired")


def _require_named(purpose: Purpose, what: str, asked: Sequence[str], allowed: Sequence[str]) -> None:
    more = set(asked) - set(allowed)
    if more or not asked:
        named = f"{_shown(sorted(more))}, only {', '.join(allowed)}" if more else "that is not named"
        raise _exceeded(f"the consent to {purpose.id} does not allow the {what} {named}")


def _require_audience(purpose: Purpose, audience: Audience, commercial: bool) -> None:
    if audience not in AUDIENCES or AUDIENCES.index(audience) > AUDIENCES.index(purpose.audience):
        raise _exceeded(f"the consent to {purpose.id} is for {purpose.audience}, not for {audience}")
    if commercial and not purpose.commercial:
        raise _exceeded(f"the consent to {purpose.id} does not allow commercial use")


def _shown(names: Iterable[str]) -> str:
    """Write names that a stranger chose, on one line and not at any length."""
    return ", ".join("".join(c if c.isprintable() else "?" for c in name[:64]) for name in names)[:256]


def _exceeded(message: str) -> NotPermitted:
    return NotPermitted(message, _SEE, "consent_exceeded")
