"""Who was enrolled before: own doubles and others', what each encoder's word is worth, and what is never told."""

from __future__ import annotations

import dataclasses
import datetime
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cameo import config
from cameo.capture.challenge import Challenge, draw_challenge, prompts
from cameo.capture.liveness import free_speech, spoken_answer
from cameo.errors import NotPermitted, UsageError
from cameo.recognising import find_precedents, hear_answer, require_first, turn_newcomer
from cameo.records import CONSISTENCY_ONLY, MATCHED, Clip, EncoderInfo, Precedents, Speech, Template
from cameo.registry.store import Double, Registry
from tests.conftest import clip_of

ADA, BEA = "ab" * 32, "cd" * 32
NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
FACE = EncoderInfo("made-face", "face", "5c" * 32, 64, MATCHED, "none", 0.4, "made, 1 % false accepts")
VOICE = dataclasses.replace(FACE, id="made-voice", modality="voice", dimension=32)
WEAK = tuple(dataclasses.replace(encoder, assurance=CONSISTENCY_ONLY) for encoder in (FACE, VOICE))

pytestmark = pytest.mark.usefixtures("home")


def person(seed: int, encoders: tuple[EncoderInfo, ...] = (FACE, VOICE), apart: float = 0.0) -> tuple[Template, ...]:
    """Make the templates of one person; `apart` moves them, as another recording does."""
    made = []
    for encoder in encoders:
        vector, noise = np.random.default_rng([seed, encoder.dimension]).standard_normal((2, encoder.dimension))
        vector = vector / np.linalg.norm(vector) + apart * noise / np.linalg.norm(noise)
        vector = (vector / np.linalg.norm(vector)).astype(np.float32)
        made.append(Template(vector, 0.1, 24, np.ones(24, np.float32), encoder))
    return tuple(made)


def enrolled(number: int, owner: str, templates: tuple[Template, ...]) -> Double:
    """Register a double as an enrolment does."""
    created = NOON + datetime.timedelta(days=number)
    double = Double(f"{number:032x}", owner, Path(f"/home/of/{number}.cameo"), "0" * 64, created, (), MATCHED)
    with closing(Registry()) as registry:
        registry.register(double, turn_newcomer(owner, templates, "all").vectors)
    return double


def found(owner: str, templates: tuple[Template, ...], among: config.Gallery = "all") -> Precedents:
    return find_precedents(turn_newcomer(owner, templates, among))


def levels(precedents: Precedents) -> dict[str, str]:
    return {check.name: check.level for check in precedents.checks}


def test_the_first_one_has_nobody_to_be_compared_with() -> None:
    assert found(ADA, person(1)) == Precedents("all")


def test_the_same_person_again() -> None:
    older, newer = enrolled(1, ADA, person(1, apart=0.5)), enrolled(2, ADA, person(1, apart=0.2))
    enrolled(3, ADA, person(9))
    precedents = found(ADA, person(1))
    assert [(e.bundle_id, e.created, e.path) for e in precedents.earlier] == [
        (d.bundle_id, d.created, str(d.path)) for d in (newer, older)
    ]
    assert 0.7 < precedents.earlier[1].score < precedents.earlier[0].score < 1
    assert levels(precedents) == {"own_face": "ok", "own_voice": "ok"}
    assert precedents.checks[0].limit == "at least 0.40 to the likest of 3 doubles of yours"


def test_somebody_else_under_the_same_key() -> None:
    enrolled(1, ADA, person(1))
    precedents = found(ADA, person(2))
    assert levels(precedents) == {"own_face": "warn", "own_voice": "warn"}
    assert (precedents.earlier, precedents.duplicate) == ((), False)
    assert "under a key of their own" in precedents.warnings[0].advice
    require_first(precedents, allow_duplicate=False)


def test_a_face_of_another_owner_is_refused() -> None:
    enrolled(1, ADA, person(1))
    enrolled(2, ADA, person(3))
    precedents = found(BEA, person(1, apart=0.3))
    assert levels(precedents) == {"others_face": "fail", "others_voice": "warn"}
    assert (precedents.duplicate, precedents.earlier) == (True, ())
    with pytest.raises(NotPermitted, match="another owner has enrolled this face") as caught:
        require_first(precedents, allow_duplicate=False)
    assert caught.value.code == "enrolled_by_another"
    require_first(precedents, allow_duplicate=True)
    told = msgspec.json.encode(precedents).decode() + repr(caught.value) + caught.value.hint
    for secret in (ADA, ADA[:16], "/home/of", f"{1:032x}"):
        assert secret not in told, "who the other is, is nobody's business"


def test_a_stranger_is_nobodys_double() -> None:
    for number in range(1, 6):
        enrolled(number, ADA, person(number))
    precedents = found(BEA, person(7))
    assert levels(precedents) == {"others_face": "ok", "others_voice": "ok"}
    assert precedents.warnings == ()
    assert "5 doubles of others" in precedents.checks[0].limit
    assert precedents.checks[0].limit.startswith("below 0."), "and the limit is higher than for one"
    assert float(precedents.checks[0].limit.split()[1]) > FACE.threshold


