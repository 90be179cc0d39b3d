"""A voice encoder from SpeechBrain's ECAPA-TDNN weights, built directly: no YAML that could run code, no pickle."""

from __future__ import annotations

import hashlib
import io
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torchaudio.functional import resample

from cameo.embed.brought import calibrated, split_device
from cameo.embed.voice_windows import RATE_HZ, require_speech, windows
from cameo.errors import MissingExtra, MissingWeights, UsageError
from cameo.records import CONSISTENCY_ONLY, MATCHED, EncoderInfo
from cameo.weights import PACKS, find_pack

if TYPE_CHECKING:
    from cameo.records import Bool, Float32

FILE = "embedding_model.ckpt"
_KNOWN = PACKS["spkrec-ecapa-voxceleb"]
_HINT = f"give the folder of a SpeechBrain ECAPA-TDNN model, which holds {FILE}"
_LARGEST = 512 << 20  # bytes; the published model has 83 million
_WIDEST = 4096
_BATCH = 8
_LICENCE = "not known to cameo: ask whoever made the weights"

# What spkrec-ecapa-voxceleb is built with; the other sizes are read from the weights. Source: its hyperparams.yaml.
_MELS, _KERNELS, _DILATIONS = 80, [5, 3, 3, 3, 1], [1, 2, 3, 4, 1]
_THRESHOLD = 0.25
_THRESHOLD_SOURCE = (
    "SpeechBrain's default in SpeakerRecognition.verify_batch; its model card says 0.8 % EER on VoxCeleb1; "
    "not measured here"
)
_UNMEASURED = "SpeechBrain's default for its own weights; these were not measured"


@dataclass(frozen=True, slots=True)
class EcapaVoiceEncoder:
    """Encode with ECAPA-TDNN (B. Desplanques et al., 2020); implements `VoiceEncoder`."""

    info: EncoderInfo
    device: str
    _features: Any
    _centre: Any
    _network: Any

    @classmethod
    def named(cls, place: str, home: Path) -> EcapaVoiceEncoder:
        """Load a known pack by its name, or any by its folder; `@cuda` behind either runs it there.

        Args:
            place: `spkrec-ecapa-voxceleb`, `folder/of/a/model`. A known name is never taken for a folder.
            home: `config.home()`.

        Raises:
            MissingWeights: see `load`; or a file of a known pack differs from its digest.
            MissingExtra: CUDA is asked for and not to be had.
        """
        place, device = split_device(place)
        return cls.load(find_pack(place, home) if place in PACKS else Path(place), device)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> EcapaVoiceEncoder:
        """Load `embedding_model.ckpt` of `folder`; nothing is ever downloaded.

        Raises:
            MissingWeights: it is not there, or holds no ECAPA-TDNN.
            MissingExtra: `device` is not to be had.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise MissingExtra("this torch has no CUDA", "check the NVIDIA driver and torch, or leave @cuda out")
        data = _read(folder / FILE)
        network = _network_of(_tensors(data, folder / FILE), folder / FILE)
        features, centre = _front_end()
        digest = hashlib.sha256(data).hexdigest()
        known = digest == _KNOWN.files[0].sha256
        info = EncoderInfo(
            id="ecapa:spkrec-ecapa-voxceleb" if known else f"ecapa:{folder.resolve().name}",
            modality="voice",
            digest=digest,
            dimension=network.fc.conv.out_channels,
            assurance=MATCHED if known else CONSISTENCY_ONLY,
            licence=_KNOWN.licence if known else _LICENCE,
            threshold=_THRESHOLD,
            threshold_source=_THRESHOLD_SOURCE if known else _UNMEASURED,
        )
        parts = (features, centre, network)
        return cls(calibrated(info, folder), device, *(part.to(device).eval() for part in parts))

    def embed(self, samples: Float32) -> Float32:
        """Encode the whole of `samples`; see `VoiceEncoder.embed`.

        It is the mean direction of its windows, those left out that do not sound like the others.
        """
        rows = self.embed_windows(samples)
        return _unit(rows[_alike(rows)].sum(0, keepdims=True))[0]

    def embed_windows(self, samples: Float32) -> Float32:
        """Encode windows of 3 s every 1.5 s; see `VoiceEncoder.embed_windows`. All windows are kept.

        Raises:
            CaptureRejected: there is less than a second of it, or it is silent.
            UsageError: it is not a row of finite samples.
        """
        require_speech(samples)
        # All are equally long: a batch needs no padding, which would change the vectors.
        parts = np.stack([samples[start:stop] for start, stop in windows(len(samples))]).astype(np.float32)
        rows = [self.run(torch.from_numpy(parts[k : k + _BATCH])) for k in range(0, len(parts), _BATCH)]
        return _unit(torch.cat(rows).numpy())

    def run(self, sounds: torch.Tensor) -> torch.Tensor:
        """Encode `[B, N]` float sounds at 16 kHz of one length: `[B, D]`, to the bit what SpeechBrain gives.

        Source: speechbrain.inference.classifiers.EncoderClassifier.encode_batch, without its global normalisation, as
        SpeakerRecognition calls it.
        """
        with torch.inference_mode():
            whole = torch.ones(len(sounds), device=self.device)
            features = self._centre(self._features(sounds.to(self.device)), whole)
            return self._network(features, whole)[:, 0].cpu()


def at_16_khz(sound: Float32, rate_hz: int) -> Float32:
    """Bring `[N]` or `[N, channels]` float32 to `[M]` mono at 16 kHz, as SpeechBrain's AudioNormalizer does.

    Raises:
        UsageError: the rate is no rate.
    """
    if not 1000 <= rate_hz <= 768_000:
        raise UsageError(f"sound at {rate_hz} samples per second", "give 1000 to 768000")
    mono = torch.from_numpy(np.ascontiguousarray(sound, np.float32))
    if mono.ndim == 2:
        mono = mono.mean(1)
    return mono.numpy() if rate_hz == RATE_HZ else resample(mono, rate_hz, RATE_HZ).numpy()


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            raise MissingWeights(f"{path} is larger than any known model", _HINT)
        return path.read_bytes()
    except OSError as error:
        known = f"{_HINT}, or get it with: cameo models pull {_KNOWN.name}"
        raise MissingWeights(f"no ECAPA-TDNN weights at {path.parent}", known) from error


def _tensors(data: bytes, path: Path) -> dict[str, torch.Tensor]:
    """Read what was hashed, tensors only."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    # torch lets through whatever its unpickler and its archive reader raise at bytes like these.
    except (pickle.UnpicklingError, RuntimeError, ValueError, KeyError, EOFError, TypeError, AttributeError) as error:
        raise MissingWeights(f"{path} holds no weights that can be read safely", _HINT) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise MissingWeights(f"{path} holds no table of weights", _HINT)
    if not all(bool(torch.isfinite(value).all()) for value in state.values()):
        raise MissingWeights(f"{path} holds something that is no number", _HINT)
    return state


