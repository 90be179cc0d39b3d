"""What is measured live is what the gate measures."""

from __future__ import annotations

import numpy as np
import pytest

from cameo.capture.guide import LABELS, fullness
from cameo.capture.limits import RULES
from cameo.capture.live_meter import CENTRED, FRAMING, PictureMeter, SoundMeter
from cameo.capture.picture_checks import measure_faces, picture_luminance
from cameo.capture.sources import SOUND_HZ, Heard, Shot
from cameo.faces.track import track_faces
from cameo.records import Check
from cameo.synthetic.voice import speak
from tests.conftest import RenderedPerson


def by_name(checks: tuple[Check, ...]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_face_is_measured_as_by_the_gate(person: RenderedPerson) -> None:
    frame = person.clip.frames[:1]
    meter = PictureMeter()
    assert meter.see(Shot(0.0, frame[0])) and not meter.see(Shot(0.1, frame[0]))
    track = track_faces(frame)
    gate = measure_faces(frame, track)
    found = by_name(meter.checks)
    assert found["light"].value == pytest.approx(picture_luminance(frame))
    assert found["face"].value == 100 and found["one_face"].value == 0
    assert found["face_size"].value == pytest.approx(float(gate.eye_gap_px[0]))
    assert found["brightness"].value == pytest.approx(float(gate.luminance[0]))
    assert found["sharpness"].value == pytest.approx(float(gate.sharpness[0]))
    for name, check in found.items():
        assert check.limit == {**RULES, CENTRED.name: CENTRED}[name].limit
    assert {rule.name for rule in FRAMING} <= set(found)
    assert meter.box == pytest.approx(track.boxes[0] / 128)


def test_the_last_second_counts(person: RenderedPerson) -> None:
    """Nobody, then somebody: after five looks nothing is left of the empty room."""
    meter, empty = PictureMeter(), np.full((128, 128, 3), 90, np.uint8)
    shares = []
    for look in range(8):
        meter.see(Shot(100.0 * look, empty if look < 3 else person.clip.frames[look]))
        shares.append(round(by_name(meter.checks)["face"].value))
    assert shares == [0, 0, 0, 25, 40, 60, 80, 100]
    meter.see(Shot(1000.0, empty))
    assert meter.box is None


def test_the_middle_is_found(person: RenderedPerson) -> None:
    frame = person.clip.frames[0]
    wide = np.full((128, 384, 3), 90, np.uint8)
    asides = []
    for left in (128, 256):
        wide[:] = 90
        wide[:, left : left + 128] = frame
        meter = PictureMeter()
        meter.see(Shot(0.0, wide))
        asides.append(by_name(meter.checks)[CENTRED.name])
    assert asides[0].level == "ok" and asides[1].level == "warn"
    assert asides[1].value - asides[0].value == pytest.approx(1 / 3, abs=0.1)


def heard(samples: np.ndarray, at_s: float = 0.0) -> list[Heard]:
    blocks = np.split(samples.astype(np.float32), range(960, len(samples), 960))
    return [Heard(at_s + index * 0.02, block) for index, block in enumerate(blocks)]


def test_sound_is_measured_as_by_the_gate() -> None:
    ear = SoundMeter()
    ear.hear(heard(np.zeros(SOUND_HZ // 2)))
    assert by_name(ear.checks)["sound"].level == "fail"
    ear.hear(heard(0.1 * np.sin(np.arange(SOUND_HZ) * 2 * np.pi * 300 / SOUND_HZ), 1.0))
    assert by_name(ear.checks)["sound"].value == pytest.approx(-23.0, abs=0.3)
    assert ear.loudest_db == pytest.approx(-23.0, abs=0.3)
    before = ear.checks
    ear.hear([])
    assert ear.checks == before


def test_noise_is_told_from_speech() -> None:
    spoken = np.repeat(speak(3, 3.0).sound, 3)[: 3 * SOUND_HZ]
    ear, noisy = SoundMeter(), SoundMeter()
    ear.hear(heard(spoken))
    noisy.hear(heard(spoken + np.random.default_rng(0).normal(0, 0.4 * spoken.std(), len(spoken))))
    clear, drowned = (by_name(meter.checks)["speech_over_noise"] for meter in (ear, noisy))
    assert clear.level == "ok" and drowned.value < clear.value - 3


def test_bars() -> None:
    size, level = RULES["face_size"], RULES["sound"]
    assert fullness(size.judge(60)) == pytest.approx(0.8) == pytest.approx(fullness(level.judge(-30)))
    assert fullness(size.judge(0)) == 0 and fullness(size.judge(600)) == 1 and fullness(level.judge(-120)) == 0
    assert fullness(CENTRED.judge(0)) == 1 and fullness(CENTRED.judge(0.44)) == pytest.approx(0.4)
    assert set(LABELS) <= {*RULES, CENTRED.name}