def test_a_weak_encoder_warns_and_never_refuses() -> None:
    enrolled(1, ADA, person(1, WEAK))
    precedents = found(BEA, person(1, WEAK))
    assert levels(precedents) == {"others_face": "warn", "others_voice": "warn"}
    require_first(precedents, allow_duplicate=False)
    assert all("weak at telling people apart" in check.advice for check in precedents.warnings)
    assert levels(found(ADA, person(2, WEAK))) == {"own_face": "warn"}, "of a voice it would say nothing"


def test_own_doubles_only() -> None:
    enrolled(1, ADA, person(1))
    assert found(BEA, person(1), "own") == Precedents("own")
    assert found(ADA, person(1), "own").earlier[0].bundle_id == f"{1:032x}"


def test_switched_off_nothing_is_looked_for_and_nothing_kept(home: Path) -> None:
    newcomer = turn_newcomer(ADA, person(1), "off")
    assert (newcomer.vectors, find_precedents(newcomer)) == ((), Precedents("off"))
    assert not home.exists()


def test_what_could_not_be_compared_is_counted() -> None:
    other = dataclasses.replace(FACE, digest="6d" * 32)
    enrolled(1, ADA, person(1, (other, VOICE)))
    enrolled(2, BEA, person(2))
    with closing(Registry()) as registry:
        registry.register(Double("f" * 32, ADA, Path("/old.cameo"), "0" * 64, NOON, (), MATCHED))
    precedents = found(BEA, person(1))
    assert precedents.not_compared == 2
    assert levels(precedents) == {"own_face": "warn", "own_voice": "warn", "others_voice": "warn"}
    assert found(BEA, person(1), "own").not_compared == 0


def test_which_registry_key_turned_it_decides(home: Path) -> None:
    """A lost secret is not passed over: it is said that there is one to compare with, and that it cannot be."""
    enrolled(1, ADA, person(1))
    (home / "gallery.secret").unlink()
    precedents = found(BEA, person(1))
    assert (precedents.checks, precedents.not_compared) == ((), 1)


def test_what_is_kept_is_not_what_was_pooled() -> None:
    templates = person(1)
    newcomer = turn_newcomer(ADA, templates, "all")
    for template, turned, kept in zip(templates, newcomer.templates, newcomer.vectors, strict=True):
        assert abs(float(template.vector @ turned.vector)) < 0.7
        assert template.vector.tobytes() != kept.data == turned.vector.tobytes()
    assert repr(newcomer.templates[0].vector) not in repr(newcomer)


@pytest.mark.parametrize(("value", "meaning"), [("", "all"), ("all", "all"), ("own", "own"), ("off", "off")])
def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, value: str, meaning: str) -> None:
    monkeypatch.setenv("CAMEO_GALLERY", value)
    assert config.gallery() == meaning


def test_a_wrong_word_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_GALLERY", "none")
    with pytest.raises(UsageError, match="CAMEO_GALLERY is 'none'"):
        config.gallery()


# One voice.


class Listener:
    """Hear a voice by the level of its sound: an encoder whose answer is known."""

    info = VOICE

    def embed(self, samples: np.ndarray) -> np.ndarray:
        return np.eye(VOICE.dimension, dtype=np.float32)[int(np.abs(samples).mean() > 0.5)]

    def embed_windows(self, samples: np.ndarray) -> np.ndarray:
        return self.embed(samples)[None]


def answered(digits: float, rest: float) -> tuple[Clip, Speech, Challenge]:
    """Say the digits at one level, and five seconds after the challenge at another."""
    challenge = draw_challenge(NOON)
    sound = np.zeros(round((challenge.seconds + 6) * 16_000), np.float32)
    spans = [(p.start_s + 0.5, p.start_s + 1.2, digits) for p in prompts(challenge) if p.step.isdigit()]
    spans.append((challenge.seconds + 0.5, challenge.seconds + 5.5, rest))
    for start_s, end_s, level in spans:
        sound[round(start_s * 16_000) : round(end_s * 16_000)] = level
    clip = clip_of(np.zeros((10, 8, 8, 3), np.uint8), sound)
    speech = Speech(sound[sound != 0], np.array([span[:2] for span in spans if span[2]]).reshape(-1, 2))
    said, free = spoken_answer(clip, speech, challenge), free_speech(clip, speech, challenge)
    assert (set(said), set(free)) == ({np.float32(digits)} - {0}, {np.float32(rest)} - {0}), "neither has of the other"
    return (clip, speech, challenge)


def test_digits_in_the_voice_of_the_rest() -> None:
    (same,) = hear_answer(*answered(0.9, 0.9), Listener())
    assert (same.name, same.passed, same.decides) == ("voice", True, False)
    (another,) = hear_answer(*answered(0.9, 0.2), Listener())
    assert another.passed is False


def test_nothing_is_said_of_voices_without_enough_of_both() -> None:
    clip, speech, _challenge = answered(0.9, 0.9)
    assert hear_answer(clip, speech, None, Listener()) == ()
    for levels in ((0.9, 0.0), (0.0, 0.9)):
        assert hear_answer(*answered(*levels), Listener()) == ()
