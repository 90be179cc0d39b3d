"""Judge whether somebody sat in front of the camera: the answer to a challenge, and passive evidence beside it.

Only a passed challenge makes a recording `live`. Everything else is shown, weighed and never decides alone.
What none of this stops is in docs/explanation/liveness.md: a virtual camera, a face swapped while it is filmed.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from cameo.capture.challenge import Challenge, prompts, require_current
from cameo.capture.digits import DigitModel, load_digit_model, score_digits
from cameo.capture.pose_answer import SLACK, TurnsSeen, watch_turns
from cameo.capture.replay import PlaybackSigns, find_playback_signs, is_cut, is_repeated
from cameo.errors import CaptureRejected
from cameo.faces.lips import compare_lips
from cameo.records import Evidence, Verdict

if TYPE_CHECKING:
    from cameo.records import Clip, FaceTrack, Float32, Speech

LATE_S = 0.3  # a digit may end this long after its slot
SAID_AT_LEAST = 4  # digits of six that must be more likely than not, whatever the mean is
_IN_STEP = 0.05  # chance of an agreement of mouth and sound, at most
# A sound that agrees much better elsewhere was moved, or is another's with the same rhythm. Source: on the real clips
# a to d of the shared media, whose lips are followed less well, no shift reaches 0.35.
_MOVED_S, _CLEARER, _CLEAR = 0.4, 0.15, 0.4
_FROZEN_S = 1.0
# Four real clips have at most 4 and 0.2; the simulated screen of benchmarks/presentations.py has 10 to 31, and 0.8. A
# picture that stands still reaches 12 by chance, because nothing is averaged.
_PATTERN, _EDGES = 14.0, 0.6


def judge_liveness(
    clip: Clip,
    track: FaceTrack,
    speech: Speech,
    challenge: Challenge | None = None,
    now: datetime.datetime | None = None,
    more: Iterable[Evidence] = (),
) -> Verdict:
    """Collect all evidence on a recording.

    Args:
        clip: the recording. The challenge begins with it, or up to five seconds later or one earlier: when it does is
            found from the turns of the head.
        track: its main face.
        speech: what was found of speech in it.
        challenge: what was asked, or None: then nothing can make it `live`.
        now: when the answer came in, with a time zone; needed with a challenge.
        more: what others found out, such as `weigh_voice`.

    Raises:
        UsageError: `now` has no time zone.
        NotPermitted: the challenge has expired or is from the future. That it was issued here and not answered
            before is for `ChallengeBook.take`.
        MissingWeights: the digit model is missing.
    """
    answered: tuple[Evidence, ...] = ()
    if challenge is not None:
        answered = check_challenge(clip, track, speech, challenge, now or datetime.datetime.now(datetime.UTC))
    pieces = (*answered, *passive_evidence(clip, track, speech), *more)
    if challenge is None:
        return Verdict(pieces)
    return Verdict(pieces, challenge.nonce, challenge.digest)


def require_answered(verdict: Verdict) -> None:
    """Let a recording pass that was not held against a challenge, or answers it.

    Raises:
        CaptureRejected: it does not answer it.
    """
    if verdict.challenged and not verdict.live:
        missed = "; ".join(piece.measured for piece in verdict.evidence if piece.decides and piece.passed is not True)
        message = f"the recording does not answer the challenge: {missed}"
        raise CaptureRejected(message, "draw another challenge, and follow its prompts as they come")


def check_challenge(
    clip: Clip, track: FaceTrack, speech: Speech, challenge: Challenge, now: datetime.datetime
) -> tuple[Evidence, ...]:
    """Hold a recording against the challenge it answers: the two pieces of evidence that decide.

    Raises:
        UsageError: `now` has no time zone.
        NotPermitted: the challenge has expired or is from the future.
        MissingWeights: the digit model is missing.
    """
    require_current(challenge, now)
    seen = watch_turns(track, clip.times_s, challenge)
    return weigh_digits(clip, speech, challenge, load_digit_model(), seen.begins_s), weigh_turns(seen)


def passive_evidence(clip: Clip, track: FaceTrack, speech: Speech) -> tuple[Evidence, ...]:
    """Collect what any recording shows, whether or not something was asked."""
    signs = find_playback_signs(clip, track)
    return (
        weigh_lips(clip, track, speech),
        weigh_frozen(signs),
        weigh_repeated(signs),
        weigh_cut(signs),
        weigh_screen(signs),
    )


def digit_slots(clip: Clip, challenge: Challenge, begins_s: float = 0.0) -> tuple[Float32, ...]:
    """Cut the sound of each digit's slot, with a little of the next; empty where the recording has ended."""
    cuts = [(round(low * clip.rate_hz), round(high * clip.rate_hz)) for low, high in _said_in(challenge, begins_s)]
    return tuple(clip.sound[max(0, low) : max(0, high)] for low, high in cuts)


