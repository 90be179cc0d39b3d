"""Encode pictures with deepface, for another process: its TensorFlow and its OpenCV do not go beside ours.

    python deepface_server.py MODEL

Run by the Python of an environment that has deepface; needs nothing of cameo. Reads arrays `[N, H, W, 3]` uint8 RGB in
NumPy's format from standard input, each after its length (8 bytes, little-endian), and answers each in the same way
with `[N, 1 + D]` float32: whether a face was found, and its embedding. The detector is deepface's default, which finds
its own faces; the largest one counts.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any, BinaryIO

import numpy as np

LENGTH_BYTES = 8


def receive(stream: BinaryIO) -> np.ndarray | None:
    """Read one array; None at the end."""
    head = stream.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    return np.load(io.BytesIO(stream.read(int.from_bytes(head, "little"))), allow_pickle=False)


def send(stream: BinaryIO, array: np.ndarray) -> None:
    """Write one array."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    stream.write(len(buffer.getvalue()).to_bytes(LENGTH_BYTES, "little") + buffer.getvalue())
    stream.flush()


def largest(faces: list[dict[str, Any]]) -> list[float]:
    """What is told of the largest face: 1 or 0, and the embedding."""
    face = max(faces, key=lambda one: one["facial_area"]["w"] * one["facial_area"]["h"])
    # Without a face the whole picture is encoded, with a confidence of 0.
    return [float(face["face_confidence"] > 0), *face["embedding"]]


def main() -> None:
    """Answer until the other side goes away."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # TensorFlow and deepface print
    from deepface import DeepFace  # type: ignore[import-not-found, unused-ignore]

    model = sys.argv[1]
    while (frames := receive(sys.stdin.buffer)) is not None:
        rows = [
            largest(DeepFace.represent(np.ascontiguousarray(frame[..., ::-1]), model, enforce_detection=False))
            for frame in frames
        ]
        send(answers, np.array(rows, np.float32))


if __name__ == "__main__":
    main()
