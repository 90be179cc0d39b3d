"""Say what speaks for and against a living person in front of the camera, piece by piece, and sum it up."""

from __future__ import annotations

from dataclasses import dataclass

# What a passed challenge adds to what the encoders promise; see docs/explanation/liveness.md.
LIVE = "live"


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
        outcome = "challenge passed" if self.live else "challenge failed"
        pieces = ", ".join(f"{piece.name} {_WORDS[piece.passed]}" for piece in self.evidence)
        return f"{outcome}; nonce {self.nonce}; challenge sha256 {self.digest}; {pieces}"


_WORDS = {True: "ok", False: "against", None: "not told"}
