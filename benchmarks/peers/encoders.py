"""Recognisers of other libraries in the shape of ours, so that `benchmarks.verification` scores them on the same pairs.

`deepface:MODEL@PYTHON` is deepface's MODEL (Facenet512, ArcFace, ...), run by the PYTHON of an environment of its own;
without `@PYTHON` by this one. It downloads weights from GitHub when it is first used. `resemblyzer` is GE2E's encoder
from the package of that name, whose wheel carries the weights.
"""

from __future__ import annotations

import subprocess
import sys
import weakref
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.peers import deepface_server
from cameo.embed.face import load_face_encoder
from cameo.embed.voice import load_voice_encoder
from cameo.records import CONSISTENCY_ONLY, EncoderInfo

if TYPE_CHECKING:
    from cameo.embed.face import FaceEncoder
    from cameo.embed.voice import VoiceEncoder
    from cameo.records import Bool, Float32, UInt8

RATE_HZ = 16_000
_NONE = float("nan")  # neither names a threshold for these pairs


def load_face(spec: str) -> FaceEncoder:
    """Load `deepface:MODEL[@PYTHON]`, or what `cameo enroll` takes."""
    kind, _, rest = spec.partition(":")
    if kind != "deepface":
        return load_face_encoder(spec)
    model, _, python = rest.partition("@")
    return DeepfaceEncoder(model, python or sys.executable)


def load_voice(spec: str) -> VoiceEncoder:
    """Load `resemblyzer`, or what `cameo enroll` takes."""
    return ResemblyzerEncoder() if spec == "resemblyzer" else load_voice_encoder(spec)


class DeepfaceEncoder:
    """Ask `deepface_server` in a process of its own; its detector looks for faces, given landmarks are not used."""

    def __init__(self, model: str, python: str) -> None:
        """Start it.

        Raises:
            SystemExit: it does not run there, or its weights cannot be had.
        """
        words = [python, str(Path(deepface_server.__file__)), model]
        self._server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._end = weakref.finalize(self, _end, self._server)
        dimension = self._asked(np.zeros((1, 224, 224, 3), np.uint8)).shape[1] - 1
        self.info = EncoderInfo(
            f"deepface-{model}", "face", "", dimension, CONSISTENCY_ONLY, "see deepface", _NONE, "none"
        )

    def embed(self, frames: UInt8, points: Float32 | None = None) -> tuple[Float32, Bool]:
        """Encode the largest face of every frame."""
        answer = self._asked(frames)
        found = answer[:, 0] > 0
        rows = answer[:, 1:] / np.maximum(np.linalg.norm(answer[:, 1:], axis=1, keepdims=True), 1e-9)
        return np.where(found[:, None], rows, 0).astype(np.float32), found

    def _asked(self, frames: UInt8) -> Float32:
        to, back = self._server.stdin, self._server.stdout
        assert to is not None and back is not None
        try:
            deepface_server.send(to, frames)  # type: ignore[arg-type]
            answer = deepface_server.receive(back)  # type: ignore[arg-type]
        except BrokenPipeError:
            answer = None
        if answer is None:
            status = self._server.wait()
            self._end()
            raise SystemExit(f"deepface ended with status {status}: it needs its package and its weights")
        return np.asarray(answer, np.float32)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Take leave of a server, whether it is still there or not."""
    server.kill()
    server.wait()
    for stream in (server.stdin, server.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


class ResemblyzerEncoder:
    """Encode speech as the README of Resemblyzer does: levelled, silences cut out, the whole utterance."""

    def __init__(self) -> None:
        """Load it.

        Raises:
            SystemExit: the package is not installed.
        """
        try:
            import resemblyzer
        except ImportError as error:
            raise SystemExit(f"Resemblyzer cannot be imported ({error}): pip install -e '.[peers]'") from error
        self._library: Any = resemblyzer
        self._encoder: Any = resemblyzer.VoiceEncoder("cpu", verbose=False)
        name = f"resemblyzer-{metadata.version('resemblyzer')}"
        self.info = EncoderInfo(name, "voice", "", 256, CONSISTENCY_ONLY, "Apache-2.0", _NONE, "none")

    def embed(self, samples: Float32) -> Float32:
        """Encode the whole of `samples`."""
        heard = self._library.preprocess_wav(samples, source_sr=RATE_HZ)
        return np.asarray(self._encoder.embed_utterance(heard), np.float32)

    def embed_windows(self, samples: Float32) -> Float32:
        """Encode overlapping windows."""
        heard = self._library.preprocess_wav(samples, source_sr=RATE_HZ)
        return np.asarray(self._encoder.embed_utterance(heard, return_partials=True)[1], np.float32)
