"""Recordings as people wrongly make them: each is told what is wrong with it, and what to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.faults import Case, mask, sunglasses
from cameo.capture.challenge import prompts
from cameo.capture.clip import read_clip
from cameo.capture.digits import load_digit_model
from cameo.capture.liveness import weigh_digits
from cameo.capture.quality import assess, require_good
from cameo.capture.speech import find_speech
from cameo.errors import CaptureRejected
from cameo.faces.track import track_faces
from cameo.grants.guard import list_digest
from cameo.records import Check, Clip
from cameo.seal.consent import agree
from cameo.seal.terms import DEFAULT_TERMS, resolve_terms, today
from cameo.synthetic.selfie import act, film
from cameo.synthetic.voice import CONSONANTS, RATE_HZ, STEP_S, VOWELS, Phone, coarticulated, draw_speaker, utter
from tests.capture.answering import answer, fixed_challenge, with_sound
from tests.conftest import clip_of


@pytest.fixture(scope="module")
def case(selfie: Path) -> Case:
    """Two seconds of somebody who is filmed well."""
    whole = read_clip(selfie)
    clip = dataclasses.replace(whole, frames=whole.frames[:50], times_s=whole.times_s[:50])
    return Case(clip, track_faces(clip.frames), find_speech(whole.sound))


def checks(case: Case) -> dict[str, Check]:
    return {check.name: check for check in assess(case.clip, case.track, case.speech).checks}


def test_what_is_good_is_not_held_against_anybody(case: Case) -> None:
    said = checks(case)
    assert {said[name].level for name in ("face", "one_face", "eyes_visible", "mouth_visible", "frontal")} == {"ok"}


@pytest.mark.parametrize(
    ("spoil", "name", "advice"),
    [(sunglasses, "eyes_visible", "take dark glasses off"), (mask, "mouth_visible", "take the mask off")],
)
def test_dark_glasses_and_masks(case: Case, spoil: Callable[[Case], Case], name: str, advice: str) -> None:
    """They hide what a double needs; glasses may also hide the whole face from the detector."""
    said = checks(spoil(case))
    assert said[name].level == "warn"
    assert advice in said[name].advice


def test_only_a_profile(case: Case) -> None:
    still = act(3, np.zeros(12, np.float32), 12.5)
    frames = film(3, dataclasses.replace(still, yaw=0 * still.yaw + 1.3), 256)
    clip = dataclasses.replace(clip_of(frames, case.clip.sound), used_s=5.0)
    with pytest.raises(CaptureRejected, match=r"no face found|a face is found in only") as refused:
        require_good(assess(clip, track_faces(frames), case.speech))
    assert "from the front" in refused.value.hint


def test_a_head_that_hardly_ever_looks_into_the_camera(case: Case) -> None:
    said = checks(dataclasses.replace(case, track=dataclasses.replace(case.track, yaw_deg=case.track.yaw_deg + 35)))
    assert said["frontal"].level == "warn"
    assert "look into the camera" in said["frontal"].advice


def test_people_behind(case: Case) -> None:
    """Two more heads, six tenths as large, at the sides."""
    frames = case.clip.frames
    count, height, width = frames.shape[:3]
    wide = np.full((count, height, 2 * width, 3), 120, np.uint8)
    small = np.stack([cv2.resize(f, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA) for f in frames])
    wide[:, : small.shape[1], : small.shape[2]] = small
    wide[:, : small.shape[1], -small.shape[2] :] = small[:, :, ::-1]
    wide[:, :, width // 2 : width // 2 + width] = frames
    report = assess(dataclasses.replace(case.clip, frames=wide), track_faces(wide), case.speech)
    failed = {check.name: check for check in report.failed}
    assert "one_face" in failed
    assert "record alone" in failed["one_face"].advice
    assert "a second face" in report.reasons


def spoken(words: list[tuple[Phone, ...]], starts_s: list[float], seconds: float, seed: int) -> np.ndarray:
    """Say any words at given times."""
    rows = np.tile(Phone((500, 1500, 2500), 0.2, 0.0).parameters, (int(np.ceil(seconds / STEP_S)), 1))
    for word, start_s in zip(words, starts_s, strict=True):
        said = np.concatenate([np.tile(phone.parameters, (round(phone.seconds / STEP_S), 1)) for phone in word])
        first = round(start_s / STEP_S)
        rows[first : first + len(said)] = said[: len(rows) - first]
    return utter(
        draw_speaker(seed), coarticulated(rows, 0.018, 0.040), seconds, 25.0, np.random.default_rng(seed)
    ).sound


def spanish() -> list[tuple[Phone, ...]]:
    """cero, uno, dos, tres, cuatro, cinco, seis, siete, ocho, nueve."""
    i, e, a, o, u = (VOWELS[k]._replace(seconds=0.16) for k in (0, 2, 4, 5, 7))
    w, y, r, _, _, n, v, _, _, s, sh, _, _, d, _, _, t, k = CONSONANTS
    return [
        (*s, e, *r, o), (u, *n, o), (*d, o, *s), (*t, *r, e, *s), (*k, *w, a, *t, *r, o),
        (*s, i, *n, *k, o), (*s, e, i, *s), (*s, *y, e, *t, e), (o, *t, *sh, o), (*n, *w, e, *v, e),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", [1, 4, 9])
def test_digits_of_another_language(seed: int) -> None:
    challenge = fixed_challenge()
    good = answer(challenge)
    laid = [prompt for prompt in prompts(challenge) if prompt.step.isdigit()]
    words = [spanish()[int(prompt.step)] for prompt in laid]
    sound = spoken(words, [prompt.start_s + 0.5 for prompt in laid], challenge.seconds + 0.5, seed)
    piece = weigh_digits(with_sound(good, sound).clip, find_speech(sound), challenge, load_digit_model())
    assert piece.passed is False, piece.measured
    assert "another language" in piece.meaning
    assert "say each English digit" in piece.meaning


def white(random: np.random.Generator, count: int) -> np.ndarray:
    return 0.1 * random.standard_normal(count)


def hum(random: np.random.Generator, count: int) -> np.ndarray:
    time = np.arange(count) / RATE_HZ
    return 0.2 * np.sin(2 * np.pi * 50 * time) + 0.1 * np.sin(2 * np.pi * 150 * time) + 1e-3 * white(random, count)


def chords(random: np.random.Generator, count: int) -> np.ndarray:
    """Three held tones, another three every half second."""
    time = np.arange(count) / RATE_HZ
    notes = 220 * 2 ** (random.integers(0, 24, (count * 2 // RATE_HZ + 1, 3)) / 12)
    return 0.1 * np.sin(2 * np.pi * notes[(2 * time).astype(int)] * time[:, None]).sum(1)


@pytest.mark.parametrize("make", [white, hum, chords])
def test_noise_and_music_alone(case: Case, make: Callable[[np.random.Generator, int], np.ndarray]) -> None:
    sound = make(np.random.default_rng(3), 6 * RATE_HZ).astype(np.float32)
    clip: Clip = dataclasses.replace(case.clip, sound=sound)
    report = assess(clip, case.track, find_speech(sound))
    assert report.failed[0].name == "speech"
    with pytest.raises(CaptureRejected, match="noise or music only") as refused:
        require_good(report)
    assert "--voice" in refused.value.hint


def test_age_is_asked_for_and_recorded_and_never_guessed() -> None:
    """Whether a child was recorded is for who consents to say: the statement is shown, agreed to and kept."""
    terms = resolve_terms(DEFAULT_TERMS, ["reference"], today(), list_digest())
    agreement = agree(terms, "flag", "not checked by a challenge")
    assert agreement.act.age_statement == "adult"
    assert any("18 or older" in line for line in agreement.act.text)
    package = Path(__file__).parents[2] / "cameo"
    guessing = [path.name for path in package.rglob("*.py") if "genderage" in path.read_text("utf-8")]
    assert not guessing, "no model that guesses sex or age is opened"
