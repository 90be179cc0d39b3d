"""Compare two sayings of what an owner allows: does the new one allow anything that the old one did not?"""

from __future__ import annotations

import datetime

from cameo.errors import UsageError
from cameo.seal.terms import AUDIENCES, ConsentTerms, Purpose

_SETS = ("actions", "outputs", "modalities", "generators")
_FLAGS = ("commercial", "delegable")


def require_narrowed(new: ConsentTerms, old: ConsentTerms) -> None:
    """Check that `new` allows nothing that `old` does not, both resolved.

    Raises:
        UsageError: it does, and in which respect.
    """
    known = {purpose.id: purpose for purpose in old.purposes}
    for purpose in new.purposes:
        if purpose.id not in known:
            raise _wider(f"the purpose {purpose.id}")
        _require_purpose_narrowed(purpose, known[purpose.id])
    dropped = set(old.prohibited) - set(new.prohibited)
    if dropped:
        raise _wider(f"{', '.join(sorted(dropped))}, which is prohibited")
    if new.retention.captures and not old.retention.captures:
        raise _wider("keeping the recording")
    if old.guard.sha256 not in ("", new.guard.sha256):
        raise _wider("another word list")
    if (new.name, new.jurisdiction) != (old.name, old.jurisdiction):
        raise _wider("another name or jurisdiction")
    _require_words_kept(new, old)


def _require_purpose_narrowed(new: Purpose, old: Purpose) -> None:
    if new.description != old.description:
        raise _wider(f"another description of {new.id}")
    for name in _SETS:
        more = set(getattr(new, name)) - set(getattr(old, name))
        if more:
            raise _wider(f"{', '.join(sorted(more))} for {new.id}")
    for name in _FLAGS:
        if getattr(new, name) and not getattr(old, name):
            raise _wider(f"{name} for {new.id}")
    if AUDIENCES.index(new.audience) > AUDIENCES.index(old.audience):
        raise _wider(f"{new.audience} for {new.id}")
    first, last = datetime.date.min, datetime.date.max
    if (new.valid_from or first) < (old.valid_from or first) or (new.valid_until or last) > (old.valid_until or last):
        raise _wider(f"more days for {new.id}")


def _require_words_kept(new: ConsentTerms, old: ConsentTerms) -> None:
    """Demand every forbidden word of old, for as many purposes as before."""
    kept = {rule.id: rule for rule in new.words}
    purposes = {purpose.id for purpose in new.purposes}
    for rule in old.words:
        now = kept.get(rule.id)
        if rule.purpose and rule.purpose not in purposes:
            continue  # it goes with its purpose
        if now is None or not set(rule.words) <= set(now.words) or now.purpose not in ("", rule.purpose):
            raise _wider(f"words that {rule.id} forbids")


def _wider(what: str) -> UsageError:
    hint = "narrow them, or renew the consent instead"
    return UsageError(f"the new terms are not narrower: they allow {what}", hint)
