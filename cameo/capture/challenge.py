"""Ask for something nobody could have recorded before: random digits and head turns, one after the other.

A challenge is a small JSON file that a program shows, step by step; a recording answers it when the right digit is
heard and the right turn is seen in every slot. It is good for some minutes and for one answer. The one who issues it
keeps a copy: the file alone proves nothing, because whoever answers could have written it.
"""

from __future__ import annotations

import datetime
import math
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from cameo.crypto.encoding import decode_json, encode_json, sha256_hex
from cameo.errors import NotPermitted, NotVerified, OutputError, UsageError
from cameo.files import atomic_create

LIMIT = 16 * 1024  # bytes of a challenge file
DIGITS, TURNS = 6, 4
SLOT_S, LEAD_S = 2.0, 1.0  # 21 s in all, within the 30 s that are read of a clip
LIFETIME_S = 600
LATEST_ISSUE_S = 60  # how far two clocks may be apart
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

Step = Literal["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "left", "right", "centre"]
_Hex128 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
_Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=10.0)]
_AGAIN = "ask for a new challenge and record again"


class Challenge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold what is asked.

    Attributes:
        nonce: drawn anew for each challenge.
        issued, expires: with a time zone; an answer is taken between the two.
        lead_s: seconds before the first slot.
        slot_s: length of each slot.
        steps: what is asked in each slot: a digit to say, or where to look; left and right are the person's own.
    """

    version: Literal[1]
    kind: Literal["cameo-challenge"]
    nonce: _Hex128
    issued: datetime.datetime
    expires: datetime.datetime
    lead_s: _Seconds
    slot_s: Annotated[float, msgspec.Meta(ge=1.0, le=5.0)]
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=6, max_length=20)]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the challenge as `write_challenge` writes it."""
        return sha256_hex(write_challenge(self))

    @property
    def digits(self) -> tuple[int, ...]:
        """The digits, in the order in which they are asked for."""
        return tuple(int(step) for step in self.steps if step.isdigit())

    @property
    def turns(self) -> tuple[str, ...]:
        """The turns, in the order in which they are asked for."""
        return tuple(step for step in self.steps if not step.isdigit())

    @property
    def seconds(self) -> float:
        """Length of an answer."""
        return self.lead_s + self.slot_s * len(self.steps)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Show one step from `start_s` to `end_s` of the recording: `text` in large letters."""

    step: str
    text: str
    start_s: float
    end_s: float


def draw_challenge(now: datetime.datetime, lifetime_s: float = LIFETIME_S) -> Challenge:
    """Draw a challenge from the system's randomness: 20 bits of digits, about 11 of turns and their places.

    Args:
        now: with a time zone.
        lifetime_s: how long it may be answered, more than 0 and at most a day.

    Raises:
        UsageError: the time has no zone, or the lifetime is out of range.
    """
    if now.tzinfo is None:
        raise UsageError("the time of the challenge has no time zone", "give one, such as UTC")
    if not 0 < lifetime_s <= 86_400:
        raise UsageError(f"a challenge cannot last {lifetime_s:g} s", "choose more than 0 and at most a day")
    turns, looking = [], "centre"
    for _ in range(TURNS):
        looking = secrets.choice([side for side in ("left", "centre", "right") if side != looking])
        turns.append(looking)
    said = [str(secrets.randbelow(10)) for _ in range(DIGITS)]
    # Turns among digits: their places are as hard to foresee as their directions.
    places = set(secrets.SystemRandom().sample(range(DIGITS + TURNS), TURNS))
    steps = tuple(turns.pop(0) if place in places else said.pop(0) for place in range(DIGITS + TURNS))
    issued = now.astimezone(datetime.UTC).replace(microsecond=0)
    # Four turns seen from the middle always hold one to a side: the first is never the centre.
    return Challenge(
        version=1,
        kind="cameo-challenge",
        nonce=secrets.token_hex(16),
        issued=issued,
        expires=issued + datetime.timedelta(seconds=math.ceil(lifetime_s)),
        lead_s=LEAD_S,
        slot_s=SLOT_S,
        steps=msgspec.convert(steps, tuple[Step, ...]),
    )


def prompts(challenge: Challenge, begins_s: float = 0.0) -> tuple[Prompt, ...]:
    """Lay the steps out in time, in a recording in which the challenge begins at `begins_s`."""
    laid = []
    for index, step in enumerate(challenge.steps):
        start_s = begins_s + challenge.lead_s + index * challenge.slot_s
        text = f"say {WORDS[int(step)]} ({step})" if step.isdigit() else _TURN_TEXTS[step]
        laid.append(Prompt(step, text, start_s, start_s + challenge.slot_s))
    return tuple(laid)


_TURN_TEXTS = {
    "left": "turn your head to your left",
    "right": "turn your head to your right",
    "centre": "look straight at the camera",
}


def write_challenge(challenge: Challenge) -> bytes:
    """Write a challenge as JSON, always with the same bytes."""
    return encode_json(challenge)


def read_challenge(raw: bytes) -> Challenge:
    """Read a challenge file; whether it may still be answered is for `ChallengeBook.take`.

    Raises:
        NotVerified: malformed, too large, or it contradicts itself.
    """
    challenge = decode_json(raw, Challenge, "the challenge", LIMIT)
    if challenge.issued.tzinfo is None or challenge.expires.tzinfo is None:
        raise _bad("has a time without a time zone")
    if not challenge.issued < challenge.expires <= challenge.issued + datetime.timedelta(days=1):
        raise _bad("ends before it begins, or lasts longer than a day")
    if len(challenge.digits) < DIGITS or len(set(challenge.turns) - {"centre"}) < 1 or len(challenge.turns) < TURNS:
        raise _bad(f"asks for fewer than {DIGITS} digits and {TURNS} turns")
    return challenge


def require_current(challenge: Challenge, now: datetime.datetime) -> None:
    """Refuse a challenge outside its time.

    Raises:
        UsageError: `now` has no time zone.
        NotPermitted: it has expired, or is from the future.
    """
    if now.tzinfo is None:
        raise UsageError("the time of the answer has no time zone", "give one, such as UTC")
    if now >= challenge.expires:
        raise NotPermitted("the challenge has expired", _AGAIN, "expired")
    if now < challenge.issued - datetime.timedelta(seconds=LATEST_ISSUE_S):
        raise NotPermitted("the challenge is from the future", "set this machine's clock right", "not_yet")


@dataclass(frozen=True, slots=True)
class ChallengeBook:
    """Keep the challenges that were issued here, each for one answer, in `folder`.

    A challenge is a file under `open` until it is taken, and under `taken` afterwards; moving a file is one step, so
    of two answers at the same time only one is taken.
    """

    folder: Path

    def issue(self, now: datetime.datetime, lifetime_s: float = LIFETIME_S) -> Challenge:
        """Draw a challenge and keep it.

        Raises:
            UsageError: the time has no zone, or the lifetime is out of range.
            OutputError: it cannot be kept.
        """
        challenge = draw_challenge(now, lifetime_s)
        try:
            self._open.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._taken.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise self._cannot("keep", error) from error
        atomic_create(self._open / f"{challenge.nonce}.json", write_challenge(challenge), 0o600)
        return challenge

    def require_open(self, challenge: Challenge, now: datetime.datetime) -> None:
        """Check that a challenge was issued here, and may still be answered.

        Raises:
            UsageError: `now` has no time zone.
            NotPermitted: expired, answered before, or not issued here.
            NotVerified: it was issued here, but with other content.
            OutputError: the folder cannot be read.
        """
        require_current(challenge, now)
        try:
            raw = (self._open / f"{challenge.nonce}.json").read_bytes()
        except FileNotFoundError:
            raise self._gone(challenge) from None
        except OSError as error:
            raise self._cannot("read", error) from error
        if raw != write_challenge(challenge):
            raise NotVerified("the challenge is not the one that was issued", _AGAIN, "spliced")

    def take(self, challenge: Challenge, now: datetime.datetime) -> None:
        """Take a challenge for the one answer it is good for, whatever that answer turns out to be.

        Raises:
            UsageError, NotPermitted, NotVerified: as `require_open`.
            OutputError: the folder cannot be read or written.
        """
        self.require_open(challenge, now)
        try:
            (self._open / f"{challenge.nonce}.json").rename(self._taken / f"{challenge.nonce}.json")
        except FileNotFoundError:
            raise self._gone(challenge) from None
        except OSError as error:
            raise self._cannot("take", error) from error

    def prune(self, now: datetime.datetime) -> int:
        """Remove challenges that have expired, which are refused with or without a file; returns how many."""
        removed = 0
        for path in [*self._open.glob("*.json"), *self._taken.glob("*.json")]:
            try:
                expired = read_challenge(path.read_bytes()).expires <= now
                if expired:
                    path.unlink()
                    removed += 1
            except (OSError, NotVerified):
                continue  # somebody else's file, or removed by another run: not ours to judge
        return removed

    @property
    def _open(self) -> Path:
        return self.folder / "open"

    @property
    def _taken(self) -> Path:
        return self.folder / "taken"

    def _gone(self, challenge: Challenge) -> NotPermitted:
        known = "was answered before" if (self._taken / f"{challenge.nonce}.json").exists() else "was not issued here"
        return NotPermitted(f"the challenge {known}", _AGAIN, "replayed")

    def _cannot(self, what: str, error: OSError) -> OutputError:
        reason = (error.strerror or type(error).__name__).lower()
        return OutputError(f"cannot {what} the challenge in {self.folder}: {reason}", "check the folder")


def _bad(reason: str) -> NotVerified:
    return NotVerified(f"the challenge {reason}", _AGAIN, "malformed")
