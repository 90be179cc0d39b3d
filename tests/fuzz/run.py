"""Fuzz one target, guided by coverage: `python -m tests.fuzz.run TARGET --seconds N`.

The corpus in `tests/vectors/` is where it starts from. What breaks a target is printed and kept in `--keep`; the exit
status is then not 0.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]

# Only what is imported within is instrumented: libraries would slow it down and lead it astray.
with atheris.instrument_imports(include=["cameo.grants", "cameo.seal", "cameo.crypto"]):
    from tests.fuzz.targets import TARGETS, seeds


def main() -> None:
    """Read the command line and fuzz until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="where inputs that break it are written; default: nowhere for long")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cameo-fuzz-") as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for seed in seeds(told.target):
            (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
        keep = told.keep or Path(folder)
        keep.mkdir(parents=True, exist_ok=True)
        flags = [
            f"-max_total_time={told.seconds}",
            f"-seed={told.seed}",
            f"-artifact_prefix={keep}/",
            "-max_len=65536",
            "-timeout=10",
            # Not the whole: the system counts what the process that started this one once used.
            "-rss_limit_mb=0",
            "-malloc_limit_mb=1024",
            "-print_final_stats=1",
        ]
        atheris.Setup([sys.argv[0], *flags, str(corpus)], TARGETS[told.target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
