"""Average unit vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cameo.records import Float32


def mean_direction(vectors: Float32) -> Float32:
    """The unit vector `[D]` along the mean of unit vectors `[N, D]`, of which there is at least one."""
    mean = vectors.mean(0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)