def _said_in(challenge: Challenge, begins_s: float) -> list[tuple[float, float]]:
    """Start and end of where each digit may be said, in seconds of the recording."""
    asked = [prompt for prompt in prompts(challenge, begins_s) if prompt.step.isdigit()]
    return [(prompt.start_s, prompt.end_s + LATE_S) for prompt in asked]


def weigh_digits(
    clip: Clip, speech: Speech, challenge: Challenge, model: DigitModel, begins_s: float = 0.0
) -> Evidence:
    """Ask whether the digits were said, each in its slot; the challenge begins at `begins_s` of the recording."""
    ratios = score_digits(digit_slots(clip, challenge, begins_s), challenge.digits, model)
    said, asked, mean = int((ratios > 0).sum()), len(ratios), float(ratios.mean())
    spoken = sum(_overlap_s(speech, *span) >= 0.1 for span in _said_in(challenge, begins_s))
    passed = mean >= model.threshold and said >= SAID_AT_LEAST
    measured = f"{said} of {asked} digits, {mean:.1f} nats in the mean (at least {model.threshold:g})"
    if spoken < asked:
        measured += f"; speech in {spoken} of {asked} slots"
    meaning = (
        "the digits that were asked for were said when they were asked for"
        if passed
        else "other digits, another language, or at other times: say each English digit as soon as it is shown"
    )
    score = 1 / (1 + float(np.exp(-2 * (mean - model.threshold))))
    return Evidence("digits", "Digits said as asked", score, 4.0, passed, True, measured, meaning)


def weigh_turns(seen: TurnsSeen) -> Evidence:
    """Ask whether the head turned as asked, each time in its slot."""
    reading = ", in a mirrored picture" if seen.mirrored else ""
    begun = f"; the challenge begins at {seen.begins_s:.1f} s" if seen.begins_s else ""
    measured = f"{seen.shown} of {seen.asked} turns{reading}; {seen.chance:.1%} of other challenges fit as well{begun}"
    meaning = (
        "the head turned in the order and at the times that were asked for"
        if seen.passed
        else f"at least {seen.asked - SLACK} turns must be seen in their slots: turn well to the side, and come back "
        "when the next step is shown"
    )
    share = seen.shown / max(1, seen.asked)
    score = share if seen.passed else 0.5 * share * (1 - seen.chance)
    return Evidence("turns", "Head turned as asked", score, 4.0, seen.passed, True, measured, meaning)


def weigh_lips(clip: Clip, track: FaceTrack, speech: Speech) -> Evidence:
    """Ask whether mouth and sound belong together."""
    title = "Mouth moves with the sound"
    found = compare_lips(clip, track, speech)
    if found is None:
        meaning = "too little speech, or the mouth is not seen well enough"
        return Evidence("lips", title, 0.5, 2.0, None, False, "not told", meaning)
    measured = f"correlation {found.agreement:.2f}; {found.chance:.0%} of wrong shifts agree as well"
    elsewhere = found.best_agreement >= max(_CLEAR, found.agreement + _CLEARER) and abs(found.best_s) >= _MOVED_S
    if found.chance <= _IN_STEP:
        meaning = "they agree at this time and at few others"
        return Evidence("lips", title, 1 - found.chance, 2.0, True, False, measured, meaning)
    if elsewhere:
        meaning = "the sound may be another's, or was moved: record picture and sound together"
        measured += f"; {found.best_agreement:.2f} with the sound moved by {found.best_s:+.1f} s"
        return Evidence("lips", title, 0.2, 2.0, False, False, measured, meaning)
    return Evidence("lips", title, 0.5, 2.0, None, False, measured, "too weak to say anything")


