"""The series of `benchmarks.scaling`, and how a point of one is measured.

    python -m benchmarks.scaling_points SERIES SIZE FOLDER

prints one point as JSON; each is measured in a process of its own.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Costs = dict[str, float]
Work = Callable[[], object]

_LONG_ENOUGH_S = 0.2
_CALLS = 300
BLOCK = 2000


@dataclass(frozen=True, slots=True)
class Series:
    """Describe a series.

    Attributes:
        name, unit: what grows.
        sizes: in the full mode, rising.
        quick: in the quick mode; () to leave it out.
        module: where `prepare_<name>` and `begin_<name>` are. The first makes files for all points in a folder and may
            be missing; the second is given a size and that folder, makes what one point stands on, and returns what is
            measured: a function that gives processor seconds by curve.
    """

    name: str
    unit: str
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    module: str

    def prepare(self, folder: Path, sizes: Sequence[int]) -> None:
        """Make the files that all points share."""
        prepare = getattr(importlib.import_module(self.module), f"prepare_{self._function}", None)
        if prepare is not None:
            prepare(folder, sizes)

    def measure(self, size: int, folder: Path) -> dict[str, Any]:
        """Measure one point, in this process."""
        begin = getattr(importlib.import_module(self.module), f"begin_{self._function}")
        work: Callable[[], Costs] = begin(size, folder)
        before = _restart_peak()
        costs = work()
        after = _peak()
        return {"processor_s": costs, "peak": after - before if before is not None and after is not None else None}

    @property
    def _function(self) -> str:
        return self.name.replace(" ", "_")


_FRONT, _SCENES, _LENDING = "benchmarks.scaling_front", "benchmarks.scaling_scenes", "benchmarks.scaling_lending"
_ALL = (
    Series("clip length", "s", (4, 8, 16, 28, 56, 112), (4, 8, 12), _FRONT),
    Series("resolution", "rows", (320, 480, 720, 1080, 1440), (), _FRONT),
    Series("generated clip", "frames", (16, 32, 64, 128, 256, 512), (), _SCENES),
    Series("people", "people", (1, 2, 3, 4, 6, 8), (), _SCENES),
    Series("doubles", "doubles", (10, 100, 1000, 10_000), (20, 200, 2000), "benchmarks.scaling_doubles"),
    Series("grants", "grants", (100, 1000, 10_000, 50_000, 200_000), (100, 1000, 10_000), _LENDING),
    Series("revocations", "revoked", (100, 1000, 10_000, 100_000, 1_000_000), (100, 1000, 10_000), _LENDING),
    Series("receipts", "receipts", (100, 1000, 10_000, 30_000), (50, 200, 800), _LENDING),
)
SERIES = {one.name: one for one in _ALL}


def blocks(size: int) -> list[range]:
    """Cut `size` rows into those that are put in at once."""
    return [range(start, min(start + BLOCK, size)) for start in range(0, size, BLOCK)]


def per_call(work: Work) -> float:
    """Median processor time of a call, after one that does not count; longer ones are called fewer times."""
    work()
    spent: list[float] = []
    while len(spent) < _CALLS and sum(spent) < _LONG_ENOUGH_S:
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return statistics.median(spent)


def _restart_peak() -> int | None:
    """Let the system count the peak of resident memory from now on; what there is now, None where it does not."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
        return _peak()
    return None


def _peak() -> int | None:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


def main() -> None:
    """Measure one point."""
    name, size, folder = sys.argv[1:]
    print(json.dumps(SERIES[name].measure(int(size), Path(folder))))


if __name__ == "__main__":
    main()
