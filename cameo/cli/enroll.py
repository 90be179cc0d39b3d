"""The verb that makes a double."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.cli.bundle import ASSURANCE
from cameo.cli.consent import agreed_terms
from cameo.errors import CaptureRejected, UsageError
from cameo.files import require_free
from cameo.records import QualityReport

if TYPE_CHECKING:
    import argparse

    from cameo.records import Check, Enrollment, Verdict


def enroll(words: Sequence[str]) -> None:
    """Run `cameo enroll`."""
    options = _read(words)
    out: Path = options.out
    for path in (options.clip, options.voice):
        if path is not None and not path.is_file():
            raise UsageError(f"there is no file {path}", "check the path")
    require_free(out)
    terms = agreed_terms(options.consent, [options.generator], options.yes)
    keys = terminal.load_keys(options.key)
    # Only now: this loads everything that looks, listens and learns.
    from cameo.enrollment import EnrollOptions
    from cameo.enrollment import enroll as run

    chosen = EnrollOptions(
        generator=options.generator,
        face_model=options.face_model,
        voice_model=options.voice_model,
        terms=terms,
        method="flag" if options.yes else "interactive",
        report=options.report,
        challenge=options.challenge,
        liveness_model=options.liveness_model,
    )
    try:
        with terminal.progress() as progress:
            made = run(options.clip, keys=keys, out=out, voice=options.voice, options=chosen, progress=progress)
    except CaptureRejected as error:
        if isinstance(error.report, QualityReport):
            for check in error.report.failed:
                terminal.say(_line(check))
        raise
    terminal.result(_value(made, options.report), options.json, _lines(made, options.report))


def _read(words: Sequence[str]) -> argparse.Namespace:
    parser = VerbParser(
        "enroll",
        "Turn a selfie video into a sealed double. CLIP: one person talking, 10 to 30 s, face in the picture.\n\n"
        "An interrupted run goes on where it stopped when it is started again with the same words.",
    )
    parser.add_argument("clip", type=Path, metavar="CLIP", help="the video: MP4, MOV, WebM, …")
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="the owner's .key file")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="the .cameo file to write")
    parser.add_argument("--voice", type=Path, metavar="SOUND", help="a recording of the voice, if not in the clip")
    parser.add_argument("--challenge", type=Path, metavar="FILE", help="what CLIP answers: see cameo challenge")
    parser.add_argument(
        "--consent",
        type=Path,
        metavar="TOML",
        help="what you allow; without it you are asked, or with --yes it is your own clips only",
    )
    parser.add_argument("--report", type=Path, metavar="HTML", help="write a page that shows what was made")
    parser.add_argument("--generator", default="reference", metavar="NAME", help="tune for it (default: reference)")
    parser.add_argument(
        "--face-model",
        default="embedded",
        metavar="MODEL",
        help="embedded (default), insightface:NAME or FOLDER, onnx:FILE",
    )
    parser.add_argument(
        "--voice-model", default="embedded", metavar="MODEL", help="embedded (default), ecapa:NAME or FOLDER"
    )
    parser.add_argument(
        "--liveness-model",
        metavar="MODEL",
        help="ask it whether a face is filmed, or a picture of one: minifasnet:FOLDER, insightface:FILE, onnx:FILE",
    )
    parser.add_argument("--yes", action="store_true", help="you have read the consent text and agree")
    parser.add_json()
    return parser.parse_args(words)


def _value(made: Enrollment, report: Path | None) -> dict[str, object]:
    before, after = _likeness(made)
    return {
        "file": made.sealed.path,
        "sha256": made.sealed.sha256,
        "size": made.sealed.size,
        "bundle_id": made.sealed.bundle_id,
        "owner": made.sealed.owner,
        "assurance": made.sealed.assurance,
        "report": str(report) if report else None,
        "clip_seconds": made.clip.used_s,
        "speech_seconds": made.speech.seconds,
        "frames_used": int(made.frames_used.sum()),
        "likeness_before": before,
        "likeness_after": after,
        "tuning_step": made.adapter.best_step,
        "liveness": made.liveness.summary(),
        "checks": {c.name: {"value": c.value, "level": c.level} for c in made.quality.checks},
        "parts": dict(made.sealed.parts),
        "seconds": dict(made.seconds),
    }


def _lines(made: Enrollment, report: Path | None) -> list[str]:
    before, after = _likeness(made)
    rows = [
        ("double", f"{made.sealed.path}  {terminal.size(made.sealed.size)}, opens with your key only"),
        ("likeness", f"{before:.2f} before tuning, {after:.2f} after  (1 is the same face)"),
        ("assurance", ASSURANCE[made.sealed.assurance]),
        ("liveness", _alive(made.liveness)),
        ("took", f"{sum(made.seconds.values()):.0f} s"),
    ]
    if report:
        rows.append(("report", f"{report}  shows you: keep it as safe as the video"))
    rows += [("could be better", _line(check)) for check in made.quality.checks if check.level == "warn"]
    return terminal.table(rows)


def _likeness(made: Enrollment) -> tuple[float, float]:
    """The judge's likeness of step 0 and of the step that was kept."""
    by_step = {step.step: step.likeness for step in made.adapter.curve}
    return by_step[0], by_step[made.adapter.best_step]


def _alive(verdict: Verdict) -> str:
    if verdict.live:
        return "live: the challenge was answered"
    against = ", ".join(piece.title for piece in verdict.warnings)
    return "not checked by a challenge" + (f"; what speaks against somebody being there: {against}" if against else "")


def _line(check: Check) -> str:
    value = f"{check.value:.3g} {check.unit}".strip()
    return f"{check.title}: {value}, {check.limit}. {check.advice}"
