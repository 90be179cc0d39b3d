"""Judge a clip that was just recorded, and say what to do with it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cameo.cli import terminal
from cameo.cli.enroll import check_line, liveness_line

if TYPE_CHECKING:
    import argparse

    from cameo.capture.challenge import Challenge
    from cameo.capture.recorder import Recorded
    from cameo.records import QualityReport, Verdict


@dataclass(frozen=True, slots=True)
class Checked:
    """Hold what the gate said of the clip, and whether it answers the challenge."""

    quality: QualityReport
    liveness: Verdict


def check_recorded(out: Path, challenge: Challenge | None) -> Checked:
    """Judge the clip as `cameo enroll` will; the challenge is not taken by this.

    Raises:
        CaptureRejected: it is not good enough, or does not answer the challenge.
    """
    from cameo.capture.clip import read_clip
    from cameo.capture.liveness import judge_liveness, require_answered
    from cameo.capture.quality import assess, require_good
    from cameo.capture.speech import find_speech
    from cameo.faces.track import track_faces

    with terminal.progress() as progress:
        clip = read_clip(out, progress=progress)
        track = track_faces(clip.frames, progress)
        progress("checking the quality", 0.0)
        speech = find_speech(clip.sound)
        quality = assess(clip, track, speech)
        liveness = judge_liveness(clip, track, speech, challenge)
        progress("checking the quality", 1.0)
    for check in quality.failed:
        terminal.say(check_line(check))
    if quality.failed or (liveness.challenged and not liveness.live):
        terminal.say(f"{out} was recorded and is kept, but cameo enroll would refuse it")
    require_good(quality)
    require_answered(liveness)
    return Checked(quality, liveness)


def tell_recorded(
    options: argparse.Namespace, recorded: Recorded, challenge: Challenge | None, checked: Checked | None
) -> None:
    """Print what was made, and what to do with it."""
    out: Path = options.out
    after = _enroll_words(options, recorded, challenge)
    value: dict[str, object] = {
        "file": str(out),
        "seconds": recorded.seconds,
        "fps": recorded.fps,
        "width": recorded.width,
        "height": recorded.height,
        "sound": recorded.sound,
        "challenge": str(options.challenge) if challenge else None,
        "enroll": after,
        "checks": {c.name: {"value": c.value, "level": c.level} for c in checked.quality.checks} if checked else None,
        "live": checked.liveness.live if checked and challenge else None,
    }
    size = f"{recorded.width} x {recorded.height}, {recorded.fps:.0f} pictures a second"
    rows = [("clip", f"{out}  {recorded.seconds:.1f} s, {size}, {'with' if recorded.sound else 'without'} sound")]
    if challenge is not None:
        rows.append(("challenge", f"{options.challenge}  enrol before {terminal.moment(challenge.expires)}"))
    if checked is not None:
        rows += [("quality", "good enough to enrol"), ("liveness", liveness_line(checked.liveness))]
        rows += [("could be better", check_line(check)) for check in checked.quality.checks if check.level == "warn"]
    rows.append(("next", shlex.join(after)))
    terminal.result(value, options.json, terminal.table(rows))


def _enroll_words(options: argparse.Namespace, recorded: Recorded, challenge: Challenge | None) -> list[str]:
    """The command that makes a double of the clip; the key is whichever the owner has."""
    words = ["cameo", "enroll", str(options.out), "--key", "ada.key", "--out", str(options.out.with_suffix(".cameo"))]
    if challenge is not None:
        words += ["--challenge", str(options.challenge)]
    return words if recorded.sound else [*words, "--voice", "voice.wav"]
