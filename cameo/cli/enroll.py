"""The verb that makes a double."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cameo import config
from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.cli.bundle import assurance_rows
from cameo.cli.consent import agreed_terms
from cameo.errors import CaptureRejected, UsageError
from cameo.files import require_free
from cameo.generators.shelf import generator_id
from cameo.records import QualityReport

if TYPE_CHECKING:
    import argparse

    from cameo.records import Check, Enrollment, Precedents, Verdict

_KEPT = (
    "To notice who is enrolled twice, this machine keeps a turned and encrypted template of face and voice until the "
    "double is withdrawn or erased (CAMEO_GALLERY=off keeps none)."
)


def enroll(words: Sequence[str]) -> None:
    """Run `cameo enroll`."""
    options = _read(words)
    out: Path = options.out
    for path in (options.clip, options.voice):
        if path is not None and not path.is_file():
            raise UsageError(f"there is no file {path}", "check the path")
    require_free(out)
    if config.gallery() != "off":
        terminal.say(_KEPT)
    terms = agreed_terms(options.consent, [generator_id(options.generator)], options.yes, options.keep_captures)
    keys = terminal.load_keys(options.key)
    # Only now: this loads everything that looks, listens and learns.
    from cameo.enrollment import EnrollOptions
    from cameo.enrollment import enroll as run
    from cameo.weights import licence_notice

    chosen = EnrollOptions(
        generator=options.generator,
        face_model=options.face_model,
        voice_model=options.voice_model,
        terms=terms,
        method="flag" if options.yes else "interactive",
        report=options.report,
        challenge=options.challenge,
        allow_duplicate=options.allow_duplicate,
        liveness_model=options.liveness_model,
    )
    with reporting_checks(), terminal.progress() as progress:
        made = run(options.clip, keys=keys, out=out, voice=options.voice, options=chosen, progress=progress)
    for encoder in (made.face.encoder, made.voice.encoder):
        if notice := licence_notice(encoder.id, encoder.licence):
            terminal.warn(notice)
    terminal.result(_value(made, options.report), options.json, _lines(made, options.report))


@contextmanager
def reporting_checks() -> Iterator[None]:
    """List what a recording failed at, before the error that says that it was refused."""
    try:
        yield
    except CaptureRejected as error:
        if isinstance(error.report, QualityReport):
            for check in error.report.failed:
                terminal.say(check_line(check))
        raise


def describe_likeness(made: Enrollment) -> tuple[float, float]:
    """Tell the judge's likeness of step 0 and of the step that was kept."""
    by_step = {step.step: step.likeness for step in made.adapter.curve}
    return by_step.get(0, math.nan), by_step[made.adapter.best_step]


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
    parser.add_argument(
        "--keep-captures", action="store_true", help="keep the recording in the double, to tune it again: cameo adapt"
    )
    parser.add_argument("--report", type=Path, metavar="HTML", help="write a page that shows what was made")
    parser.add_argument("--generator", default="reference", metavar="NAME", help="reference (default), wan:WEIGHTS, …")
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
        "--allow-duplicate",
        action="store_true",
        help="enrol even if another owner has enrolled this face here; the double says so",
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
    before, after = describe_likeness(made)
    return {
        "file": made.sealed.path,
        "sha256": made.sealed.sha256,
        "size": made.sealed.size,
        "bundle_id": made.sealed.bundle_id,
        "owner": made.sealed.owner,
        "assurance": made.sealed.assurance,
        "live": made.liveness.live,
        "report": str(report) if report else None,
        "clip_seconds": made.clip.used_s,
        "speech_seconds": made.speech.seconds,
        "frames_used": int(made.frames_used.sum()),
        "likeness_before": _finite(before),
        "likeness_after": _finite(after),
        "tuning_step": made.adapter.best_step,
        "chosen_by": made.adapter.chosen_by,
        "tuning_ended": made.adapter.stopped,
        "liveness": made.liveness.summary(),
        "checks": {c.name: {"value": c.value, "level": c.level} for c in made.quality.checks},
        "precedents": made.precedents,
        "parts": dict(made.sealed.parts),
        "seconds": dict(made.seconds),
    }


def _lines(made: Enrollment, report: Path | None) -> list[str]:
    before, after = describe_likeness(made)
    rows = [
        ("double", f"{made.sealed.path}  {terminal.size(made.sealed.size)}, opens with your key only"),
        ("likeness", _change(before, after)),
        *assurance_rows(made.sealed.assurance),
        ("liveness", liveness_line(made.liveness)),
        *(("enrolled before", line) for line in _before(made.precedents)),
        ("took", f"{sum(made.seconds.values()):.0f} s"),
    ]
    if report:
        rows.append(("report", f"{report}  shows you: keep it as safe as the video"))
    rows += [("could be better", check_line(check)) for check in made.quality.checks if check.level == "warn"]
    return terminal.table(rows)


def _before(precedents: Precedents) -> list[str]:
    """Say whom among those enrolled before the person is like, a line each."""
    if precedents.among == "off":
        return ["not looked for: CAMEO_GALLERY is off"]
    lines = [
        f"by you on {terminal.moment(made.created)}: {made.path}  likeness {made.score:.2f}, double {made.bundle_id}"
        for made in precedents.earlier
    ]
    lines += [check_line(check) for check in precedents.warnings]
    if not lines:
        lines.append("by nobody like this" if precedents.checks else "there is no earlier double to compare with")
    if precedents.not_compared:
        rest = f"{precedents.not_compared} not compared"
        lines.append(f"{rest}: made with other encoders, or nothing is kept of them")
    return lines


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _change(before: float, after: float) -> str:
    if not math.isfinite(after):
        return "not judged: no face was found in what the generator makes"
    first = f"{before:.2f} before tuning, " if math.isfinite(before) else ""
    return f"{first}{after:.2f} after  (1 is the same face)"


def liveness_line(verdict: Verdict) -> str:
    """Say in a line whether a challenge was answered, and what speaks against it."""
    if verdict.live:
        return "live: the challenge was answered"
    against = ", ".join(piece.title for piece in verdict.warnings)
    return "not checked by a challenge" + (f"; what speaks against somebody being there: {against}" if against else "")


def check_line(check: Check) -> str:
    """Say what was measured, what the limits are, and what helps."""
    value = f"{check.value:.3g} {check.unit}".strip()
    return f"{check.title}: {value}, {check.limit}. {check.advice}"
