"""Look at parts of the face: is the light even, are eyes and mouth free?

The face is brought to one shape by its eyes and mouth, so that every part has a fixed place. Only frames that look
into the camera are measured, and only some of them: light and glasses do not change from frame to frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from cameo.records import Clip, FaceTrack, Float32, UInt8

_FRAMES = 24
_FRONTAL_DEG = 20.0
_SIZE = 224
_EYES, _MOUTH = ((64.0, 72.0), (160.0, 72.0)), (112.0, 172.0)
_ZONE = 29  # 0.3 of the distance between the eyes

# Rows and columns of the parts in the common shape.
_CHEEKS = (
    (slice(122, 122 + _ZONE), slice(64 - _ZONE, 64)),
    (slice(122, 122 + _ZONE), slice(160, 160 + _ZONE)),
)
_EYE_ZONES = ((slice(60, 86), slice(42, 86)), (slice(60, 86), slice(138, 182)))
_UNDER_EYES = ((slice(112, 132), slice(56, 88)), (slice(112, 132), slice(136, 168)))  # below large glasses
_BRIDGE = (slice(62, 84), slice(98, 126))  # between the eyes: what is over the mouth may cover the cheeks as well
_LIPS = (slice(160, 188), slice(84, 140))


@dataclass(frozen=True, slots=True)
class FaceRegions:
    """Hold what parts of the face look like, medians over the frames measured.

    Attributes:
        evenness: luminance of the darker cheek over that of the lighter one, 0..1.
        eyes_light: luminance of the darker eye's light parts over that of the skin below it; 1 is alike.
        lips_red: redness (CIELAB a*) of the mouth's red parts over that of the skin between the eyes.
    """

    evenness: float
    eyes_light: float
    lips_red: float


def measure_regions(clip: Clip, track: FaceTrack) -> FaceRegions:
    """Measure the parts of the main face; at least one frame must hold a face."""
    rows = [_measure(_shaped(clip.frames[i], track.points[i])) for i in _chosen(track)]
    return FaceRegions(*(float(value) for value in np.median(np.array(rows), axis=0)))


def _chosen(track: FaceTrack) -> list[int]:
    """Frames spread over those that look into the camera, or over all with a face when none does."""
    found = np.flatnonzero(track.found)
    frontal = found[np.abs(track.yaw_deg[found]) <= _FRONTAL_DEG]
    some = frontal if len(frontal) else found
    return [int(i) for i in some[np.unique(np.linspace(0, len(some) - 1, _FRAMES).round().astype(int))]]


def _shaped(image: UInt8, points: Float32) -> UInt8:
    """Bring a face to the common shape, `[224, 224, 3]`."""
    here = np.array([points[0], points[1], points[3:5].mean(0)], np.float32)
    matrix = cv2.getAffineTransform(here, np.array([*_EYES, _MOUTH], np.float32))
    return np.asarray(cv2.warpAffine(image, matrix, (_SIZE, _SIZE), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _measure(face: UInt8) -> tuple[float, float, float]:
    return _evenness(face), _eyes_light(face), _lips_red(face)


def _evenness(face: UInt8) -> float:
    """Compare the mean luminance of the two cheeks.

    Source: ISO/IEC 39794-5, intensity in zones of 0.3 eye distances. OFIQ intersects the zones' histograms instead,
    which on the smooth cheeks of small faces gives 0 for every difference larger than the grain of the skin.
    """
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    darker, lighter = sorted(float(grey[zone].mean()) for zone in _CHEEKS)
    return darker / max(lighter, 1.0)


def _eyes_light(face: UInt8) -> float:
    """Lids and the white of an eye are about as light as the skin below; behind dark glasses nothing is."""
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
    shares = [
        float(np.percentile(grey[eye], 75)) / max(float(np.median(grey[skin])), 1.0)
        for eye, skin in zip(_EYE_ZONES, _UNDER_EYES, strict=True)
    ]
    return min(shares)


def _lips_red(face: UInt8) -> float:
    """Lips are redder than other skin, in a beard too; what is worn over them seldom is."""
    red = cv2.cvtColor(face, cv2.COLOR_RGB2LAB)[..., 1].astype(np.float32) - 128
    return float(np.percentile(red[_LIPS], 75)) - float(np.median(red[_BRIDGE]))
