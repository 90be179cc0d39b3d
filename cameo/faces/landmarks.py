"""Locate ten landmarks in frames, given rough face boxes."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from safetensors.torch import load_file

from cameo.faces.detect import find_faces, to_grey
from cameo.faces.landmark_net import CROP, LandmarkNet, normalise

if TYPE_CHECKING:
    from cameo.records import Float32, UInt8

EYES_OVER_BOX = 0.38  # inter-eye distance over the width of a Haar box
CROP_OVER_BOX = 1.3
EYE_DROP = 0.12  # the crop's centre lies this many box widths below the eyes
MIRRORED = (1, 0, 2, 4, 3, 5, 6, 7, 9, 8)  # landmark order after mirroring
BATCH = 64


@cache
def load_landmark_net() -> LandmarkNet:
    """Load the weights that ship with the package."""
    net = LandmarkNet()
    with as_file(files("cameo.faces") / "weights" / "landmarks.safetensors") as path:
        net.load_state_dict(load_file(path))
    return net.eval()


def box_frames(boxes: Float32) -> Float32:
    """Turn boxes `[N, 4]` into crop frames `[N, 4]`: centre x, centre y, half extent in pixels, angle in radians."""
    x, y, w, h = boxes.T
    return np.stack([x + w / 2, y + h / 2, w * CROP_OVER_BOX / 2, np.zeros_like(w)], 1).astype(np.float32)


def frame_boxes(places: Float32) -> Float32:
    """Turn crop frames `[N, 4]` back into upright boxes `[N, 4]`: x, y, width, height in pixels."""
    x, y, half, _ = places.T
    side = 2 * half / CROP_OVER_BOX
    return np.stack([x - side / 2, y - side / 2, side, side], 1).astype(np.float32)


def point_frames(points: Float32) -> Float32:
    """Place crop frames `[N, 4]` on known points `[N, 10, 2]`, upright along the eyes."""
    left, right, mouth = points[:, 0], points[:, 1], points[:, 3:5].mean(1)
    eyes = (left + right) / 2
    across = np.linalg.norm(right - left, axis=1)
    down = np.linalg.norm(mouth - eyes, axis=1)
    box = np.maximum(across, 0.95 * down) / EYES_OVER_BOX  # eyes come closer when a head turns, the mouth does not
    angle = np.arctan2(right[:, 1] - left[:, 1], right[:, 0] - left[:, 0])
    below = np.stack([-np.sin(angle), np.cos(angle)], 1) * (EYE_DROP * box)[:, None]
    return np.column_stack([eyes + below, box * CROP_OVER_BOX / 2, angle]).astype(np.float32)


def _crop(frame: UInt8, place: Float32) -> tuple[UInt8, Float32]:
    """Cut one crop and return it with the matrix `[2, 3]` from crop (-1..1) to picture pixels."""
    cx, cy, half, angle = (float(v) for v in place)
    cos, sin = np.cos(angle) * half, np.sin(angle) * half
    to_picture = np.array([[cos, -sin, cx], [sin, cos, cy]], np.float32)
    pixel = np.array([[2 / CROP, 0, 1 / CROP - 1], [0, 2 / CROP, 1 / CROP - 1], [0, 0, 1]], np.float32)
    grey = to_grey(frame)
    shrink = half * 2 / CROP
    if shrink > 2:  # blur before sampling sparsely, or hair turns into noise
        grey = np.asarray(cv2.blur(grey, (int(shrink), int(shrink))), np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(grey, to_picture @ pixel, (CROP, CROP), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8), to_picture


@torch.no_grad()
def locate(frames: UInt8, places: Float32) -> tuple[Float32, Float32, Float32]:
    """Find landmarks in `[N, H, W, 3]` frames, one crop frame `[N, 4]` each.

    Returns points `[N, 10, 2]` in pixels, eye openness `[N]` 0..1 and lip gap `[N]` in inter-eye distances; each is
    the mean over the crop and its mirror image.
    """
    net = load_landmark_net()
    all_points, all_eyes, all_gaps = [], [], []
    for start in range(0, len(frames), BATCH):
        cut = [_crop(f, p) for f, p in zip(frames[start : start + BATCH], places[start : start + BATCH], strict=True)]
        crops = normalise(torch.from_numpy(np.stack([c for c, _ in cut]))[:, None].float() / 255)
        points, eyes, gaps = net(crops)
        flipped, eyes_f, gaps_f = net(crops.flip(-1))
        flipped = (flipped * torch.tensor([-1.0, 1.0]))[:, MIRRORED]
        matrix = torch.from_numpy(np.stack([m for _, m in cut]))
        mean = (points + flipped) / 2
        all_points.append((mean @ matrix[:, :, :2].transpose(1, 2) + matrix[:, None, :, 2]).numpy())
        all_eyes.append(((eyes + eyes_f) / 2).numpy())
        all_gaps.append(((gaps + gaps_f) / 2).numpy())
    return np.concatenate(all_points), np.concatenate(all_eyes), np.concatenate(all_gaps)


def find_landmarks(frames: UInt8) -> Float32:
    """Find the landmarks of the largest face of each of `[N, H, W, 3]` frames, `[N, 10, 2]` pixels, NaN without one."""
    points = np.full((len(frames), 10, 2), np.nan, np.float32)
    for i, frame in enumerate(frames):
        boxes = find_faces(to_grey(frame))
        if len(boxes):
            points[i] = locate(frames[i : i + 1], box_frames(boxes[:1]))[0][0]
    return points
