"""Write the claims and what was found of them into a page, between two comments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.catalogue import Benchmark
from benchmarks.claims import Verdict
from cameo.files import atomic_write

BEGIN = "<!-- Written by `python -m benchmarks.run --table` from benchmarks/results. -->"
END = "<!-- The end of what is written. -->"


def shown(verdict: Verdict) -> str:
    """Put a verdict into one line."""
    spread = f" ({number(verdict.low)} to {number(verdict.high)})" if len(verdict.values) > 1 else ""
    return f"{verdict.name}: {number(verdict.found)}{spread}, {verdict.relation} {verdict.limit:g}"


def number(value: float) -> str:
    """Write a ratio with as many digits as mean something."""
    if abs(value) < 0.005:
        return "0"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3f}" if 0.9 <= abs(value) <= 1 else f"{value:.2g}"


def read_results(folder: Path, known: Sequence[Benchmark]) -> list[dict[str, Any]]:
    """Read what was found of each benchmark, in their order; those that were not run are left out."""
    paths = [folder / f"{benchmark.name}.json" for benchmark in known]
    return [json.loads(path.read_bytes()) for path in paths if path.is_file()]


def tables(results: Sequence[dict[str, Any]], known: Sequence[Benchmark]) -> str:
    """Write the claims, how to measure them again, and what was not measured, as Markdown."""
    if not results:
        return "Nothing was measured yet."
    return "\n".join([*_claims(results), "", *_runs(results), "", *_machines(results), *_missing(results, known)])


def rewrite(page: Path, folder: Path, known: Sequence[Benchmark]) -> None:
    """Put the tables between the two comments of a page.

    Raises:
        SystemExit: the page lacks them.
    """
    text = page.read_text("utf-8")
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise SystemExit(f"{page} lacks the comments between which the claims stand")
    written = tables(read_results(folder, known), known)
    atomic_write(page, f"{before}{BEGIN}\n\n{written}\n\n{END}{after}".encode())


def _claims(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| claim | found | lowest to highest | rounds | limit | | benchmark |"
    yield "|---|---|---|---|---|---|---|"
    for result in results:
        for claim in result["claims"]:
            spread = f"{number(claim['low'])} to {number(claim['high'])}"
            limit = f"{claim['relation']} {claim['limit']:g}"
            held = "holds" if claim["holds"] else "**missed**"
            cells = (claim["name"], number(claim["found"]), spread, str(len(claim["values"])), limit, held)
            yield f"| {' | '.join(cells)} | `{result['name']}` |"


def _runs(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| benchmark | what ran, each round | of what | took | load | day | code |"
    yield "|---|---|---|---|---|---|---|"
    for result in results:
        rounds = result["rounds"]
        samples = ", ".join(f"{count:,} {what}" for what, count in list(result["samples"].items())[:3])
        load = max(one["load"] for one in rounds)
        took = f"{sum(one['seconds'] for one in rounds):.0f} s"
        mode = "" if result["mode"] == "full" else ", quick mode"
        yield (
            f"| `{result['name']}` | `{result['command']}`{mode} | {samples} | {took} | {load:.1f} "
            f"| {result['date'][:10]} | {_code(result['git'])} |"
        )


def _machines(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Say where, naming the benchmarks only where there were several machines."""
    places: dict[str, list[str]] = {}
    for result in results:
        places.setdefault(_machine(result), []).append(f"`{result['name']}`")
    for place, names in places.items():
        yield place if len(places) == 1 else f"- {', '.join(names)}: {place}"


def _machine(result: dict[str, Any]) -> str:
    where, what = result["machine"], result["versions"]
    cards = f", {', '.join(where['gpus'])}" if where["gpus"] else ""
    packages = ", ".join(f"{name} {what[name]}" for name in ("torch", "cryptography", "onnxruntime") if name in what)
    memory = f"{where['memory'] / 1e9:.0f} GB"
    return f"{where['processor']}, {where['cores']} cores, {memory}{cards}; Python {what['python']}, {packages}."


def _missing(results: Sequence[dict[str, Any]], known: Sequence[Benchmark]) -> Iterator[str]:
    there = {result["name"] for result in results}
    missing = [f"`{benchmark.name}`" for benchmark in known if benchmark.name not in there]
    if missing:
        yield ""
        yield f"Not measured yet by the runner: {', '.join(missing)}."


def _code(git: dict[str, Any] | None) -> str:
    if git is None:
        return "no repository"
    return f"`{git['commit'][:9]}`{', changed' if git['dirty'] else ''}"
