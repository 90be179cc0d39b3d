"""Caption footage for generators that learn from words: the scene and the pose, never the person's traits.

What a caption names, an adapter need not learn: it would then come and go with the words. So captions name what must
not stick to the person (where the head looks, whether the mouth is open), and leave out all that must.
Source of the rule: the captioning advice of the trainers people use, such as kohya-ss/musubi-tuner and
ostris/ai-toolkit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from cameo.generators.base import Footage

SCENE = "a person talking to the camera"
POSES = ("", ", the head turned to the left", ", the head turned to the right", ", looking down")
_TURNED = 0.18  # how far the nose lies off the middle of the eyes, in distances between them: about 15 degrees
_LOWERED = 0.62  # how far below the eyes the tip of the nose lies, likewise; 0.45 to 0.55 looking straight


def caption(footage: Footage, start: int, stop: int) -> str:
    """Describe the frames start..stop; left and right are the picture's."""
    across, down = _nose(footage.motion.points[start:stop])
    if abs(across) >= _TURNED:
        return SCENE + POSES[1 if across < 0 else 2]
    return SCENE + POSES[3 if down >= _LOWERED else 0]


def _nose(points: Tensor) -> tuple[float, float]:
    """Place of the nose's tip against the middle of the eyes, in distances between them, mean over `[T, 10, 2]`."""
    left, right, nose = (points[:, k] for k in range(3))
    apart = (right - left).norm(dim=1).clamp_min(1e-6)
    offset = (nose - (left + right) / 2) / apart[:, None]
    return float(offset[:, 0].mean()), float(offset[:, 1].mean())
