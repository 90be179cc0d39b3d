"""What is heard of people and of clips: speech, its voice, lips, and every kind of bad input."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from cameo.embed.voice import VoiceEncoder, load_voice_encoder
from cameo.errors import UsageError
from cameo.fidelity.folders import ClipFile, list_people, split_references
from cameo.listening import Listener, load_listener
from cameo.media import write_mp4
from cameo.synthetic.selfie import render_selfie
from tests.fidelity.spoken import RATE_HZ, voice, write_talk, write_wav

ADA, BOB = 1, 2


@pytest.fixture(scope="module")
def encoder() -> VoiceEncoder:
    return load_voice_encoder()


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ada is known by a recording of her voice, Bob by a clip with sound, Eve by a photograph."""
    folder = tmp_path_factory.mktemp("people")
    write_wav(folder / "ada.wav", voice(ADA, 12))
    write_talk(folder / "bob.mp4", BOB, voice(BOB, 12))
    (folder / "eve.png").touch()
    return folder


def file_of(path: Path, person: str = "ada") -> ClipFile:
    return ClipFile(path, path.name, "own", person, person)


def met(encoder: VoiceEncoder, folder: Path, real: Path | None = None) -> Listener:
    apart = list_people(real) if real is not None else None
    listener = Listener(encoder, apart is not None, {"ada", "bob"})
    for person in list_people(folder).values():
        listener.meet(*split_references(person, apart))
    return listener


def test_the_own_voice_is_told_from_another(encoder: VoiceEncoder, people: Path, tmp_path: Path) -> None:
    listener = met(encoder, people)
    own = listener.hear(file_of(write_talk(tmp_path / "own.mp4", ADA, voice(ADA, 3, take=1))))
    other = listener.hear(file_of(write_talk(tmp_path / "other.mp4", ADA, voice(BOB, 3, take=1))))
    assert own is not None and other is not None
    assert own.likeness > (own.ceiling + own.floor) / 2 > other.likeness
    assert 1.5 < own.speech_s <= 3.1
    assert own.lips is None, "a white square has no mouth"
    basis = listener.basis()
    assert basis.encoder == "embedded-voice-1" and basis.unheard == ()
    # The first 60 % are the reference, the last quarter is held out.
    shares = {one.person: (one.speech_s, one.held_s) for one in basis.people}
    for person in ("ada", "bob"):
        assert 4.0 < shares[person][0] <= 7.4 and 1.5 < shares[person][1] <= 3.2
    assert shares["eve"] == (0.0, 0.0)


def test_without_a_reference_there_is_speech_and_no_likeness(
    encoder: VoiceEncoder, people: Path, tmp_path: Path
) -> None:
    found = met(encoder, people).hear(file_of(write_talk(tmp_path / "eve.mp4", 3, voice(3, 3)), "eve"))
    assert found is not None and found.speech_s > 1.5 and math.isnan(found.likeness)


def test_held_out_recordings_of_their_own(encoder: VoiceEncoder, people: Path, tmp_path: Path) -> None:
    write_wav(tmp_path / "ada.wav", voice(ADA, 4, take=3))
    ada, bob, _ = met(encoder, people, tmp_path).basis().people
    assert ada.speech_s > 8 and 2.5 < ada.held_s <= 4.1
    assert bob.speech_s > 8 and bob.held_s == 0


def test_who_is_not_heard_is_listed(encoder: VoiceEncoder, people: Path, tmp_path: Path) -> None:
    listener = met(encoder, people)
    hum = (0.2 * np.sin(2 * np.pi * 100 * np.arange(2 * RATE_HZ) / RATE_HZ)).astype(np.float32)
    for name, sound in (("silent", np.zeros(2 * RATE_HZ, np.float32)), ("hum", hum), ("short", voice(ADA, 0.8))):
        assert listener.hear(file_of(write_talk(tmp_path / f"{name}.mp4", ADA, sound))) is None
    write_mp4(tmp_path / "mute.mp4", np.zeros((4, 32, 32, 3), np.uint8), 8)
    (tmp_path / "broken.mp4").write_bytes(b"broken")
    for name in ("mute", "broken"):
        assert listener.hear(file_of(tmp_path / f"{name}.mp4")) is None
    told = {one.file: one.reason for one in listener.basis().unheard}
    assert list(told) == [f"own/{name}.mp4" for name in ("silent", "hum", "short", "mute", "broken")]
    assert "s of speech, 1 s is needed" in told["own/silent.mp4"]
    assert told["own/mute.mp4"] == "it has no sound track" and "cannot" not in told["own/broken.mp4"] != ""


def test_references_that_cannot_be_heard_are_noted_once(encoder: VoiceEncoder, tmp_path: Path) -> None:
    (tmp_path / "ada.wav").write_bytes(b"broken")
    write_mp4(tmp_path / "bob.mp4", np.zeros((4, 32, 32, 3), np.uint8), 8)
    listener = met(encoder, tmp_path)
    assert [Path(one.file).name for one in listener.skipped] == ["ada.wav"]
    assert [one.speech_s for one in listener.basis().people] == [0.0, 0.0]


def test_where_no_clip_has_sound_nothing_is_listened_to(encoder: VoiceEncoder, people: Path, tmp_path: Path) -> None:
    write_mp4(tmp_path / "ada.mp4", np.zeros((4, 32, 32, 3), np.uint8), 8)
    listener = load_listener("embedded", False, {"own": [file_of(tmp_path / "ada.mp4"), file_of(tmp_path / "no.mp4")]})
    assert listener is not None
    listener.meet(*split_references(list_people(people)["ada"], None))
    assert listener.hear(file_of(tmp_path / "ada.mp4")) is None
    assert listener.basis().people == () and listener.basis().unheard == ()


def test_models() -> None:
    assert load_listener("none", False, {}) is None
    with pytest.raises(UsageError, match="unknown voice model"):
        load_listener("loud", False, {})


def test_lips(encoder: VoiceEncoder, tmp_path: Path) -> None:
    """A rendered person's lips go with their own speech, and with a delayed one at that delay."""
    shown = render_selfie(3, 4.0, 128, 12.5)
    write_mp4(tmp_path / "real.mp4", shown.frames, shown.fps, shown.sound)
    listener = Listener(encoder, False, {"real"})
    listener.meet(*split_references(list_people(tmp_path)["real"], None))
    (real,) = listener.basis().people
    assert len(real.lips) == 1 and real.lips[0].sync > 0.6 and real.lips[0].chance < 0.1
    assert abs(real.lips[0].lag_s) <= 0.08
    late = np.roll(shown.sound, round(0.8 * RATE_HZ))
    write_mp4(tmp_path / "late.mp4", shown.frames, shown.fps, late)
    found = listener.hear(file_of(tmp_path / "late.mp4", "real"))
    assert found is not None and found.lips is not None
    assert found.lips.sync < 0.4 and found.lips.chance > real.lips[0].chance
    assert found.lips.lag_s == pytest.approx(-0.8, abs=0.1), "the sound must be brought forward"