def weigh_frozen(signs: PlaybackSigns) -> Evidence:
    """Ask whether the picture stands still."""
    passed = signs.frozen_s < _FROZEN_S
    meaning = "the picture moves" if passed else "a photograph, or a stream that stopped"
    measured = f"still for {signs.frozen_s:.1f} s at most"
    return Evidence(
        "frozen", "Picture never stands still", 0.6 if passed else 0.0, 1.0, passed, False, measured, meaning
    )


def weigh_repeated(signs: PlaybackSigns) -> Evidence:
    """Ask whether a stretch is shown twice."""
    passed = not is_repeated(signs)
    measured = f"{signs.repeated_s:.1f} s repeated"
    if not passed:
        measured += f", {signs.repeated_after_s:.1f} s later or backwards"
    meaning = "no stretch is shown twice" if passed else "a loop: record in one go"
    return Evidence("loop", "No picture repeats", 0.6 if passed else 0.0, 1.0, passed, False, measured, meaning)


def weigh_cut(signs: PlaybackSigns) -> Evidence:
    """Ask whether the recording is in one piece."""
    passed = not is_cut(signs)
    measured = (
        "no jump" if signs.jump == 0 else f"a jump of {signs.jump:.0f} times the usual at {signs.jump_at_s:.1f} s"
    )
    meaning = "one recording" if passed else "two recordings were joined, or the light was switched: record in one go"
    return Evidence("cut", "Recorded in one piece", 0.6 if passed else 0.1, 1.0, passed, False, measured, meaning)


def weigh_screen(signs: PlaybackSigns) -> Evidence:
    """Ask whether a screen or a print was filmed; weak, because clothes and doors do the same."""
    against = (signs.pattern >= _PATTERN) + (signs.frame_share >= _EDGES)
    measured = f"regular pattern {signs.pattern:.0f} times its surroundings, edges along {signs.frame_share:.0%}"
    meaning = "no sign of a screen" if not against else "a screen or a print, or only stripes and a door: weak evidence"
    score = (0.55, 0.35, 0.15)[against]
    return Evidence("screen", "Not filmed from a screen", score, 0.5, not against, False, measured, meaning)


def weigh_voice(cosine: float, threshold: float) -> Evidence:
    """Weigh how much the voice of the answer is like the owner's: the caller embeds both with one encoder.

    Args:
        cosine: of the answer's digits (`spoken_answer`) and the voice they should be of.
        threshold: of the encoder, from which two are taken for one.
    """
    passed = cosine >= threshold
    score = float(np.clip(0.5 + 0.5 * (cosine - threshold) / (1 - threshold), 0, 1))
    measured = f"cosine {cosine:.2f} (one voice from {threshold:.2f})"
    meaning = "one voice says all of it" if passed else "the digits may be said by somebody else"
    return Evidence("voice", "Digits in the owner's voice", score, 2.0, passed, False, measured, meaning)


def spoken_answer(clip: Clip, speech: Speech, challenge: Challenge, begins_s: float = 0.0) -> Float32:
    """Join the speech in the digits' slots, `[N]` float32 mono at 16 kHz, for comparing voices."""
    parts = [clip.sound[:0]]
    for first_s, last_s in _said_in(challenge, begins_s):
        for start_s, end_s in speech.segments_s:
            low, high = max(start_s, first_s), min(end_s, last_s)
            if high > low:
                parts.append(clip.sound[round(low * clip.rate_hz) : round(high * clip.rate_hz)])
    return np.concatenate(parts)


def free_speech(clip: Clip, speech: Speech, challenge: Challenge, begins_s: float = 0.0) -> Float32:
    """Join the speech outside the digits' slots, `[N]` float32 mono at 16 kHz: what `spoken_answer` leaves."""
    asked = np.zeros(len(clip.sound), bool)
    for first_s, last_s in _said_in(challenge, begins_s):
        asked[max(0, round(first_s * clip.rate_hz)) : max(0, round(last_s * clip.rate_hz))] = True
    spoken = np.zeros(len(clip.sound), bool)
    for start_s, end_s in speech.segments_s:
        spoken[round(start_s * clip.rate_hz) : round(end_s * clip.rate_hz)] = True
    return clip.sound[spoken & ~asked]


def _overlap_s(speech: Speech, start_s: float, end_s: float) -> float:
    if not len(speech.segments_s):
        return 0.0
    low, high = np.maximum(speech.segments_s[:, 0], start_s), np.minimum(speech.segments_s[:, 1], end_s)
    return float(np.maximum(high - low, 0).sum())
