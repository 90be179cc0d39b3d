"""What was found out about a recording: quality, whether somebody was there, who was enrolled before.

`records` has these names too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime

    from cameo.records import Float32

# What a passed challenge adds to it; see docs/explanation/liveness.md.
LIVE = "live"
_AND_LIVE = f" + {LIVE}"
# How the consent record's line on liveness begins when a challenge was passed.
_PASSED = "challenge passed"

_TOLD = {True: "ok", False: "against", None: "not told"}


@dataclass(frozen=True, slots=True)
class Check:
    """Record one check of the quality gate.

    `level` is "ok", "warn" or "fail"; `limit` is printed with its sense ("at least 60 px"); `source` names where
    the limit comes from; `advice` says what to do when it does not hold.
    """

    name: str
    title: str
    value: float
    unit: str
    limit: str
    level: str
    source: str
    advice: str


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Collect the gate's checks and a per-frame score.

    `frame_scores` is `[T]` in 0..1, 0 for a frame that must not be used; `reasons` gives, per frame, why it was
    rejected ("" when usable).
    """

    checks: tuple[Check, ...]
    frame_scores: Float32
    reasons: tuple[str, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks at level "fail"."""
        return tuple(c for c in self.checks if c.level == "fail")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Record one piece of evidence.

    Attributes:
        name: key in reports and `--json`.
        title: what was looked at, for people.
        score: how far it speaks for a living person, 0..1; 0.5 says nothing.
        weight: how much it counts in the verdict's score.
        passed: whether it holds; None where it could not be told.
        decides: whether the challenge is failed without it; passive evidence never decides.
        measured: the value behind the score, in words.
        meaning: what the result means, and what to do when it does not hold.
    """

    name: str
    title: str
    score: float
    weight: float
    passed: bool | None
    decides: bool
    measured: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Collect the evidence on one recording.

    Attributes:
        evidence: the pieces, those that decide first.
        nonce, digest: of the challenge that was answered, hex; "" when there was none.
    """

    evidence: tuple[Evidence, ...]
    nonce: str = ""
    digest: str = ""

    @property
    def challenged(self) -> bool:
        """Whether the recording was held against a challenge."""
        return bool(self.nonce)

    @property
    def live(self) -> bool:
        """Whether a challenge was passed: there is one, and every piece that decides holds."""
        deciding = [piece for piece in self.evidence if piece.decides]
        return self.challenged and bool(deciding) and all(piece.passed is True for piece in deciding)

    @property
    def assurance(self) -> str:
        """`LIVE` when a challenge was passed, else ""."""
        return LIVE if self.live else ""

    @property
    def score(self) -> float:
        """Weighted mean of the scores of what could be told, 0..1; for showing, not for deciding."""
        told = [piece for piece in self.evidence if piece.passed is not None]
        whole = sum(piece.weight for piece in told)
        return sum(piece.weight * piece.score for piece in told) / whole if whole else 0.5

    @property
    def warnings(self) -> tuple[Evidence, ...]:
        """The pieces that speak against a living person."""
        return tuple(piece for piece in self.evidence if piece.passed is False)

    def summary(self) -> str:
        """Put the verdict into one line, as the consent record keeps it."""
        if not self.challenged:
            against = ", ".join(piece.name for piece in self.warnings)
            return "not checked by a challenge" + (f"; against it: {against}" if against else "")
        outcome = _PASSED if self.live else "challenge failed"
        pieces = ", ".join(f"{piece.name} {_TOLD[piece.passed]}" for piece in self.evidence)
        return f"{outcome}; nonce {self.nonce}; challenge sha256 {self.digest}; {pieces}"


def says_live(summary: str) -> bool:
    """Say whether a line that `Verdict.summary` made, as a consent record keeps it, tells of a passed challenge."""
    return summary.partition(";")[0] == _PASSED


def assurance_of(encoders: str, live: bool) -> str:
    """Put the level of a double into words: that of its encoders, and "+ live" when a challenge was passed."""
    return f"{encoders}{_AND_LIVE}" if live else encoders


def split_assurance(assurance: str) -> tuple[str, bool]:
    """Take what `assurance_of` made apart again."""
    return assurance.removesuffix(_AND_LIVE), assurance.endswith(_AND_LIVE)


@dataclass(frozen=True, slots=True)
class Earlier:
    """Name an earlier double of the same owner that shows this person; `score` is the cosine of the faces."""

    bundle_id: str
    created: datetime.datetime
    path: str
    score: float


@dataclass(frozen=True, slots=True)
class Precedents:
    """Say whom among those enrolled before a person is like.

    Nothing in it tells who other owners are, or which of their doubles was meant.

    Attributes:
        among: where was looked: "all", "own" doubles only, "off" for nowhere, or "nobody" when an enrolled double was
            tuned again.
        checks: one for each comparison that could be made; "fail" means that another owner has this face.
        earlier: the owner's own doubles that show this face, the likest first.
        not_compared: how many doubles could not be compared: other encoders, another key, or nothing kept of them.
    """

    among: str
    checks: tuple[Check, ...] = ()
    earlier: tuple[Earlier, ...] = ()
    not_compared: int = 0

    @property
    def duplicate(self) -> bool:
        """Whether the face is another owner's, at error rates that were measured."""
        return any(check.level == "fail" for check in self.checks)

    @property
    def warnings(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if check.level != "ok")
