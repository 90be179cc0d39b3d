"""ECAPA-TDNN built directly, to the bit what SpeechBrain's own class gives, on weights made by code."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.peers.made_ecapa import write_model
from cameo.embed.voice import load_voice_encoder
from cameo.embed.voice_ecapa import FILE, EcapaVoiceEncoder, _alike, at_16_khz
from cameo.errors import CaptureRejected, MissingExtra, MissingWeights, UsageError
from cameo.records import CONSISTENCY_ONLY, MATCHED
from tests.embed.voices import RATE_HZ, speak


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "small-ecapa", width=128, size=96)  # an eighth of its width


@pytest.fixture(scope="module")
def encoder(folder: Path) -> EcapaVoiceEncoder:
    return EcapaVoiceEncoder.load(folder)


def oracle(folder: Path, place: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechbrain.inference.speaker import SpeakerRecognition
        from speechbrain.utils.fetching import LocalStrategy

        given = {"pretrained_path": str(folder)}
        return SpeakerRecognition.from_hparams(
            source=str(folder), overrides=given, savedir=str(place), local_strategy=LocalStrategy.NO_LINK
        )


def test_it_is_to_the_bit_what_speechbrain_gives(folder: Path, encoder: EcapaVoiceEncoder, tmp_path: Path) -> None:
    theirs = oracle(folder, tmp_path / "saved")
    sounds = [speak(0, 0, 4.0), speak(1, 0, 2.5), 0.01 * speak(2, 1, 3.3)]
    for sound in sounds:
        wave = torch.from_numpy(sound)[None]
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")
            expected = theirs.encode_batch(wave)[:, 0]
        assert torch.equal(encoder.run(wave), expected)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        a, b = (torch.from_numpy(sound[: 2 * RATE_HZ])[None] for sound in sounds[:2])
        score, _ = theirs.verify_batch(a, b)
    rows = [encoder.embed(wave[0].numpy()) for wave in (a, b)]
    assert float(rows[0] @ rows[1]) == pytest.approx(float(score), abs=1e-5)


def test_sound_is_brought_to_16_khz_as_speechbrain_does() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from speechbrain.dataio.preprocess import AudioNormalizer
    rng = np.random.default_rng(0)
    for rate_hz, channels in ((44_100, 2), (48_000, 1), (8000, 1), (16_000, 2)):
        sound = rng.standard_normal((rate_hz, channels)).astype(np.float32)
        theirs = AudioNormalizer(sample_rate=16_000)(torch.from_numpy(sound), rate_hz).numpy()
        assert at_16_khz(sound, rate_hz) == pytest.approx(theirs, abs=1e-5)
        assert at_16_khz(sound[:, 0], rate_hz).shape == theirs.shape
    with pytest.raises(UsageError):
        at_16_khz(sound, 0)


def test_windows_are_encoded_alone(encoder: EcapaVoiceEncoder) -> None:
    sound = speak(0, 0, 17.0)  # more windows than one batch holds
    rows = encoder.embed_windows(sound)
    assert rows.shape == (11, 96)
    for k in (0, 5, 10):
        start = round(1.5 * RATE_HZ * k) if k < 10 else len(sound) - 3 * RATE_HZ
        alone = encoder.run(torch.from_numpy(sound[start : start + 3 * RATE_HZ])[None])[0].numpy()
        assert rows[k] == pytest.approx(alone / np.linalg.norm(alone), abs=1e-4)


def test_windows_that_do_not_belong_are_left_out_of_the_whole() -> None:
    rng = np.random.default_rng(1)
    rows = np.tile([1.0, 0, 0, 0], (8, 1)) + rng.normal(0, 0.03, (8, 4))
    rows[5] = [0, 1, 0, 0]
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    assert _alike(rows).tolist() == [k != 5 for k in range(8)]
    assert _alike(rows[:3]).all()
    assert _alike(np.delete(rows, 5, 0)).all()


def test_the_whole_is_the_mean_of_what_belongs(encoder: EcapaVoiceEncoder) -> None:
    sound = speak(3, 0, 8.0)
    rows = encoder.embed_windows(sound)
    kept = rows[_alike(rows)].sum(0)
    assert encoder.embed(sound) == pytest.approx(kept / np.linalg.norm(kept), abs=1e-5)


def test_it_says_what_it_is(folder: Path, encoder: EcapaVoiceEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    info = encoder.info
    assert (info.id, info.modality, info.dimension) == ("ecapa:small-ecapa", "voice", 96)
    assert info.digest == hashlib.sha256((folder / FILE).read_bytes()).hexdigest()
    assert info.assurance == CONSISTENCY_ONLY
    assert "not measured" in info.threshold_source
    assert load_voice_encoder(f"ecapa:{folder}").info == info
    from dataclasses import replace

    from cameo.embed import voice_ecapa

    file = replace(voice_ecapa._KNOWN.files[0], sha256=info.digest)
    monkeypatch.setattr(voice_ecapa, "_KNOWN", replace(voice_ecapa._KNOWN, files=(file,)))
    known = EcapaVoiceEncoder.load(folder).info
    assert (known.id, known.assurance, known.licence) == ("ecapa:spkrec-ecapa-voxceleb", MATCHED, "Apache-2.0")


def test_the_known_name_is_looked_up(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path))
    with pytest.raises(MissingWeights, match="not on this machine") as refusal:
        load_voice_encoder("ecapa:spkrec-ecapa-voxceleb")
    assert refusal.value.hint == "get it with: cameo models pull spkrec-ecapa-voxceleb"
    shutil.copytree(folder, tmp_path / "models" / "spkrec-ecapa-voxceleb")
    with pytest.raises(MissingWeights, match="is not the file of spkrec-ecapa-voxceleb"):
        load_voice_encoder("ecapa:spkrec-ecapa-voxceleb")


def test_cuda_is_used_only_where_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MissingExtra, match="no CUDA"):
        load_voice_encoder(f"ecapa:{folder}@cuda")


class Trap:
    """What a pickle would run, were it let."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("trap-was-sprung"),))


