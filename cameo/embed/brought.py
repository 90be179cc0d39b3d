"""What holds for every encoder that somebody brings: where it runs, and what it may promise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cameo.embed.calibration import find_calibration
from cameo.errors import MissingWeights
from cameo.records import MATCHED

if TYPE_CHECKING:
    from pathlib import Path

    from cameo.records import EncoderInfo

CALIBRATION = "calibration.json"
# Looser rates say little about who somebody is. Source: issue 4, which states accuracy at this one.
MATCHED_RATE = 0.01
_CALIBRATION_LIMIT = 1 << 20
_DEVICES = ("cpu", "cuda")


def split_device(place: str) -> tuple[str, str]:
    """Take `@cpu` or `@cuda` off the end of a place: the place, and "cpu" or "cuda"."""
    head, at, tail = place.rpartition("@")
    return (head, tail) if at and head and tail in _DEVICES else (place, "cpu")


def calibrated(encoder: EncoderInfo, folder: Path) -> EncoderInfo:
    """Take threshold and assurance from a measurement of this encoder, if there is one.

    `calibration.json` beside the weights comes first, as `benchmarks.verification --calibrate` writes it, then the
    table in the package. Only a threshold at a false accept rate of 1 % or less makes an encoder `matched`.

    Raises:
        MissingWeights: the file beside the weights cannot be read.
    """
    beside = folder / CALIBRATION
    found = None
    if beside.is_file():
        if beside.stat().st_size > _CALIBRATION_LIMIT:
            raise MissingWeights(f"{beside} is too long to be a calibration", "write it anew, or remove it")
        found = find_calibration(encoder, beside)
    found = found or find_calibration(encoder)
    strict = [t for t in found.thresholds if t.rate <= MATCHED_RATE] if found else []
    if not found or not strict:
        return encoder
    best = min(strict, key=lambda threshold: threshold.rate)
    source = f"{found.source}; {best.rate:.1%} false accepts, at most {best.at_most:.2%}"
    return replace(encoder, assurance=MATCHED, threshold=best.score, threshold_source=source)
