"""Print numbers the way people read them."""

from __future__ import annotations

import math

UNKNOWN = "–"


def number(value: float) -> str:
    """Print a measured value with three significant digits, large ones without decimals."""
    if not math.isfinite(value):
        return UNKNOWN
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def likeness(value: float) -> str:
    """Print a cosine with two decimals."""
    return f"{value:.2f}" if math.isfinite(value) else UNKNOWN


def size(count: int) -> str:
    """Print a number of bytes with a decimal unit."""
    value = float(count)
    for unit in ("bytes", "kB", "MB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def duration(seconds: float) -> str:
    """Print a time span in seconds, from a minute on in minutes and seconds."""
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds >= 0.1 else f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
