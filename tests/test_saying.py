"""Casting with a line: the double says it in its owner's voice, when the voice was lent, and only then."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
import soundfile

from cameo.casting import cast
from cameo.crypto.encoding import sha256_hex
from cameo.embed.voice import load_voice_encoder
from cameo.errors import ClipError, NotPermitted, UsageError
from cameo.generators.motion_track import mouth_envelope
from cameo.grants.proof import use_sha256
from cameo.records import Use
from cameo.seal.bundle import Part
from cameo.staging import CastOptions
from cameo.synthetic.voice import speak
from tests.conftest import Enrolled
from tests.lendable import Lendable, People, seal_lendable
from tests.seal.conftest import ENCODER

if TYPE_CHECKING:
    from cameo.records import Float32, UInt8

RATE_HZ = 16_000
SPOKEN = """
[[purposes]]
id = "birthday"
outputs = ["video", "audio"]
"""
FRAMES = 60


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody else, 2.4 s."""
    path = tmp_path_factory.mktemp("line") / "line.wav"
    soundfile.write(path, np.asarray(speak(8, FRAMES / 25, 25.0).sound, np.float32), RATE_HZ)
    return path


@pytest.fixture
def speaking(home: Path, people: People, tmp_path: Path, enrolled_parts: list[Part]) -> Lendable:
    """The enrolled person, who may be lent with sound."""
    return seal_lendable(tmp_path, people, enrolled_parts, ENCODER, SPOKEN)


def decoded(path: Path) -> tuple[UInt8, Float32]:
    """Frames, and the sound at 16 kHz."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.sample_rate == RATE_HZ
        blocks = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.stack(frames), np.concatenate(blocks)


def test_the_owner_says_somebody_elses_line(enrolled: Enrolled, line: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    made = cast(enrolled.double, keys=enrolled.keys, out=out, options=CastOptions(say=line))
    assert made.frames == FRAMES
    assert made.seconds == pytest.approx(2.4)
    frames, sound = decoded(out)
    assert len(frames) == FRAMES
    assert len(sound) / RATE_HZ == pytest.approx(2.4, abs=0.15)
    said, _rate = soundfile.read(line, dtype="float32")
    before, after = (mouth_envelope(heard, RATE_HZ, FRAMES) for heard in (said, sound))
    assert np.corrcoef(before, after)[0, 1] > 0.8, "the sound is the line's, in time"
    encoder = load_voice_encoder()
    owner = enrolled.made.voice.vector
    assert encoder.embed(sound) @ owner > encoder.embed(said) @ owner + 0.1
    again = tmp_path / "again.mp4"
    cast(enrolled.double, keys=enrolled.keys, out=again, options=CastOptions(say=line))
    assert again.read_bytes() == out.read_bytes()


def test_frames_cut_the_line_off(enrolled: Enrolled, line: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    made = cast(enrolled.double, keys=enrolled.keys, out=out, options=CastOptions(say=line, frames=40))
    frames, sound = decoded(out)
    assert (made.frames, len(frames)) == (40, 40)
    assert len(sound) / RATE_HZ == pytest.approx(1.6, abs=0.15)


def test_a_friend_lets_it_speak_where_the_voice_was_lent(speaking: Lendable, line: Path, tmp_path: Path) -> None:
    speaking.grant(modalities=("face", "voice"), outputs=("audio", "video"), max_uses=1)
    options = CastOptions(purpose="birthday", say=line)
    made = cast(speaking.double, borrowed=speaking.borrowed(), out=tmp_path / "clip.mp4", options=options)
    allowed, released = speaking.receipts()
    assert (allowed.decision, released.decision) == ("allow", "released")
    use = Use(
        "generate", "birthday", "", "reference", ("video", "audio"), ("face", "voice"), 2.4, made.width * made.height,
        line_sha256=sha256_hex(line.read_bytes()),
    )  # fmt: skip
    assert allowed.request_sha256 == use_sha256(use), "the receipt is about this very line"
    assert use_sha256(dataclasses.replace(use, line_sha256="")) != use_sha256(use)


@pytest.mark.parametrize("terms", [{"modalities": ("face",)}, {"outputs": ("video",)}])
def test_a_grant_without_the_voice_or_without_sound(
    speaking: Lendable, line: Path, tmp_path: Path, terms: dict[str, Any]
) -> None:
    speaking.grant(**terms)
    options = CastOptions(purpose="birthday", say=line)
    with pytest.raises(NotPermitted) as caught:
        cast(speaking.double, borrowed=speaking.borrowed(), out=tmp_path / "clip.mp4", options=options)
    assert (caught.value.code, caught.value.exit_code) == ("out_of_scope", 4)
    assert caught.value.hint
    assert speaking.decisions() == [("deny", "out_of_scope")]
    assert not (tmp_path / "clip.mp4").exists()


def test_a_consent_that_knows_no_sound(lendable: Lendable, line: Path, tmp_path: Path) -> None:
    with pytest.raises(NotPermitted) as caught:
        cast(lendable.double, keys=lendable.people.ada, out=tmp_path / "c.mp4", options=CastOptions(say=line))
    assert caught.value.code == "consent_exceeded"


def test_a_double_from_before_doubles_could_speak(
    home: Path, people: People, tmp_path: Path, enrolled_parts: list[Part], line: Path
) -> None:
    older = [part for part in enrolled_parts if part.name != "adapter.reference.voice"]
    assert len(older) == len(enrolled_parts) - 1
    lent = seal_lendable(tmp_path, people, older, ENCODER, SPOKEN)
    lent.grant()
    options = CastOptions(purpose="birthday", say=line)
    with pytest.raises(UsageError, match=r"adapter\.reference\.voice") as caught:
        cast(lent.double, borrowed=lent.borrowed(), out=tmp_path / "clip.mp4", options=options)
    assert "enrol again" in caught.value.hint
    assert not lent.receipts(), "no use is spent"
    silent = dataclasses.replace(options, say=None, frames=8)
    cast(lent.double, borrowed=lent.borrowed(), out=tmp_path / "clip.mp4", options=silent)


def test_what_is_no_line_spends_nothing(speaking: Lendable, tmp_path: Path) -> None:
    speaking.grant()
    silent, words, noise = tmp_path / "silent.wav", tmp_path / "words.wav", tmp_path / "noise.wav"
    soundfile.write(silent, np.zeros(2 * RATE_HZ), RATE_HZ)
    soundfile.write(noise, np.random.default_rng(0).standard_normal(2 * RATE_HZ) * 0.1, RATE_HZ)
    words.write_text("not sound")
    for bad in (silent, noise, tmp_path / "missing.wav"):
        with pytest.raises(UsageError) as caught:
            cast(
                speaking.double,
                borrowed=speaking.borrowed(),
                out=tmp_path / "clip.mp4",
                options=CastOptions(purpose="birthday", say=bad),
            )
        assert caught.value.hint
    with pytest.raises(ClipError):
        cast(
            speaking.double,
            borrowed=speaking.borrowed(),
            out=tmp_path / "clip.mp4",
            options=CastOptions(purpose="birthday", say=words),
        )
    assert not speaking.receipts()
    assert not (tmp_path / "clip.mp4").exists()
