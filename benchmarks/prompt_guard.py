"""How many ordinary prompts the word rules refuse, how many forbidden ones they let pass, and how long they take.

    python -m benchmarks.prompt_guard [--ordinary FILE] [--missed] [--out FILE.json]

The prompts are those of tests/grants/prompts, all six uses prohibited. --ordinary measures another file of harmless
prompts, one a line; --missed prints what was judged wrongly.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import write_result
from cameo.grants.guard import judge_prompt

PROMPTS = Path(__file__).resolve().parents[1] / "tests" / "grants" / "prompts"
USES = ("intimate", "minors", "political", "financial-fraud", "identity-fraud", "endorsement")
ROUNDS = 200
TIMED = (
    "A cheerful man juggles oranges on a beach at sunset while his friends clap, the camera slowly pans around him, "
    "waves roll in, a dog runs by with a stick, warm light, handheld, film grain, shallow focus."
)


@dataclass(frozen=True)
class Forbidden:
    """Hold a prompt that shows a prohibited use, and how it says so."""

    use: str
    technique: str
    prompt: str


@dataclass(frozen=True)
class Count:
    """Hold how many prompts of a kind there are, and those that were judged wrongly."""

    total: int
    wrong: tuple[str, ...]

    @property
    def right(self) -> int:
        """Count those that were judged as they should be."""
        return self.total - len(self.wrong)


def ordinary(path: Path = PROMPTS / "ordinary.txt") -> list[str]:
    """Read harmless prompts, one a line."""
    lines = path.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def forbidden(name: str) -> list[Forbidden]:
    """Read `name`.tsv: use, technique if there is one, prompt, what cannot be seen escaped as in Python."""
    found = []
    for line in ordinary(PROMPTS / f"{name}.tsv"):
        use, *technique, prompt = line.split("\t")
        spelled = re.sub(r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})", lambda m: chr(int(m[1] or m[2], 16)), prompt)
        found.append(Forbidden(use, technique[0] if technique else name, spelled))
    return found


def false_alarms(prompts: Sequence[str]) -> Count:
    """Count harmless prompts; wrong are those refused."""
    return Count(len(prompts), tuple(p for p in prompts if not judge_prompt(p, USES, (), "birthday").allowed))


def caught(cases: Sequence[Forbidden]) -> Count:
    """Count forbidden prompts; wrong are those that pass although their use is prohibited."""
    return Count(len(cases), tuple(c.prompt for c in cases if judge_prompt(c.prompt, (c.use,), (), "birthday").allowed))


def seconds_for(prompt: str) -> float:
    """Measure the best time of one judgement, the list being loaded."""
    judge_prompt(prompt, USES, (), "birthday")
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        judge_prompt(prompt, USES, (), "birthday")
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    """Measure, and print one line for each kind of prompt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ordinary", type=Path)
    parser.add_argument("--missed", action="store_true")
    parser.add_argument("--out", type=Path, help="write everything as JSON")
    args = parser.parse_args()
    rows = {"ordinary": false_alarms(ordinary())}
    if args.ordinary:
        rows[str(args.ordinary)] = false_alarms(ordinary(args.ordinary))
    cases = forbidden("disguised")
    for technique in dict.fromkeys(case.technique for case in cases):
        rows[technique] = caught([case for case in cases if case.technique == technique])
    rows["disguised, all"] = caught(cases)
    rows["unseen"] = caught(forbidden("unseen"))
    rows["paraphrased"] = caught(forbidden("paraphrased"))
    for name, count in rows.items():
        print(f"{name:20} {count.right:5} of {count.total} right")
        for prompt in count.wrong if args.missed else ():
            print(f"    {ascii(prompt)}")
    one_ms = 1000 * seconds_for(TIMED)
    print(f"{'one judgement':20} {one_ms:.2f} ms, {len(TIMED)} characters")
    if args.out:
        shares = {name: count.right / count.total for name, count in rows.items()}
        write_result(args.out, {"right": shares, "one_ms": one_ms}, {n: count.total for n, count in rows.items()})


if __name__ == "__main__":
    main()
