"""Say what a grant allows, compare two such sayings, and hold a use against one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from cameo.crypto.encoding import SHA256_HEX
from cameo.errors import NotPermitted
from cameo.records import Use

Word = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?\Z")]
Words = Annotated[tuple[Word, ...], msgspec.Meta(min_length=1, max_length=64)]

_SETS = ("actions", "purposes", "outputs", "modalities", "generators")
_LIMITS = ("max_uses", "max_seconds", "max_pixels")
_LONGEST_S, _LARGEST = 86_400, 2**31
_HINT = "ask whoever granted it for one that covers this"


class Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold what a grant or a delegation allows; what is not listed is not allowed.

    Attributes:
        actions, purposes, outputs, modalities, generators: what may be named in a use.
        max_uses: how many uses altogether, delegations included; None for no limit.
        max_seconds: of one output; None for no limit.
        max_pixels: of one frame, width times height; None for no limit.
        commercial: whether a commercial end is allowed.
    """

    actions: Annotated[tuple[Literal["export", "generate"], ...], msgspec.Meta(min_length=1, max_length=2)]
    purposes: Words
    outputs: Annotated[tuple[Literal["audio", "image", "video"], ...], msgspec.Meta(min_length=1, max_length=3)]
    modalities: Annotated[tuple[Literal["face", "voice"], ...], msgspec.Meta(min_length=1, max_length=2)]
    generators: Words
    max_uses: Annotated[int, msgspec.Meta(ge=1, le=2**31)] | None = None
    max_seconds: Annotated[float, msgspec.Meta(gt=0, le=86_400)] | None = None
    max_pixels: Annotated[int, msgspec.Meta(ge=1, le=2**31)] | None = None
    commercial: bool = False


def require_narrower(child: Scope, parent: Scope) -> None:
    """Check that `child` allows nothing that `parent` does not.

    Raises:
        NotPermitted: "widened", and in which respect.
    """
    for name in _SETS:
        more = set(getattr(child, name)) - set(getattr(parent, name))
        if more:
            raise _widened(f"{name}: {', '.join(sorted(more))}")
    for name in _LIMITS:
        limit, given = getattr(parent, name), getattr(child, name)
        if limit is not None and (given is None or given > limit):
            raise _widened(f"{name}: {'no limit' if given is None else given}, the grant has {limit}")
    if child.commercial and not parent.commercial:
        raise _widened("commercial use")


def require_possible(use: Use) -> None:
    """Check that a use has a length and a size, and that the line it names can be one.

    Raises:
        NotPermitted: "too_long" or "too_large": it is negative, or no number; "out_of_scope": what stands for the line
            is no digest.
    """
    if not 0 <= use.seconds <= _LONGEST_S:
        raise NotPermitted(f"a clip cannot last {use.seconds:g} s", "ask for a length that is one", "too_long")
    if not 0 <= use.pixels <= _LARGEST:
        raise NotPermitted(f"a frame cannot have {use.pixels} pixels", "ask for a size that is one", "too_large")
    if use.line_sha256 and not re.match(SHA256_HEX, use.line_sha256):
        raise NotPermitted("the line is not named by a SHA-256 digest", "give 64 hex characters", "out_of_scope")


def require_covered(scope: Scope, use: Use) -> None:
    """Check that `scope` allows `use`.

    Raises:
        NotPermitted: "wrong_purpose", "out_of_scope", "too_long" or "too_large".
    """
    require_possible(use)
    if use.purpose not in scope.purposes:
        message = f"the grant is for {_listed(scope.purposes)}, not for {use.purpose!r}"
        raise NotPermitted(message, _HINT, "wrong_purpose")
    _require(scope.actions, (use.action,), "action")
    _require(scope.generators, (use.generator,), "generator")
    _require(scope.outputs, use.outputs, "output")
    _require(scope.modalities, use.modalities, "modality")
    if use.commercial and not scope.commercial:
        raise NotPermitted("the grant does not allow commercial use", _HINT, "out_of_scope")
    if use.action == "export" and (scope.max_seconds, scope.max_pixels) != (None, None):
        message = "the grant limits length or size, and a plain file would keep to neither"
        raise NotPermitted(message, _HINT, "out_of_scope")
    if scope.max_seconds is not None and not use.seconds <= scope.max_seconds:  # so that nan is none of them
        message = f"the grant allows clips of up to {scope.max_seconds:g} s, not {use.seconds:g} s"
        raise NotPermitted(message, "ask for a shorter clip", "too_long")
    if scope.max_pixels is not None and use.pixels > scope.max_pixels:
        message = f"the grant allows frames of up to {scope.max_pixels} pixels, not {use.pixels}"
        raise NotPermitted(message, "ask for smaller frames", "too_large")


def describe_scope(scope: Scope) -> list[str]:
    """Say in plain words what a scope allows, a line each."""
    lines = [f"for: {_listed(scope.purposes)}"]
    modalities, generators = _listed(scope.modalities), _listed(scope.generators)
    if "generate" in scope.actions:
        lines.append(f"what: {modalities} as {_listed(scope.outputs)}, with {generators}")
    if "export" in scope.actions:
        lines.append(f"export: {modalities} for {generators}, as a plain file that cannot be called back")
    lines.append("commercially, too" if scope.commercial else "not commercially")
    limits = []
    if scope.max_uses is not None:
        limits.append(f"{scope.max_uses} use{'s' if scope.max_uses > 1 else ''}")
    if scope.max_seconds is not None:
        limits.append(f"{scope.max_seconds:g} s a clip")
    if scope.max_pixels is not None:
        limits.append(f"{scope.max_pixels} pixels a frame")
    lines.append(f"at most: {', '.join(limits)}" if limits else "no limit on number, length or size")
    return lines


def _require(allowed: Sequence[str], wanted: Sequence[str], what: str) -> None:
    more = set(wanted) - set(allowed)
    if more or not wanted:
        message = f"the grant does not allow the {what} {_listed(sorted(more)) or 'that is not named'}"
        raise NotPermitted(message, _HINT, "out_of_scope")


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)


def _widened(what: str) -> NotPermitted:
    return NotPermitted(f"a delegation can only narrow a grant; this one widens {what}", _HINT, "widened")
