"""The verb that measures: likeness of generated clips, and what an adapter gives back."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from cameo.cli import Verb
from cameo.cli.arguments import VerbParser
from cameo.errors import UsageError

BENCHES = {
    "fidelity": Verb("cameo.cli.bench_fidelity:fidelity", "how much do generated clips look like the people?"),
    "leakage": Verb("cameo.cli.bench_leakage:leakage", "how much of the recording does an adapter give back?"),
}


def bench(words: Sequence[str]) -> None:
    """Run `cameo bench`."""
    if words and words[0] in BENCHES:
        module, function = BENCHES[words[0]].target.split(":")
        getattr(import_module(module), function)(words[1:])
        return
    lines = "\n".join(f"  cameo bench {name:<8}  {one.help}" for name, one in BENCHES.items())
    parser = VerbParser("bench", f"Measure what others can measure again. One of:\n\n{lines}")
    parser.add_argument("bench", choices=tuple(BENCHES), metavar="|".join(BENCHES))
    if not words:
        parser.print_help(sys.stderr)
        raise SystemExit(UsageError.exit_code)
    parser.parse_args(words)
