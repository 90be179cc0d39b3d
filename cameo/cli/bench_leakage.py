"""The part of `cameo bench` that tells how much of its recording an adapter gives back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from cameo.fidelity.leakage import Leakage
    from cameo.fidelity.nearness import Estimate
    from cameo.probing import LeakageReport

_HEAD = ("", "alone", "retold", "with references", "retold", "new real")
_COPYING = {
    "most": "most pictures lie nearer to what it learned from than new real frames do",
    "some": "some pictures lie nearer to what it learned from than new real frames do",
    "none": "pictures lie no nearer to what it learned from than new real frames do",
    "unknown": "too few pictures show a face to say how near they lie",
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
        ("measured by", f"{report.scorer}; {_count(len(found.alone.likeness.seeds))}; unknown: too few windows to say"),
    ]
    heard = [("so", text) for text in _findings(found)]
    files = [("written", f"{name}") for name in report.written]
    note = [("on record", f"as a use, receipt {report.receipt[:16]}…: cameo audit")]
    lines = [f"{file}: what its adapter gives back", *terminal.table(rows), ""]
    return [*lines, *terminal.columns(_HEAD, _table(found)), "", *terminal.table([*heard, *files, *note])]


def _table(found: Leakage) -> list[list[str]]:
    """One line per number; retold is along moments it learned from, the last column what new real frames have."""
    alone, aided = found.ways
    rows = [
        _row("likeness", [_number(way.likeness.value) for way in found.ways], _number(found.ceiling)),
        _row("  by seed", [_seeds(way.likeness) for way in found.ways]),
        _row("  of other people", ["", ""], _number(found.floor)),
    ]
    for k, near in enumerate(alone.nearness):
        each = [near, alone.retold[k] if alone.retold else None, aided.nearness[k]]
        each.append(aided.retold[k] if aided.retold else None)
        rows.append([f"nearest frame, by {near.measure}", *(n and _number(n.usual) or "" for n in each)])
        rows[-1].append(_number(near.usual_real))
        rows.append(["  nearer than 5 % of new ones", *(n and _percent(n.nearer.value) or "" for n in each), "5 %"])
        rows.append(["  singled out", *(n and _number(n.singled.value) or "" for n in each), "0.50"])
    attacks = [way.membership for way in found.ways]
    rows.append(_row("told from its loss, AUC", [_number(attack.auc.value) for attack in attacks], "0.50"))
    rows.append(_row("  by seed", [_seeds(attack.auc) for attack in attacks]))
    rows.append(_row("  95 % interval", [_interval(attack.auc) for attack in attacks]))
    rows.append(_row("  a coin does as well", [_chance(attack.chance) for attack in attacks]))
    rows.append(_row("  without the LoRA", [_number(attack.blind) for attack in attacks]))
    for k, rate in enumerate(("1 %", "10 %")):
        rows.append(_row(f"  caught at {rate} false alarms", [_percent(a.caught[k]) for a in attacks], rate))
    return rows


def _row(label: str, values: Sequence[str], real: str = "") -> list[str]:
    return [label, values[0], "", values[1], "", real]


def _findings(found: Leakage) -> list[str]:
    said = [
        f"alone, {_COPYING[found.alone.copying]}",
        f"with references, {_COPYING[found.aided.copying]}",
    ]
    if found.alone.retold:
        said.append(f"retold, {_COPYING[found.alone.retelling]}")
    if any(way.membership.told for way in found.ways):
        said.append("its loss tells what it learned from: the adapter can be asked about a recording")
    elif all(way.membership.silent for way in found.ways):
        said.append("its LoRA does nothing, as if no step of the descent had been kept: its loss tells nothing")
    else:
        said.append("its loss does not tell what it learned from, as far as so few windows can show")
    return said


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "unknown"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if math.isfinite(share) else "unknown"


def _seeds(found: Estimate) -> str:
    known = [value for value in found.seeds if math.isfinite(value)]
    return f"{min(known):.2f}-{max(known):.2f}" if known else "unknown"


def _interval(found: Estimate) -> str:
    return f"{found.low:.2f}-{found.high:.2f}" if math.isfinite(found.low) else "unknown"


def _chance(value: float) -> str:
    return f"{100 * value:.1g} %" if value < 0.01 else _percent(value)


def _count(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"
