"""FaceSim written out directly on insightface, onnxruntime and numpy, to hold the harness against."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime


def open_pack(folder: Path) -> Any:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from insightface.app import FaceAnalysis

        app = FaceAnalysis(
            str(folder), allowed_modules=["detection", "recognition"], providers=["CPUExecutionProvider"]
        )
        app.prepare(ctx_id=-1, det_size=(320, 320))
    return app


def find(app: Any, rgb: np.ndarray) -> tuple[Any, np.ndarray] | None:
    """Largest face, or that with a grey margin: what insightface says of it, and its crop for CurricularFace."""
    from insightface.utils import face_align

    bgr = rgb[..., ::-1].copy()
    h, w = int(0.25 * bgr.shape[0]), int(0.25 * bgr.shape[1])
    grey = cv2.copyMakeBorder(bgr, h, h, w, w, cv2.BORDER_CONSTANT, value=(128, 128, 128))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-image
        for picture, corner in ((bgr, (0, 0)), (grey, (w, h))):
            faces = sorted(app.get(picture), key=lambda f: (f.bbox[2] - f.bbox[0]) * (f.bbox[3] - f.bbox[1]))
            if faces:
                crop = face_align.norm_crop(bgr, faces[-1].kps - np.array(corner), image_size=224)
                small = cv2.resize(crop[..., ::-1].copy(), (112, 112)).transpose(2, 0, 1).astype(np.float32)
                return faces[-1], (small / 255 - 0.5) / 0.5
    return None


def facesim(pack: Path, curricular: Path, reference: np.ndarray, frames: list[np.ndarray]) -> tuple[float, float]:
    """Return FaceSim-Arc and FaceSim-Cur of RGB frames, zeros and all."""
    app, cur = open_pack(pack), onnxruntime.InferenceSession(str(curricular), providers=["CPUExecutionProvider"])
    faces = [
        (f.embedding, cur.run(None, {"input.1": c[None]})[0][0])
        for f, c in filter(None, (find(app, x) for x in (reference, *frames)))
    ]
    cosines = [
        [
            max(0.0, float(one[k] @ faces[0][k] / np.linalg.norm(one[k]) / np.linalg.norm(faces[0][k])))
            for one in faces[1:]
        ]
        for k in (0, 1)
    ]
    arc, other = (float(np.mean(some)) if some else 0.0 for some in cosines)
    return arc, other
