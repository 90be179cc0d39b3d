"""The verb that tunes a double for one more generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.cli.consent import agreed_terms, require_agreed
from cameo.cli.enroll import describe_likeness, reporting_checks
from cameo.errors import UsageError
from cameo.files import require_writable
from cameo.generators.shelf import generator_id
from cameo.seal.bundle import Bundle
from cameo.seal.terms import allows_generator, today, with_generator

if TYPE_CHECKING:
    import argparse

    from cameo.readapting import Adapted
    from cameo.seal.bundle import VerifiedBundle
    from cameo.seal.terms import ConsentTerms


def adapt(words: Sequence[str]) -> None:
    """Run `cameo adapt`."""
    options = _read(words)
    for path in (options.clip, options.voice):
        if path is not None and not path.is_file():
            raise UsageError(f"there is no file {path}", "check the path")
    require_writable(options.file)
    keys = terminal.load_keys(options.key)
    verified = Bundle.open(options.file).verify(keys.public)
    # Only now: this loads everything that looks, listens and learns.
    from cameo.readapting import AdaptOptions, add_generator, require_adaptable

    chosen = AdaptOptions(
        generator=options.generator,
        clip=options.clip,
        voice=options.voice,
        replace=options.replace,
        method="flag" if options.yes else "interactive",
        face_model=options.face_model,
        voice_model=options.voice_model,
        report=options.report,
    )
    require_adaptable(verified, chosen)
    chosen = replace(chosen, terms=_terms(options, verified))
    with reporting_checks(), terminal.progress() as progress:
        made = add_generator(options.file, keys=keys, options=chosen, progress=progress)
    terminal.result(_value(made, options), options.json, _lines(made, options))


def _read(words: Sequence[str]) -> argparse.Namespace:
    parser = VerbParser(
        "adapt",
        "Tune the double in FILE for one more generator, from the recording it keeps or from CLIP. FILE is sealed\n"
        "anew with the parts for it; the old one stands until the new one is complete.\n\n"
        "Grants are for the file they were made for: hosts that keep it as it was go on, for FILE issue them again.\n"
        "An interrupted run goes on where it stopped when it is started again with the same words.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the .cameo file")
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="the owner's .key file")
    parser.add_argument("--generator", required=True, metavar="NAME", help="tune for it")
    parser.add_argument("--replace", action="store_true", help="tune anew for a generator it was tuned for already")
    parser.add_argument("--clip", type=Path, metavar="CLIP", help="a new video of the same person; it is not kept")
    parser.add_argument("--voice", type=Path, metavar="SOUND", help="a recording of the voice, if not in CLIP")
    parser.add_argument(
        "--consent",
        type=Path,
        metavar="TOML",
        help="what you allow from now on; without it, what you did, with this generator",
    )
    parser.add_argument("--report", type=Path, metavar="HTML", help="write a page that shows what was made")
    parser.add_argument(
        "--face-model",
        default="embedded",
        metavar="MODEL",
        help="embedded (default), insightface:NAME or FOLDER, onnx:FILE; with --clip, what FILE was enrolled with",
    )
    parser.add_argument(
        "--voice-model", default="embedded", metavar="MODEL", help="embedded (default), ecapa:NAME or FOLDER"
    )
    parser.add_argument("--yes", action="store_true", help="you have read the consent text and agree")
    parser.add_json()
    return parser.parse_args(words)


def _terms(options: argparse.Namespace, verified: VerifiedBundle) -> ConsentTerms | None:
    """Get the terms that hold from now on, agreed to; None if those of the double name the generator already."""
    wanted = generator_id(options.generator)
    generators = sorted({wanted, *(entry.id for entry in verified.manifest.generators)})
    if options.consent is not None:
        return agreed_terms(options.consent, generators, options.yes)
    terms = verified.consent.record.terms
    if allows_generator(terms, wanted, today()):
        return None
    terminal.say(f"The consent in {options.file} does not allow {wanted} yet. It would be, from now on:")
    wider = with_generator(terms, wanted)
    require_agreed(wider, options.yes)
    return wider


def _value(made: Adapted, options: argparse.Namespace) -> dict[str, object]:
    sealed, adapter = made.enrollment.sealed, made.enrollment.adapter
    before, after = describe_likeness(made.enrollment)
    return {
        "file": sealed.path,
        "sha256": sealed.sha256,
        "size": sealed.size,
        "bundle_id": sealed.bundle_id,
        "generator": adapter.generator,
        "replaced": made.replaced,
        "report": str(options.report) if options.report else None,
        "likeness_before": before,
        "likeness_after": after,
        "tuning_step": adapter.best_step,
        "parts": dict(sealed.parts),
        "revoked": list(made.revoked),
        "outdated": list(made.outdated),
        "seconds": dict(made.enrollment.seconds),
    }


def _lines(made: Adapted, options: argparse.Namespace) -> list[str]:
    sealed = made.enrollment.sealed
    before, after = describe_likeness(made.enrollment)
    done = "tuned anew for" if made.replaced else "tuned for"
    rows = [
        ("double", f"{sealed.path}  {terminal.size(sealed.size)} in {len(sealed.parts)} parts"),
        ("likeness", f"{before:.2f} before tuning, {after:.2f} after  (1 is the same face)"),
        ("took", f"{sum(made.enrollment.seconds.values()):.0f} s"),
    ]
    if options.report:
        rows.append(("report", f"{options.report}  shows you: keep it as safe as the video"))
    rows += [("revoked", f"grant {grant}: the new terms allow less; issue it again") for grant in made.revoked]
    rows += [("for the old file", f"grant {grant}: issue it again for this one") for grant in made.outdated]
    return [f"{sealed.path}: {done} {made.enrollment.adapter.generator}", *terminal.table(rows)]
