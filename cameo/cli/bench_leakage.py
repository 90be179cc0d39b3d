"""The part of `cameo bench` that tells how much of its recording an adapter gives back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from cameo.fidelity.leakage import Leakage, Way
    from cameo.fidelity.nearness import Estimate
    from cameo.probing import LeakageReport

_HEAD = ("", "adapter alone", "with references", "new real frames")
_COPYING = {
    "copies": "it hands out frames it learned from",
    "some": "some of what it makes lies nearer to frames it learned from than new real frames do",
    "none": "nothing it made lies nearer to a frame it learned from than new real frames do",
}


def leakage(words: Sequence[str]) -> None:
    """Run `cameo bench leakage`."""
    options = _read(words)
    if options.footage is not None and not options.footage.is_file():
        raise UsageError(f"there is no file {options.footage}", "check the path")
    keys = terminal.load_keys(options.key)
    # Only now: this loads the generator's libraries.
    from cameo.eliciting import ProbeSettings
    from cameo.probing import LeakageOptions, describe_leakage, probe_leakage

    chosen = LeakageOptions(
        generator=options.generator,
        footage=options.footage,
        face_model=options.face_model,
        out=options.out,
        settings=ProbeSettings(seeds=options.seeds),
    )
    with terminal.progress() as progress:
        report = probe_leakage(options.file, keys=keys, options=chosen, progress=progress)
    value = {"file": str(options.file), **describe_leakage(report)}
    terminal.result(value, options.json, _lines(report, options.file))


def _read(words: Sequence[str]) -> argparse.Namespace:
    parser = VerbParser(
        "bench leakage",
        "Tell how much of the recording it was tuned on the adapter in FILE gives back: frames that lie nearer to\n"
        "it than new ones of the same person do, and how well it can be told what it was tuned on. Likeness is\n"
        "printed beside, because one is bought with the other. Only its owner can; it is a use, and on record.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the .cameo file")
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="the owner's .key file")
    parser.add_argument(
        "--footage", type=Path, metavar="CLIP", help="the video it was tuned on (default: the one that FILE keeps)"
    )
    parser.add_argument("--generator", default="reference", metavar="NAME", help="whose adapter (default: reference)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="how often, with other noise (default: 3)")
    parser.add_argument(
        "--face-model", default="embedded", metavar="MODEL", help="what measures; what FILE was enrolled with"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write numbers, a plot and the nearest frames: they show the person"
    )
    parser.add_json()
    return parser.parse_args(words)


def _lines(report: LeakageReport, file: Path) -> list[str]:
    found = report.leakage
    attack = found.alone.membership
    rows = [
        ("adapter", f"for {report.generator}, in double {report.bundle_id}"),
        ("recording", f"{found.learned} frames it learned from, {found.held_out} it did not"),
        ("windows", f"{len(attack.members)} it learned from, {len(attack.others)} it did not; none overlaps another"),
        ("measured by", f"{report.scorer}; {_count(len(found.alone.likeness.seeds))}, lowest to highest in brackets"),
    ]
    heard = [("so", text) for text in _findings(found)]
    files = [("written", f"{name}") for name in report.written]
    note = [("on record", f"as a use, receipt {report.receipt[:16]}…: cameo audit")]
    lines = [f"{file}: what its adapter gives back", *terminal.table(rows), ""]
    return [*lines, *terminal.columns(_HEAD, _table(found)), "", *terminal.table([*heard, *files, *note])]


def _table(found: Leakage) -> list[tuple[str, str, str, str]]:
    """One line per number; the last column is what new real frames of the person have."""
    rows = [
        _row("likeness", [_spread(way.likeness) for way in found.ways], f"{found.ceiling:.2f}"),
        ("  of other people", "", "", f"{found.floor:.2f}"),
    ]
    for k, near in enumerate(found.alone.nearness):
        medians = [_median(way, k) for way in found.ways]
        rows.append(_row(f"nearest frame, by {near.measure}", medians, f"{np.median(near.real):.2f}"))
        nearer = [_share(way.nearness[k].nearer) for way in found.ways]
        rows.append(_row("  nearer than 5 % of new ones", nearer, "5 %"))
        singled = [_spread(way.nearness[k].singled) for way in found.ways]
        rows.append(_row("  singled out", singled, "0.50"))
    rows.append(_row("told from its loss, AUC", [_spread(way.membership.auc) for way in found.ways], "0.50"))
    rows.append(_row("  95 % interval", [_interval(way.membership.auc) for way in found.ways], ""))
    rows.append(_row("  by a coin", [_chance(way.membership.chance) for way in found.ways], ""))
    rows.append(_row("  without the adapter", [_number(way.membership.blind) for way in found.ways], ""))
    for k, rate in enumerate(("1 %", "10 %")):
        caught = [_caught(way.membership.caught[k]) for way in found.ways]
        rows.append(_row(f"  caught at {rate} false alarms", caught, rate))
    return rows


def _row(label: str, values: Sequence[str], real: str) -> tuple[str, str, str, str]:
    return label, values[0], values[1], real


def _findings(found: Leakage) -> list[str]:
    alone, aided = found.ways
    said = [f"alone, {_COPYING[alone.copying]}", f"with references, {_COPYING[aided.copying]}"]
    told = [way for way in found.ways if way.membership.told]
    if told:
        said.append("its loss tells what it learned from: whoever has the adapter can check a recording against it")
    else:
        said.append("its loss does not tell what it learned from, as far as so few windows can show")
    return said


def _spread(found: Estimate) -> str:
    known = [value for value in found.seeds if np.isfinite(value)]
    return f"{found.value:.2f} ({min(known):.2f} to {max(known):.2f})" if known else "not known"


def _share(found: Estimate) -> str:
    known = [value for value in found.seeds if np.isfinite(value)]
    return f"{100 * found.value:.0f} % ({100 * min(known):.0f} to {100 * max(known):.0f})" if known else "not known"


def _interval(found: Estimate) -> str:
    return f"{found.low:.2f} to {found.high:.2f}" if np.isfinite(found.low) else "too few windows"


def _median(way: Way, measure: int) -> str:
    values = way.nearness[measure].made
    return _number(float(np.nanmedian(values))) if np.isfinite(values).any() else "no face"


def _number(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "not known"


def _chance(value: float) -> str:
    return f"{value:.2g}" if np.isfinite(value) else "not known"


def _caught(share: float) -> str:
    return f"{100 * share:.0f} %" if np.isfinite(share) else "too few windows"


def _count(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"
