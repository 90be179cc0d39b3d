"""Caption footage for generators that are told in words: the scene, the pose and the expression, never the person.

What a caption names, the words carry; what it leaves out, the adapter has to learn. So nothing that stays the same
about somebody (age, skin, hair, build, sex, glasses) may be in it, or the adapter would not know it, and a prompt that
names something else would lose the likeness.
"""

from __future__ import annotations

import numpy as np
import torch

from cameo.faces.track import head_pose
from cameo.generators.base import Footage

TURNED_DEG, TILTED_DEG = 15.0, 12.0  # from here on a head is not frontal; ISO/IEC 29794-5 has 15 for yaw
OPEN_GAP, TALKING_GAP = 0.18, 0.04  # of the distance between the eyes: lips apart, and their parting's deviation
CLOSED_EYES = 0.3  # openness
DIM, BRIGHT = 0.25, 0.75  # mean luminance, 0..1; the limits of the quality gate
CLOSE_UP, HALF_LENGTH = 0.3, 0.12  # from the eyes to the mouth over the height of the picture
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
# What a judge has drawn: one scene, four poses, in the words of the captions.
REHEARSED = tuple(
    f"a head-and-shoulders shot of a person talking, looking {pose}, in even light"
    for pose in ("into the camera", "to the left", "to the right", "down")
)


def describe(footage: Footage) -> str:
    """Caption footage in a sentence; the same footage has the same caption."""
    points = footage.motion.points
    apart = (points[:, 1] - points[:, 0]).norm(dim=-1).clamp_min(1e-6)
    gap = (points[:, 6] - points[:, 5]).norm(dim=-1) / apart
    parts = [f"{_framing(points)} of a person {_action(gap)}", *_pose(points), *_expression(gap, footage)]
    return ", ".join([*parts, _light(footage)])


def _framing(points: torch.Tensor) -> str:
    length = float(((points[:, 3] + points[:, 4]) / 2 - (points[:, 0] + points[:, 1]) / 2).norm(dim=-1).median()) / 2
    if length >= CLOSE_UP:
        return "a close-up"
    return "a head-and-shoulders shot" if length >= HALF_LENGTH else "a wide shot"


def _action(gap: torch.Tensor) -> str:
    talks = len(gap) > 1 and float(gap.std()) >= TALKING_GAP
    return "talking" if talks else "in front of the camera"


def _pose(points: torch.Tensor) -> list[str]:
    yaw, pitch, _ = (float(np.median(angle)) for angle in head_pose(points.numpy().astype(np.float32)))
    words = []
    if abs(yaw) >= TURNED_DEG:
        words.append(f"looking to the {'right' if yaw > 0 else 'left'}")
    if abs(pitch) >= TILTED_DEG:
        words.append(f"looking {'down' if pitch > 0 else 'up'}")
    return words or ["looking into the camera"]


def _expression(gap: torch.Tensor, footage: Footage) -> list[str]:
    words = [f"mouth {'open' if float(gap.median()) >= OPEN_GAP else 'closed'}"]
    return words + ["eyes closed"] * (float(footage.motion.eye_open.median()) < CLOSED_EYES)


def _light(footage: Footage) -> str:
    luma = float((footage.frames.float().mean((0, 1, 2)) / 255 * torch.tensor(LUMA)).sum())
    if luma < DIM:
        return "in dim light"
    return "in bright light" if luma > BRIGHT else "in even light"
