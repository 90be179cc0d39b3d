"""Read head pose and 106 landmarks with the models a pack may hold for them (`1k3d68`, `2d106det`), for the gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cameo.errors import MissingWeights
from cameo.onnx_files import first_line

if TYPE_CHECKING:
    from cameo.embed.face_detector import Face
    from cameo.records import Float32, UInt8

POSE_TASK, POINTS_TASK = "landmark_3d_68", "landmark_2d_106"
TASKS = (POSE_TASK, POINTS_TASK)


@dataclass(frozen=True, slots=True)
class PackLandmarks:
    """Hold the models of a pack by task; either may be missing."""

    _models: dict[str, Any]

    @property
    def has_pose(self) -> bool:
        """Whether the pack can tell head pose."""
        return POSE_TASK in self._models

    @property
    def has_points(self) -> bool:
        """Whether the pack has 106 landmarks."""
        return POINTS_TASK in self._models

    def pose(self, frame: UInt8, face: Face) -> Float32:
        """Read yaw, pitch and roll in degrees, `[3]`, signs as in `records.FaceTrack`; NaN without the model.

        InsightFace's pitch grows upwards, ours downwards; yaw and roll agree, judged by turning its mean shape.
        """
        values = self._run(POSE_TASK, frame, face).get("pose")
        if values is None:
            return np.full(3, np.nan, np.float32)
        pitch, yaw, roll = values
        return np.array([yaw, -pitch, roll], np.float32)

    def points(self, frame: UInt8, face: Face) -> Float32:
        """Find 106 landmarks, `[106, 2]` pixels; NaN without the model."""
        found = self._run(POINTS_TASK, frame, face).get(POINTS_TASK)
        return np.full((106, 2), np.nan, np.float32) if found is None else np.asarray(found, np.float32)

    def _run(self, task: str, frame: UInt8, face: Face) -> dict[str, Any]:
        if task not in self._models:
            return {}
        seen = _Seen(face.box)
        try:
            self._models[task].get(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), seen)
        except Exception as error:  # onnxruntime's classes derive from nothing else, and wrong shapes end in any
            raise MissingWeights(f"cannot run the model for {task}: {first_line(error)}", "use another pack") from error
        return seen


class _Seen(dict[str, Any]):
    """Be the face that InsightFace's models read `bbox` from and write their results to."""

    def __init__(self, box: Float32) -> None:
        super().__init__()
        self.bbox = box
