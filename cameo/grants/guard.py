"""Judge a prompt by the rules its owner signed: the shipped word list, their own words, a classifier if there is one.

What words cannot see is in docs/explanation/what-word-rules-cannot-catch.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from cameo.errors import NotPermitted
from cameo.grants.folding import Folded, fold
from cameo.grants.words.phrases import Phrases
from cameo.grants.words.shipped import LIST_ID, WordList, list_digest, shipped_list, signed_list

__all__ = [
    "LIST_ID",
    "PROMPT_LIMIT",
    "Decision",
    "OwnerRule",
    "PromptClassifier",
    "PromptRefused",
    "judge_prompt",
    "list_digest",
    "require_prompt",
]

PROMPT_LIMIT = 4000  # characters

# Control characters other than tab and line ends, and halves of characters (surrogates) on their own.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")


class OwnerRule(Protocol):
    """Hold words that the owner forbids, for every purpose or, if `purpose` is not empty, for that one."""

    @property
    def id(self) -> str: ...  # noqa: D102

    @property
    def words(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def purpose(self) -> str | None: ...  # noqa: D102


class PromptClassifier(Protocol):
    """Judge prompts by more than words. It can refuse what the words let pass, never allow what they refuse."""

    @property
    def name(self) -> str:
        """Name it in receipts: up to 64 of `a-z 0-9 . _ -`."""
        ...

    def judge(self, prompt: str, prohibited: Sequence[str]) -> str | None:
        """Return the prohibited use that the prompt shows, None if it shows none."""
        ...


@dataclass(frozen=True, slots=True)
class Decision:
    """Say whether a prompt may be cast.

    Attributes:
        allowed: whether it may.
        rule: the rule that refused it, for the receipt: "intimate/nudity", "owner/exes", "classifier/NAME:intimate",
            "prompt/too-long"; "" if none did.
        matched: the phrase of the rule that was found, as the list spells it. Not for receipts or messages.
    """

    allowed: bool
    rule: str = ""
    matched: str = ""


class PromptRefused(NotPermitted):
    """The owner's rules refuse the prompt; `decision` says which one."""

    code = "prompt_refused"

    def __init__(self, message: str, hint: str, decision: Decision) -> None:
        super().__init__(message, hint, "prompt_refused")
        self.decision = decision


def judge_prompt(
    prompt: str,
    prohibited: Sequence[str],
    extra: Sequence[OwnerRule],
    purpose: str,
    classifier: PromptClassifier | None = None,
    words: WordList | None = None,
) -> Decision:
    """Judge the prompt by a word list, then the owner's own words, then the classifier.

    Args:
        prompt: what the generator would be told.
        prohibited: the uses that the consent record forbids; one that the list does not know refuses everything.
        extra: the owner's own rules.
        purpose: the declared purpose of this use.
        classifier: asked only about what the words let pass; if it fails, the prompt is refused.
        words: the list; the newest that ships by default.
    """
    if len(prompt) > PROMPT_LIMIT:
        return Decision(False, "prompt/too-long")
    if _CONTROL.search(prompt):
        return Decision(False, "prompt/control")
    folded = fold(prompt)
    return (
        _by_list(folded, prohibited, words or shipped_list())
        or _by_owner(folded, extra, purpose)
        or _by_classifier(prompt, prohibited, classifier)
        or Decision(True)
    )


def require_prompt(
    prompt: str,
    prohibited: Sequence[str],
    extra: Sequence[OwnerRule],
    purpose: str,
    list_sha256: str,
    classifier: PromptClassifier | None = None,
) -> Decision:
    """Judge the prompt by the very list that the owner signed, and return the decision if it may be cast.

    Args:
        prompt: what the generator would be told.
        prohibited: the uses that the consent record forbids.
        extra: the owner's own rules.
        purpose: the declared purpose of this use.
        list_sha256: the digest of the word list in the consent record.
        classifier: asked only about what the words let pass.

    Raises:
        PromptRefused: a rule refuses it, or this version does not ship the list that the owner signed.
    """
    words = signed_list(list_sha256)
    if words is None:
        raise PromptRefused(
            "the owner signed a word list that this version of cameo does not have",
            "update cameo: newer versions have the older lists, too",
            Decision(False, "prompt/other-list"),
        )
    decision = judge_prompt(prompt, prohibited, extra, purpose, classifier, words)
    if not decision.allowed:
        raise PromptRefused(f"the prompt is refused by the rule {decision.rule}", _hint(decision.rule), decision)
    return decision


def _hint(rule: str) -> str:
    kind, _, name = rule.partition("/")
    if rule == "prompt/too-long":
        return f"say it in {PROMPT_LIMIT} characters"
    if rule == "prompt/control":
        return "write the prompt without control characters"
    if kind == "owner":
        return "the owner does not want this: describe another scene"
    if kind == "classifier" and name.endswith(":failed"):
        return "the host's classifier failed, so nothing is allowed: have it repaired"
    return "the consent record forbids such scenes: describe another, or say it in other words if it is harmless"


def _by_list(folded: Folded, prohibited: Sequence[str], words: WordList) -> Decision | None:
    for use in prohibited:
        if use not in words.uses:
            return Decision(False, f"{use}/unknown")
    found = words.phrases.find(folded)
    if not found:
        return None
    uses = {rule.use for rule in words.rules if rule.id in found and not rule.beside}
    for rule in words.rules:
        if rule.id in found and rule.use in prohibited and (not rule.beside or rule.beside in uses):
            return Decision(False, rule.id, found[rule.id])
    return None


def _by_owner(folded: Folded, extra: Sequence[OwnerRule], purpose: str) -> Decision | None:
    rules = tuple((f"owner/{r.id}", tuple(r.words)) for r in extra if not r.purpose or r.purpose == purpose)
    if not rules:
        return None
    phrases = _compiled(rules)
    for rule in phrases.unreadable:  # an owner who forbids what we cannot read has not allowed the rest
        return Decision(False, rule)
    for rule, phrase in phrases.find(folded).items():
        return Decision(False, rule, phrase)
    return None


@lru_cache(maxsize=64)
def _compiled(rules: tuple[tuple[str, tuple[str, ...]], ...]) -> Phrases:
    return Phrases((rule, phrase) for rule, words in rules for phrase in words)


def _by_classifier(prompt: str, prohibited: Sequence[str], classifier: PromptClassifier | None) -> Decision | None:
    if classifier is None:
        return None
    name = "unnamed"
    try:
        if _NAME.match(classifier.name):
            name = classifier.name
        verdict = classifier.judge(prompt, tuple(prohibited))
        if verdict is None:
            return None
        seen = verdict if _NAME.match(verdict) else "failed"
    except Exception:  # noqa: BLE001  whatever it raises, a prompt that was not judged is not allowed
        seen = "failed"
    return Decision(False, f"classifier/{name}:{seen}")
