"""Make the two templates of one person from a recording: the best frames for the face, speech only for the voice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cameo.embed.template import FRONTAL_DEG, pool, pool_views

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cameo.embed.face import FaceEncoder
    from cameo.records import Bool, Clip, EncoderInfo, FaceSightings, FaceTrack, Float32, QualityReport, Template

    Indices = NDArray[np.intp]

SIDE_FRAMES = 6  # added from each side to which the head turns: the best frames of a stretch seldom show one
FRAMES = 60  # offered to a face template: the best one of as many equal stretches of the recording


def pool_face(
    encoder: FaceEncoder, clip: Clip, track: FaceTrack, quality: QualityReport, seen: FaceSightings | None = None
) -> tuple[Template, Float32, Bool]:
    """Pool the best frames of a recording, spread over its length, and a view of each side they show.

    Faces are aligned where the encoder's own detector saw them, if `seen` is given, else by the points of `track`.

    Returns:
        The template; `[T]` cosine of each frame that was encoded to it, NaN for the others; `[T]` which were encoded.

    Raises:
        CaptureRejected: fewer than `template.MIN_FRAMES` faces could be encoded.
    """
    chosen = with_sides(best_frames(quality.frame_scores), quality.frame_scores, track.yaw_deg)
    vectors, found = encoder.embed(clip.frames[chosen], (seen or track).points[chosen])
    scores = quality.frame_scores[chosen]
    template = pool_views(vectors[found], scores[found], track.yaw_deg[chosen][found], encoder.info)
    likeness = np.full(len(clip.frames), np.nan, np.float32)
    likeness[chosen[found]] = vectors[found] @ template.vector
    used = np.zeros(len(clip.frames), bool)
    used[chosen[found]] = True
    return template, likeness, used


def pool_windows(windows: Float32, encoder: EncoderInfo) -> tuple[Template, Float32]:
    """Pool `[K, D]` windows of speech; returns the template and the cosine of each window to it, `[K]`.

    Raises:
        CaptureRejected: there are none: less than a second of speech.
    """
    template = pool(windows, None, encoder)
    return template, (windows @ template.vector).astype(np.float32)


def best_frames(scores: Float32, count: int = FRAMES) -> Indices:
    """Indices of the best-scored frame of each of `count` stretches of the usable ones, rising."""
    usable = np.flatnonzero(scores > 0)
    stretches = np.array_split(usable, min(count, max(1, len(usable))))
    return np.array([part[scores[part].argmax()] for part in stretches if len(part)], np.intp)


def with_sides(chosen: Indices, scores: Float32, yaw_deg: Float32) -> Indices:
    """Add the best frames of each side to which the head turns, so that each has `SIDE_FRAMES` where it can."""
    added = [chosen]
    for side in (-1, 1):
        turned = np.flatnonzero((side * np.nan_to_num(yaw_deg) > FRONTAL_DEG) & (scores > 0))
        others = np.setdiff1d(turned, chosen)
        missing = SIDE_FRAMES - int(np.isin(chosen, turned).sum())
        if missing > 0:
            added.append(others[best_frames(scores[others], missing)])
    return np.unique(np.concatenate(added))
