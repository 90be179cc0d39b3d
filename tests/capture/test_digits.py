"""The digit model tells the digits that were asked for from others, and refuses damaged weights."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from cameo.capture.digit_net import MELS, mel_picture
from cameo.capture.digits import MOST_NATS, load_digit_model, read_digit_model, score_digits
from cameo.errors import MissingWeights
from cameo.synthetic.digits import say_digits
from cameo.synthetic.voice import speak

SLOT_S = 2.3
VOICES = range(40, 46)
LIBRISPEECH = Path("/work/shared/speech")


def slot(digit: int, seed: int, start_s: float = 0.6) -> np.ndarray:
    return say_digits(seed, [digit], [start_s], SLOT_S).sound


def string_of(seed: int) -> list[np.ndarray]:
    return [slot(digit, seed) for digit in range(10)]


@pytest.fixture(scope="module")
def spoken() -> dict[int, list[np.ndarray]]:
    """Six voices, each saying zero to nine; none of this engine's was in the fit."""
    return {seed: string_of(seed) for seed in VOICES}


def test_digits_said_as_asked_pass(spoken: dict[int, list[np.ndarray]]) -> None:
    threshold = load_digit_model().threshold
    means = [score_digits(slots, range(10)).mean() for slots in spoken.values()]
    assert np.mean(np.array(means) >= threshold) >= 0.8


def test_other_digits_fail(spoken: dict[int, list[np.ndarray]]) -> None:
    threshold = load_digit_model().threshold
    for slots in spoken.values():
        for shift in (1, 3, 5, 7):
            asked = [(digit + shift) % 10 for digit in range(10)]
            assert score_digits(slots, asked).mean() < threshold


def test_it_does_not_matter_where_in_the_slot_it_is_said() -> None:
    asked = [0, 3, 6, 8]
    early = score_digits([slot(digit, 40, 0.35) for digit in asked], asked)
    late = score_digits([slot(digit, 40, 1.2) for digit in asked], asked)
    assert abs(early.mean() - late.mean()) < 2.0


@pytest.mark.parametrize("level", [0.02, 0.3, 1.0])
def test_loudness_does_not_matter(level: float, spoken: dict[int, list[np.ndarray]]) -> None:
    slots = spoken[40]
    quieter = [(level * sound).astype(np.float32) for sound in slots]
    assert np.abs(score_digits(quieter, range(10)) - score_digits(slots, range(10))).mean() < 0.5


def test_silence_noise_and_babble_are_no_digits() -> None:
    random, length, threshold = np.random.default_rng(0), int(SLOT_S * 16_000), load_digit_model().threshold
    silence = [np.zeros(length, np.float32)] * 10
    assert (score_digits(silence, range(10)) == -MOST_NATS).all()
    assert (score_digits([np.zeros(0, np.float32)] * 2, [1, 2]) == -MOST_NATS).all()
    noise = [0.1 * random.standard_normal(length).astype(np.float32) for _ in range(10)]
    assert score_digits(noise, range(10)).mean() < threshold
    babble = [speak(seed, SLOT_S).sound for seed in range(10)]
    assert score_digits(babble, range(10)).mean() < threshold


def test_readings_do_not_pass_for_digits() -> None:
    if not LIBRISPEECH.exists():
        pytest.skip("no readings on this machine")
    from cameo.capture.clip import read_voice

    length, threshold, passed, strings = int(SLOT_S * 16_000), load_digit_model().threshold, 0, 0
    random = np.random.default_rng(0)
    for path in sorted(LIBRISPEECH.rglob("*.flac"))[::25]:
        sound = read_voice(path)
        slots = [sound[at : at + length] for at in range(0, len(sound) - length, length)][:6]
        if len(slots) == 6:
            strings += 1
            passed += score_digits(slots, random.integers(0, 10, 6).tolist()).mean() >= threshold
    assert strings and passed == 0


def test_the_picture_has_its_shape_and_range() -> None:
    picture = mel_picture(slot(5, 40))
    assert picture.shape[1] == MELS and picture.dtype == np.float32
    assert picture.min() >= -3 and np.isfinite(picture).all()


def test_the_weights_are_small_and_say_where_they_come_from() -> None:
    folder = files("cameo.capture") / "weights"
    assert len((folder / "digits.safetensors").read_bytes()) < 300_000
    facts = json.loads((folder / "digits.json").read_bytes())
    assert "espeak-ng" in facts["fit"]["data"] and "fit_digits" in facts["threshold"]["source"]
    assert facts["fit"]["cpu_seconds"] <= 600


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for name in ("digits.safetensors", "digits.json"):
        shutil.copy(str(files("cameo.capture") / "weights" / name), tmp_path / name)
    return tmp_path


def relabelled(folder: Path, data: bytes) -> None:
    """Write weights together with their true digest."""
    (folder / "digits.safetensors").write_bytes(data)
    facts = json.loads((folder / "digits.json").read_bytes()) | {"sha256": hashlib.sha256(data).hexdigest()}
    (folder / "digits.json").write_text(json.dumps(facts))


def test_copied_weights_load(copied: Path) -> None:
    assert read_digit_model(copied).threshold == load_digit_model().threshold


@pytest.mark.parametrize("name", ["digits.safetensors", "digits.json"])
def test_missing_weights_are_an_error(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(MissingWeights):
        read_digit_model(copied)


def test_changed_weights_are_an_error(copied: Path) -> None:
    data = bytearray((copied / "digits.safetensors").read_bytes())
    data[-1] ^= 1
    (copied / "digits.safetensors").write_bytes(data)
    with pytest.raises(MissingWeights, match="differ"):
        read_digit_model(copied)


def test_weights_of_another_shape_are_an_error(copied: Path) -> None:
    tensors = load((copied / "digits.safetensors").read_bytes())
    without = {name: tensor for name, tensor in tensors.items() if name != "what.bias"}
    for wrong in (save(without), save(tensors | {"what.bias": np.zeros(3, np.float16)}), b"not safetensors"):
        relabelled(copied, wrong)
        with pytest.raises(MissingWeights, match="cannot be read"):
            read_digit_model(copied)


@pytest.mark.parametrize("facts", ["{}", "[]", "not json", '{"sha256": 1}'])
def test_facts_that_say_nothing_are_an_error(copied: Path, facts: str) -> None:
    (copied / "digits.json").write_text(facts)
    with pytest.raises(MissingWeights):
        read_digit_model(copied)
