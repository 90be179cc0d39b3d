"""Find speech with Silero VAD, run directly with onnxruntime.

The model lies in the `silero-vad` wheel. The package itself is never imported, because that loads torch.
Source of the segment rules: `get_speech_timestamps` of silero-vad 6.2, without its maximum segment length; a test
compares the two.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from cameo.errors import MissingWeights
from cameo.records import Speech

if TYPE_CHECKING:
    from cameo.records import Float32

_RATE_HZ = 16_000
_WINDOW = 512
_CONTEXT = 64
_STATE_SHAPE = (2, 1, 128)


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """Say when sound counts as speech.

    Attributes:
        threshold: probability at which speech begins; it ends 0.15 below.
        min_speech_s: shorter segments are dropped.
        min_silence_s: shorter pauses do not end a segment.
        padding_s: kept around each segment.

    Source: the defaults of silero-vad 6.2.
    """

    threshold: float = 0.5
    min_speech_s: float = 0.25
    min_silence_s: float = 0.1
    padding_s: float = 0.03


def find_speech(sound: Float32, settings: SpeechSettings | None = None) -> Speech:
    """Find the speech in a recording.

    Args:
        sound: `[N]` float32 mono at 16 kHz.
        settings: when sound counts as speech.

    Raises:
        MissingWeights: the Silero model is not on this machine.
    """
    settings = settings or SpeechSettings()
    spans = _pad(_segments(_probabilities(sound), len(sound), settings), len(sound), settings)
    samples = np.concatenate([sound[start:end] for start, end in spans]) if spans else np.zeros(0, np.float32)
    return Speech(samples, np.asarray(spans, np.float64).reshape(-1, 2) / _RATE_HZ, _RATE_HZ)


@cache
def _session() -> Any:  # onnxruntime has no types
    """Load the model once, on one thread: a window is too small to share.

    Raises:
        MissingWeights: the model is not there.
    """
    spec = importlib.util.find_spec("silero_vad")
    folders = spec.submodule_search_locations if spec is not None else None
    path = Path(folders[0]) / "data" / "silero_vad.onnx" if folders else None
    if path is None or not path.is_file():
        raise MissingWeights("the speech detector's model is missing", "run: pip install 'silero-vad>=6.2'")
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _probabilities(sound: Float32) -> list[float]:
    """Speech probability of every window of 512 samples, the last one padded with silence."""
    session = _session()
    windows = -(-len(sound) // _WINDOW)
    padded = np.zeros(_CONTEXT + windows * _WINDOW, np.float32)
    padded[_CONTEXT : _CONTEXT + len(sound)] = sound
    state = np.zeros(_STATE_SHAPE, np.float32)
    rate = np.array(_RATE_HZ, np.int64)
    found = []
    for at in range(0, windows * _WINDOW, _WINDOW):
        window = padded[None, at : at + _CONTEXT + _WINDOW]  # each window sees the end of the one before
        probability, state = session.run(None, {"input": window, "state": state, "sr": rate})
        found.append(float(probability[0, 0]))
    return found


def _segments(probabilities: list[float], length: int, settings: SpeechSettings) -> list[tuple[int, int]]:
    """Join windows to segments with hysteresis; starts and ends in samples."""
    leave = max(settings.threshold - 0.15, 0.01)
    min_speech, min_silence = settings.min_speech_s * _RATE_HZ, settings.min_silence_s * _RATE_HZ
    found: list[tuple[int, int]] = []
    start: int | None = None
    quiet: int | None = None
    for index, probability in enumerate(probabilities):
        at = index * _WINDOW
        if probability >= settings.threshold:
            start, quiet = (at if start is None else start), None
        elif start is not None and probability < leave:
            quiet = at if quiet is None else quiet
            if at - quiet >= min_silence:
                if quiet - start > min_speech:
                    found.append((start, quiet))
                start = quiet = None
    if start is not None and length - start > min_speech:
        found.append((start, length))
    return found


def _pad(spans: list[tuple[int, int]], length: int, settings: SpeechSettings) -> list[tuple[int, int]]:
    """Widen segments by the padding; close neighbours share the pause between them."""
    padding = int(settings.padding_s * _RATE_HZ)
    gaps = [after[0] - before[1] for before, after in zip(spans, spans[1:], strict=False)]
    shares = [gap // 2 if gap < 2 * padding else padding for gap in gaps]
    return [
        (max(0, start - before), min(length, end + after))
        for (start, end), before, after in zip(spans, [padding, *shares], [*shares, padding], strict=False)
    ]