def write_wrong(path: Path, what: str, folder: Path) -> None:
    state = torch.load(folder / FILE, weights_only=True)
    if what == "truncated":
        path.write_bytes((folder / FILE).read_bytes()[:100_000])
    elif what == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(10_000))
    elif what == "empty":
        path.touch()
    elif what == "code":
        path.write_bytes(pickle.dumps({"blocks.0.conv.conv.weight": Trap()}))
    elif what == "list":
        torch.save([1, 2], path)
    elif what == "part":
        torch.save({k: v for k, v in state.items() if not k.startswith("fc")}, path)
    elif what == "mels":
        torch.save(state | {"blocks.0.conv.conv.weight": torch.zeros(128, 40, 5)}, path)
    elif what == "shape":
        torch.save(state | {"blocks.2.tdnn1.conv.conv.weight": torch.zeros(3, 3, 1)}, path)
    elif what == "wide":
        torch.save(state | {"blocks.0.conv.conv.weight": torch.zeros(1).expand(100_000, 80, 5)}, path)
    elif what == "flat":
        torch.save(state | {"blocks.0.conv.conv.weight": torch.zeros(128)}, path)
    elif what == "not finite":
        torch.save(state | {"fc.conv.bias": torch.full((96,), float("nan"))}, path)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("truncated", "cannot|can be read safely"),
        ("noise", "can be read safely"),
        ("empty", "can be read safely"),
        ("code", "can be read safely"),
        ("list", "no table of weights"),
        ("part", "no ECAPA-TDNN"),
        ("mels", "no ECAPA-TDNN"),
        ("shape", "no ECAPA-TDNN"),
        ("wide", "no ECAPA-TDNN"),
        ("flat", "no ECAPA-TDNN"),
        ("not finite", "no number"),
        ("missing", "no ECAPA-TDNN weights at"),
    ],
)
def test_weights_that_are_none(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, what: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_wrong(tmp_path / FILE, what, folder)
    with pytest.raises(MissingWeights, match=said) as refusal:
        EcapaVoiceEncoder.load(tmp_path)
    assert refusal.value.exit_code == 5
    assert not (tmp_path / "trap-was-sprung").exists()


@pytest.mark.parametrize(
    ("sound", "kind"),
    [
        (np.zeros((2, 48_000), np.float32), UsageError),
        (np.full(48_000, np.nan, np.float32), UsageError),
        (np.zeros(48_000, np.float32), CaptureRejected),
        (np.ones(8000, np.float32), CaptureRejected),
    ],
)
def test_sound_that_cannot_be_judged(encoder: EcapaVoiceEncoder, sound: np.ndarray, kind: type[Exception]) -> None:
    for encode in (encoder.embed, encoder.embed_windows):
        with pytest.raises(kind):
            encode(sound)
