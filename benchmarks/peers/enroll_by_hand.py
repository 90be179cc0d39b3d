"""Make a face and a voice embedding of each clip as a user's script does: OpenCV, InsightFace, torchaudio, SpeechBrain.

    python -m benchmarks.peers.enroll_by_hand --pack FOLDER --ecapa FOLDER [--every N] CLIP...

`FaceAnalysis` looks at every frame with its default input of 640 x 640 and encodes each face it finds;
`EncoderClassifier` encodes the whole sound. There is no gate and no search for speech. `torchaudio.load` needs
torchcodec, which is not among our dependencies, so PyAV decodes the sound, and torchaudio resamples it. What is printed
is one line of JSON, read by `benchmarks.enroll_front`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from torchaudio.functional import resample

from benchmarks.peers.told import Float32, Stopwatch, Told, halves, memory_peak

RATE_HZ = 16_000


def load(pack: Path, ecapa: Path) -> tuple[Any, Any]:
    """Open the pack (`.../models/NAME`) and SpeechBrain's model as their documentation does."""
    from insightface.app import FaceAnalysis
    from speechbrain.inference.classifiers import EncoderClassifier
    from speechbrain.utils.fetching import LocalStrategy

    app = FaceAnalysis(name=pack.name, root=str(pack.parents[1]), providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=-1, det_size=(640, 640))
    saved = tempfile.mkdtemp()
    given = {"pretrained_path": str(ecapa)}
    classifier = EncoderClassifier.from_hparams(
        source=str(ecapa), savedir=saved, overrides=given, local_strategy=LocalStrategy.NO_LINK
    )
    return app, classifier


def read_faces(app: Any, clip: str, every: int, timed: Stopwatch) -> Float32:
    """Embed the largest face of every `every`-th frame, `[N, D]` unit rows."""
    video, number = cv2.VideoCapture(clip), 0
    rows: list[Float32] = []
    while True:
        with timed("decode"):
            there, frame = video.read()
        if not there:
            return np.stack(rows)
        number += 1
        if (number - 1) % every:
            continue
        with timed("detect and embed faces"):
            faces = app.get(frame)
        if faces:
            largest = max(faces, key=lambda f: (f.bbox[2] - f.bbox[0]) * (f.bbox[3] - f.bbox[1]))
            rows.append(largest.normed_embedding)


def read_sound(clip: str) -> torch.Tensor:
    """Decode the whole sound, `[1, N]` mono at 16 kHz."""
    with av.open(clip) as container:
        stream = container.streams.audio[0]
        blocks = [frame.to_ndarray() for frame in container.decode(stream)]
        planes = [b if stream.format.is_planar else b.reshape(-1, stream.channels).T for b in blocks]
        sound = torch.from_numpy(np.concatenate(planes, 1).astype(np.float32)).mean(0, keepdim=True)
        return resample(sound, stream.rate, RATE_HZ)


def enroll(app: Any, classifier: Any, clip: str, every: int) -> Told:
    """Make both embeddings of one clip."""
    timed = Stopwatch()
    faces = read_faces(app, clip, every, timed)
    template = faces.mean(0) / np.linalg.norm(faces.mean(0))
    with timed("decode"):
        sound = read_sound(clip)
    with timed("embed voice"):
        voice = classifier.encode_batch(sound)[0, 0].numpy()
    middle = len(faces) // 2
    return Told(timed.stages_s, len(faces), template, halves(faces[:middle], faces[middle:]), voice)


def main() -> None:
    """Load, embed, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--ecapa", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("clips", nargs="+")
    args = parser.parse_args()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        timed = Stopwatch()
        with timed("load"):
            app, classifier = load(args.pack, args.ecapa)
        told = [enroll(app, classifier, clip, args.every).plain() for clip in args.clips]
    print(json.dumps({"load_s": timed.stages_s["load"], "peak": memory_peak(), "clips": told}))


if __name__ == "__main__":
    main()
