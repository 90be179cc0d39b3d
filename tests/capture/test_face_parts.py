"""Light, eyes, mouth, smear and coding blocks, on people made by code."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from cameo.capture.artefacts import blockiness, directional_detail, smeared_share
from cameo.capture.face_regions import measure_regions
from cameo.capture.picture_limits import COMPRESSION, EVENNESS, EYES_VISIBLE, MOTION_BLUR, MOUTH_VISIBLE
from cameo.records import Clip, FaceTrack
from tests.conftest import RenderedPerson, clip_of


def covered(clip: Clip, track: FaceTrack, part: str, colour: tuple[int, int, int]) -> Clip:
    """Paint dark glasses or a mask over the tracked face."""
    frames = clip.frames.copy()
    for i in np.flatnonzero(track.found):
        points = track.points[i]
        gap = float(np.linalg.norm(points[1] - points[0]))
        if part == "eyes":
            for eye in points[:2]:
                cv2.circle(frames[i], [int(v) for v in eye], int(0.36 * gap), colour, -1)
        else:
            mask = np.array([points[8], points[2], points[9], points[7] + [0, 0.2 * gap]], np.int32)
            cv2.fillConvexPoly(frames[i], cv2.convexHull(mask), colour)
    return dataclasses.replace(clip, frames=frames)


def test_a_free_face_is_quiet(person: RenderedPerson, person_track: FaceTrack) -> None:
    found = measure_regions(person.clip, person_track)
    assert EYES_VISIBLE.judge(found.eyes_light).level == "ok"
    assert MOUTH_VISIBLE.judge(found.lips_red).level == "ok"


@pytest.mark.parametrize("colour", [(10, 10, 12), (40, 30, 20)])
def test_dark_glasses(person: RenderedPerson, person_track: FaceTrack, colour: tuple[int, int, int]) -> None:
    found = measure_regions(covered(person.clip, person_track, "eyes", colour), person_track)
    assert EYES_VISIBLE.judge(found.eyes_light).level == "warn"


@pytest.mark.parametrize("colour", [(235, 235, 235), (20, 20, 22), (120, 170, 215)])
def test_masks(person: RenderedPerson, person_track: FaceTrack, colour: tuple[int, int, int]) -> None:
    found = measure_regions(covered(person.clip, person_track, "mouth", colour), person_track)
    assert MOUTH_VISIBLE.judge(found.lips_red).level == "warn"


def test_a_mask_in_the_colour_of_lips_cannot_be_told(person: RenderedPerson, person_track: FaceTrack) -> None:
    """What the docs say is not told, is not told: if this fails, the docs promise too little."""
    found = measure_regions(covered(person.clip, person_track, "mouth", (200, 110, 105)), person_track)
    assert MOUTH_VISIBLE.judge(found.lips_red).level == "ok"


@pytest.mark.parametrize(("share", "level"), [(1.0, "ok"), (0.6, "ok"), (0.4, "warn")])
def test_light_from_one_side(person_track: FaceTrack, share: float, level: str) -> None:
    """A plain face with the noise of a camera, lit to the right of the nose by a share of the light."""
    middle = np.nanmean(person_track.points[:, 2, 0])
    light = np.where(np.arange(128) < middle, 1, share)[None, None, :, None]
    noise = np.random.default_rng(0).normal(150, 12, (len(person_track.found), 128, 128, 1)) * light
    clip = clip_of(np.repeat(np.clip(noise, 0, 255), 3, 3).astype(np.uint8))
    assert EVENNESS.judge(measure_regions(clip, person_track).evenness).level == level


def test_detail_along_four_directions() -> None:
    stripes = np.tile(np.array([0, 200], np.uint8).repeat(2), (64, 16))
    across, _, down, _ = directional_detail(stripes)
    assert across > 1000
    assert down == 0
    turned = directional_detail(stripes.T.copy())
    assert turned[0] == 0
    assert turned[2] == pytest.approx(across)
    diagonal = (np.add.outer(np.arange(64), np.arange(64)) % 4 < 2).astype(np.uint8) * 200
    assert directional_detail(diagonal)[3] == 0
    assert directional_detail(diagonal[:, ::-1].copy())[1] == 0


def test_smear_is_told_from_bad_focus() -> None:
    random = np.random.default_rng(1)
    sharp = random.normal(120, 30, (40, 64, 64)).clip(0, 255).astype(np.uint8)
    line = np.full((1, 9), 1 / 9, np.float32)

    round_blur = cv2.getGaussianKernel(9, 2) @ cv2.getGaussianKernel(9, 2).T

    def share(blur: np.ndarray) -> float:
        frames = [cv2.filter2D(f, -1, blur) if i % 2 else f for i, f in enumerate(sharp)]
        return smeared_share(np.array([directional_detail(f) for f in frames], np.float32))

    assert share(line) == share(line.T) == 0.5
    assert share(round_blur) == 0
    assert smeared_share(np.full((3, 4), np.nan, np.float32)) == 0
    assert MOTION_BLUR.judge(100 * share(line)).level == "warn"


def recorded(clip: Clip, quality: int, scale: float = 1.0, shift: int = 0) -> Clip:
    """Compress frames enlarged twice as JPEG, then shift and scale them as a reader would."""
    frames = []
    for frame in clip.frames[::10]:
        large = cv2.resize(frame, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
        coded = cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        seen = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))[shift:, shift:]
        frames.append(cv2.resize(seen, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    height, width = seen.shape[:2]
    made = clip_of(np.stack(frames))
    return dataclasses.replace(made, source=dataclasses.replace(made.source, width=width, height=height))


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0), (1.0, 3), (0.8, 0), (0.6, 0)])
def test_coding_blocks(person: RenderedPerson, scale: float, shift: int) -> None:
    strong, weak = (blockiness(recorded(person.clip, q, scale, shift)) for q in (8, 95))
    assert strong is not None
    assert weak is not None
    assert COMPRESSION.judge(strong).level == "warn"
    assert COMPRESSION.judge(weak).level == "ok"


def test_blocks_that_were_scaled_away_are_not_judged(person: RenderedPerson) -> None:
    assert blockiness(recorded(person.clip, 8, 0.4)) is None
