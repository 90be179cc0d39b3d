"""Tell the terms of a consent in plain words."""

from __future__ import annotations

import datetime

from cameo.seal.terms import Audience, ConsentTerms, Purpose, WordRule

_RECORDING = {
    True: "the recording itself is kept in the double, encrypted, to tune it again later, and no grant opens it; all",
    False: "the recording itself is not kept; the rest",
}
_WHO: dict[Audience, str] = {
    "owner": "only the owner",
    "approved": "people the owner approves",
    "group": "a group the owner keeps",
    "everyone": "everyone",
}


def describe(terms: ConsentTerms) -> list[str]:
    """Say in plain words what the terms allow, a line each; the lines a person is shown before agreeing."""
    lines = [_describe_purpose(purpose) for purpose in terms.purposes]
    lines.append(f"never: {', '.join(terms.prohibited)}")
    edition = f"edition {terms.guard.sha256[:12]}" if terms.guard.sha256 else "in no fixed edition"
    lines.append(f"what a generator is told is checked by the word list {terms.guard.list}, {edition}")
    lines += [f"and by the owner's own words: {_describe_words(rule)}" for rule in terms.words]
    lines.append(f"{_RECORDING[terms.retention.captures]} until its owner erases it")
    if terms.jurisdiction:
        lines.append(f"under the law of: {terms.jurisdiction}")
    return lines


def sum_up(terms: ConsentTerms, withdrawn: bool = False, lent: int | None = None) -> str:
    """Say in one line what the terms come to.

    Args:
        terms: resolved.
        withdrawn: whether the consent was taken back.
        lent: to how many friends it is lent, if that is known.
    """
    ends = {purpose.valid_until for purpose in terms.purposes}
    names = [purpose.id if len(ends) == 1 else f"{purpose.id}{_until(purpose)}" for purpose in terms.purposes]
    if withdrawn:
        return "withdrawn: may not be used any more"
    said = [f"may be used in: {', '.join(names)}", f"never: {', '.join(terms.prohibited)}"]
    if len(ends) == 1:
        said.append(_until(terms.purposes[0]).strip())
    if lent is not None:
        said.append(f"lent to: {lent or 'nobody'}{' friend' if lent == 1 else ' friends' if lent else ''}")
    return "; ".join(said)


def describe_purpose(terms: ConsentTerms, purpose_id: str) -> str:
    """Say in one line what the terms allow for a purpose, and what they never allow."""
    [purpose] = [purpose for purpose in terms.purposes if purpose.id == purpose_id]
    return f"{_describe_purpose(purpose)}; never: {', '.join(terms.prohibited)}"


def day_in_words(day: datetime.date) -> str:
    """Write a date as people say it."""
    return f"{day.day} {day:%B %Y}"


def _describe_purpose(purpose: Purpose) -> str:
    about = f"{purpose.id} ({purpose.description})" if purpose.description else purpose.id
    begins = f"from {day_in_words(purpose.valid_from)}" if purpose.valid_from else "from now on"
    words = [
        f"{' and '.join(purpose.modalities)} for {about}",
        f"by {_WHO[purpose.audience]}",
        *_doings(purpose),
        f"with {', '.join(purpose.generators)}" if purpose.generators else "with the generators it is tuned for",
        f"{begins}{_until(purpose)}",
        "commercial use allowed" if purpose.commercial else "not commercially",
        "may be passed on once" if purpose.delegable else "not to be passed on",
    ]
    return ", ".join(words)


def _doings(purpose: Purpose) -> list[str]:
    said = []
    if "generate" in purpose.actions:
        said.append(f"to generate {' or '.join(purpose.outputs)}")
    if "export" in purpose.actions:
        said.append("to export what was tuned as a plain file, which cannot be called back")
    return said


def _describe_words(rule: WordRule) -> str:
    count = "1 word" if len(rule.words) == 1 else f"{len(rule.words)} words"
    return f"{rule.id} ({count}, only for {rule.purpose})" if rule.purpose else f"{rule.id} ({count})"


def _until(purpose: Purpose) -> str:
    return f" until {day_in_words(purpose.valid_until)}" if purpose.valid_until else " for one year"
