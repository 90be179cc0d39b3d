"""Make the two templates of one person from a recording: the best frames for the face, speech only for the voice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cameo.embed.template import pool

if TYPE_CHECKING:
    from cameo.embed.face import FaceEncoder
    from cameo.embed.voice import VoiceEncoder
    from cameo.records import Bool, Clip, FaceTrack, Float32, QualityReport, Speech, Template

FRAMES = 60  # offered to a face template: the best one of as many equal stretches of the recording


def pool_face(
    encoder: FaceEncoder, clip: Clip, track: FaceTrack, quality: QualityReport
) -> tuple[Template, Float32, Bool]:
    """Pool the best frames of a recording, spread over its length.

    Returns:
        The template; `[T]` cosine of each frame that was encoded to it, NaN for the others; `[T]` which were encoded.

    Raises:
        CaptureRejected: fewer than `template.MIN_FRAMES` faces could be encoded.
    """
    chosen = best_frames(quality.frame_scores)
    vectors, found = encoder.embed(clip.frames[chosen], track.points[chosen])
    scores = quality.frame_scores[chosen]
    template = pool(vectors[found], scores[found], encoder.info)
    likeness = np.full(len(clip.frames), np.nan, np.float32)
    likeness[chosen[found]] = vectors[found] @ template.vector
    used = np.zeros(len(clip.frames), bool)
    used[chosen[found]] = True
    return template, likeness, used


def pool_voice(encoder: VoiceEncoder, speech: Speech) -> tuple[Template, Float32]:
    """Pool windows of the speech; returns the template and the cosine of each window to it, `[K]`.

    Raises:
        CaptureRejected: there is less than a second of speech.
    """
    vectors = encoder.embed_windows(speech.samples)
    template = pool(vectors, None, encoder.info)
    return template, (vectors @ template.vector).astype(np.float32)


def best_frames(scores: Float32, count: int = FRAMES) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Indices of the best-scored frame of each of `count` stretches of the usable ones, rising."""
    usable = np.flatnonzero(scores > 0)
    stretches = np.array_split(usable, min(count, max(1, len(usable))))
    return np.array([part[scores[part].argmax()] for part in stretches if len(part)], np.intp)