def _network_of(state: dict[str, torch.Tensor], path: Path) -> Any:
    """Build the network whose weights these are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SpeechBrain, not of ours
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    try:
        width, mels, _ = state["blocks.0.conv.conv.weight"].shape
        joined = state["mfa.conv.conv.weight"].shape[0]
        sizes = {
            "attention_channels": state["asp.tdnn.conv.conv.weight"].shape[0],
            "se_channels": state["blocks.1.se_block.conv1.conv.weight"].shape[0],
            "lin_neurons": state["fc.conv.weight"].shape[0],
        }
        if mels != _MELS or max(width, joined, *sizes.values()) > _WIDEST:
            raise ValueError(f"sizes {mels}, {width}, {joined}")
        network = ECAPA_TDNN(
            _MELS, channels=[width] * 4 + [joined], kernel_sizes=_KERNELS, dilations=_DILATIONS, **sizes
        )
        network.load_state_dict(state)
    except (KeyError, IndexError, ValueError, RuntimeError) as error:
        raise MissingWeights(f"{path} holds no ECAPA-TDNN for {_MELS} mel bands", _HINT) from error
    return network


def _front_end() -> tuple[Any, Any]:
    """Make mel features and the mean normalisation of each sound."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SpeechBrain, not of ours
        from speechbrain.lobes.features import Fbank
        from speechbrain.processing.features import InputNormalization

    return Fbank(n_mels=_MELS), InputNormalization(norm_type="sentence", std_norm=False)


def _alike(rows: Float32) -> Bool:
    """Say which unit rows belong together: those not 3 robust deviations farther from the others than is usual.

    At most a quarter is left out, and of fewer than four none. Source: as `template.pool`.
    """
    keep = np.ones(len(rows), bool)
    if len(rows) < 4:
        return keep
    others = rows.sum(0) - rows
    score = np.einsum("nd,nd->n", rows, others) / np.maximum(np.linalg.norm(others, axis=1), 1e-9)
    middle = float(np.median(score))
    deviation = max(1.4826 * float(np.median(np.abs(score - middle))), 0.02)
    worst = np.argsort(score)[: len(rows) // 4]
    keep[worst[score[worst] < middle - 3 * deviation]] = False
    return keep


def _unit(rows: Float32) -> Float32:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
