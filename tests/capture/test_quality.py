"""Every check of the gate says yes on a good recording and no, with advice, on one that fails it alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from cameo.capture.limits import RULES
from cameo.capture.quality import add_voices, assess, require_good
from cameo.errors import CaptureRejected
from cameo.records import Clip, FaceTrack, QualityReport, Speech
from cameo.synthetic.voice import speak
from tests.conftest import clip_of

LENGTH_S, FPS, RATE_HZ = 6.0, 25, 16_000
COUNT = int(LENGTH_S * FPS)


def face_texture(side: int) -> np.ndarray:
    """Draw something with the contrast and the colour of a face, `[side, side, 3]`."""
    random = np.random.default_rng(3)
    coarse = (random.integers(60, 200, (12, 12, 1)) * [1.25, 0.9, 0.8]).astype(np.uint8)
    smooth = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(smooth + random.normal(0, 8, smooth.shape), 0, 255), np.uint8)


def good_clip() -> Clip:
    """A textured square that moves to and fro on a plain ground, with sound like speech in bursts."""
    frames = np.full((COUNT, 240, 320, 3), 110, np.uint8)
    face = face_texture(150)
    for i, frame in enumerate(frames):
        x = 80 + int(10 * np.sin(i / 6))
        frame[40:190, x : x + 150] = face
    return clip_of(frames, bursts(), FPS)


def bursts(level: float = 0.2, noise: float = 0.0005) -> np.ndarray:
    """`[N]` loud noise in bursts of 0.3 s that fade in pauses of 0.2 s, over faint noise."""
    random = np.random.default_rng(1)
    time = np.arange(int(LENGTH_S * RATE_HZ)) / RATE_HZ
    gate = 10 ** (-3 * np.maximum(time % 0.5 - 0.3, 0) / 0.25)
    return (level * gate + noise) * random.standard_normal(len(time)).clip(-3, 3)


def good_track() -> FaceTrack:
    """What a tracker says of `good_clip`: eyes 64 px apart, a head that turns."""
    x = 80 + 10 * np.sin(np.arange(COUNT) / 6)[:, None, None]
    face = [[43, 50], [107, 50], [75, 80], [50, 110], [100, 110], [75, 105], [75, 115], [75, 145], [5, 70], [145, 70]]
    points = (np.array(face)[None] + np.concatenate([x, np.full_like(x, 40)], 2)).astype(np.float32)
    yaw = (20 * np.sin(np.arange(COUNT) / 20)).astype(np.float32)
    zeros, ones = np.zeros(COUNT, np.float32), np.ones(COUNT, np.float32)
    boxes = np.concatenate([x[:, 0], np.full((COUNT, 1), 40), np.full((COUNT, 2), 150)], 1).astype(np.float32)
    mouth = (0.1 + 0.1 * np.sin(np.arange(COUNT) / 3)).astype(np.float32)
    return FaceTrack(boxes, points, ones, mouth, yaw, zeros, zeros, np.ones(COUNT, np.int64), np.ones(COUNT, bool))


def speech_of(clip: Clip, start_s: float = 0.0, end_s: float = LENGTH_S) -> Speech:
    samples = clip.sound[int(start_s * RATE_HZ) : int(end_s * RATE_HZ)]
    return Speech(samples, np.array([[start_s, end_s]]))


def no_speech() -> Speech:
    return Speech(np.zeros(0, np.float32), np.zeros((0, 2)))


def blurred(clip: Clip) -> Clip:
    return dataclasses.replace(clip, frames=np.stack([cv2.GaussianBlur(f, (0, 0), 7) for f in clip.frames]))


def scaled(clip: Clip, factor: float) -> Clip:
    return dataclasses.replace(clip, frames=np.clip(clip.frames * factor, 0, 255).astype(np.uint8))


def frozen(clip: Clip) -> Clip:
    return dataclasses.replace(clip, frames=np.repeat(clip.frames[:1], COUNT, 0))


def hidden(track: FaceTrack, share: float) -> FaceTrack:
    found = np.arange(COUNT) >= share * COUNT
    hide = np.where(found, 1.0, np.nan).astype(np.float32)
    return dataclasses.replace(
        track,
        found=found,
        points=track.points * hide[:, None, None],
        boxes=track.boxes * hide[:, None],
        yaw_deg=track.yaw_deg * hide,
        pitch_deg=track.pitch_deg * hide,
        eye_open=track.eye_open * hide,
        faces=found.astype(np.int64),
    )


def shrunk(track: FaceTrack, factor: float) -> FaceTrack:
    middle = track.points.mean(1, keepdims=True)
    return dataclasses.replace(track, points=(middle + (track.points - middle) * factor).astype(np.float32))


def crowded(track: FaceTrack, share: float) -> FaceTrack:
    return dataclasses.replace(track, faces=np.where(np.arange(COUNT) < share * COUNT, 2, 1))


def run(
    clip: Callable[[Clip], Clip] = lambda c: c,
    track: Callable[[FaceTrack], FaceTrack] = lambda t: t,
    speech: Callable[[Clip], Speech] = speech_of,
) -> QualityReport:
    """Assess the good recording after a change."""
    changed = clip(good_clip())
    spoken = speech(changed)
    return add_voices(assess(changed, track(good_track()), spoken), voices()[: 8 * (spoken.seconds > 0)])


def voices(people: int = 1) -> np.ndarray:
    """Eight windows of speech as a voice encoder gives them: of one voice, or half of them of another."""
    random = np.random.default_rng(4)
    centres = np.eye(2, 32)[np.arange(8) * people // 8]
    rows = centres + 0.1 * random.standard_normal((8, 32))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def levels(report: QualityReport) -> dict[str, str]:
    return {check.name: check.level for check in report.checks}


def heard(sound: np.ndarray) -> Callable[[Clip], Clip]:
    return lambda clip: dataclasses.replace(clip, sound=sound.astype(np.float32))


def narrow(clip: Clip) -> Clip:
    spectrum = np.fft.rfft(clip.sound)
    spectrum[np.fft.rfftfreq(len(clip.sound), 1 / RATE_HZ) > 3000] = 0
    return dataclasses.replace(clip, sound=np.fft.irfft(spectrum, len(clip.sound)).astype(np.float32))


def one_sided(clip: Clip) -> Clip:
    """Light from one side: to the right of the nose there is a quarter of it."""
    fall = np.where(np.arange(clip.frames.shape[2]) < 155, 1, 0.25)[None, None, :, None]
    return dataclasses.replace(clip, frames=(clip.frames * fall).astype(np.uint8))


def sleepy(share: float) -> np.ndarray:
    return np.where(np.arange(COUNT) < share * COUNT, 0.1, 1).astype(np.float32)


def painted(clip: Clip, box: tuple[int, int, int, int], colour: tuple[int, int, int]) -> Clip:
    """Cover a part of the face, given in the face's own pixels."""
    frames = clip.frames.copy()
    left, top, width, height = box
    for i, frame in enumerate(frames):
        x = 80 + int(10 * np.sin(i / 6)) + left
        frame[40 + top : 40 + top + height, x : x + width] = colour
    return dataclasses.replace(clip, frames=frames)


def smeared(clip: Clip) -> Clip:
    """Every second frame blurred along a line of 13 px, as by a shutter left open."""
    frames = clip.frames.copy()
    kernel = np.full((1, 13), 1 / 13, np.float32)
    for i in range(0, COUNT, 2):
        frames[i] = cv2.filter2D(frames[i], -1, kernel)
    return dataclasses.replace(clip, frames=frames)


def compressed(clip: Clip, quality: int = 10) -> Clip:
    coded = [cv2.imencode(".jpg", f, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for f in clip.frames]
    return dataclasses.replace(
        clip, frames=np.stack([np.asarray(cv2.imdecode(c, cv2.IMREAD_COLOR), np.uint8) for c in coded])
    )


def echoing(sound: np.ndarray, seconds: float = 1.5) -> np.ndarray:
    """Put the sound into a room that takes `seconds` to swallow 60 dB, as loud as the sound itself."""
    length = int(seconds * RATE_HZ)
    tail = np.random.default_rng(5).standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    spectrum = np.fft.rfft(sound, 2 * len(sound)) * np.fft.rfft(tail / np.linalg.norm(tail), 2 * len(sound))
    room = np.fft.irfft(spectrum)[: len(sound)]
    return np.asarray(0.5 * (sound + room), np.float32)


def test_a_good_recording_passes() -> None:
    report = run()
    named = levels(report)
    assert set(named) == set(RULES)
    assert set(named.values()) <= {"ok", "warn"}
    assert [name for name, level in named.items() if level == "warn"] == ["speech"], (
        "6 s of speech is on the short side"
    )
    require_good(report)
    assert report.reasons == ("",) * COUNT
    assert ((report.frame_scores > 0) & (report.frame_scores <= 1)).all()


FAILING: dict[str, tuple[QualityReport | Callable[[], QualityReport], str]] = {
    "length": (lambda: run(clip=lambda c: dataclasses.replace(c, used_s=2.0)), "too short: 2.0 s"),
    "light": (lambda: run(clip=lambda c: scaled(c, 0.05)), "black"),
    "face": (lambda: run(track=lambda t: hidden(t, 0.7)), "only 30 %"),
    "one_face": (lambda: run(track=lambda t: crowded(t, 0.5)), "two faces in 50 %"),
    "movement": (lambda: run(clip=frozen), "frozen"),
    "face_size": (lambda: run(track=lambda t: shrunk(t, 0.3)), "too small: 19 px"),
    "sharpness": (lambda: run(clip=blurred), "blurred"),
    "over_exposed": (lambda: run(clip=lambda c: scaled(c, 2.5)), "over-exposed"),
    "under_exposed": (lambda: run(clip=lambda c: scaled(c, 0.18)), "too dark"),
    "brightness": (lambda: run(clip=lambda c: scaled(c, 0.18)), "luminance 0.0"),
    "usable_frames": (lambda: run(track=lambda t: hidden(t, 0.9)), "only 15 frames"),
    "sound": (lambda: run(clip=heard(bursts(5e-5, 1e-6))), "too faint"),
    "speech": (lambda: run(speech=lambda c: speech_of(c, 0, 2)), "too little speech: 2.0 s"),
    "speech_over_noise": (lambda: run(clip=heard(bursts(0.1, 0.15))), "drowns in noise"),
    "clipping": (lambda: run(clip=heard(np.clip(bursts() * 30, -1, 1))), "clipped"),
}
WARNING: dict[str, Callable[[], QualityReport]] = {
    "bright_face": lambda: run(clip=lambda c: dataclasses.replace(c, frames=c.frames // 3 + 168)),
    "even_light": lambda: run(clip=one_sided),
    "frontal": lambda: run(track=lambda t: dataclasses.replace(t, yaw_deg=np.abs(t.yaw_deg) + 16)),
    "pitch": lambda: run(track=lambda t: dataclasses.replace(t, pitch_deg=t.pitch_deg - 30)),
    "roll": lambda: run(track=lambda t: dataclasses.replace(t, roll_deg=t.roll_deg + 20)),
    "eyes_open": lambda: run(track=lambda t: dataclasses.replace(t, eye_open=sleepy(0.7))),
    "mouth_closed": lambda: run(track=lambda t: dataclasses.replace(t, mouth_open=t.mouth_open + 0.6)),
    "mouth_moves": lambda: run(track=lambda t: dataclasses.replace(t, mouth_open=t.mouth_open * 0.1)),
    "eyes_visible": lambda: run(clip=lambda c: painted(c, (30, 38, 88, 22), (8, 8, 10))),
    "mouth_visible": lambda: run(clip=lambda c: painted(c, (15, 84, 120, 60), (90, 150, 220))),
    "motion_blur": lambda: run(clip=smeared),
    "compression": lambda: run(clip=compressed),
    "reverberation": lambda: run(clip=heard(echoing(speak(3, 8.0, FPS).sound, 1.0))),
    "one_voice": lambda: add_voices(run(), voices(2)),
    "dynamic_range": lambda: run(clip=lambda c: dataclasses.replace(c, frames=c.frames // 5 + 95)),
    "pose_spread": lambda: run(track=lambda t: dataclasses.replace(t, yaw_deg=t.yaw_deg * 0.1)),
    "bandwidth": lambda: run(clip=narrow),
}


def test_every_rule_is_tried_here() -> None:
    assert set(FAILING) | set(WARNING) == set(RULES)
    assert all((RULES[name].fail is None) == (name in WARNING) for name in RULES)


@pytest.mark.parametrize("name", FAILING)
def test_a_failing_check_is_named_with_advice(name: str) -> None:
    make, words = FAILING[name]
    report = make() if callable(make) else make
    failed = {check.name: check for check in report.failed}
    assert name in failed, levels(report)
    alone = QualityReport((failed[name],), report.frame_scores, report.reasons)
    with pytest.raises(CaptureRejected) as caught:
        require_good(alone)
    error = caught.value
    assert words in error.message
    assert error.exit_code == 6
    assert error.hint == RULES[name].advice
    assert error.report is alone
    assert "\n" not in error.message + error.hint


@pytest.mark.parametrize("name", WARNING)
def test_a_warning_lets_pass(name: str) -> None:
    report = WARNING[name]()
    assert levels(report)[name] == "warn"
    require_good(report)


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.fail is not None])
def test_limits_are_where_they_are_printed(name: str) -> None:
    rule = RULES[name]
    assert rule.fail is not None
    worse = -1e-3 if rule.sense == "at least" else 1e-3
    assert rule.judge(rule.fail).level in ("warn", "ok")
    assert rule.judge(rule.fail + worse).level == "fail"
    assert rule.judge(rule.warn).level == "ok"
    assert f"{rule.fail:g}" in rule.limit
    assert rule.judge(float("nan")).level == "fail", "what cannot be measured does not pass"


def test_every_rule_says_what_it_is() -> None:
    for rule in RULES.values():
        assert rule.title
        assert rule.source
        assert len(rule.advice.split()) >= 3
        assert (rule.fail is None) or (rule.fail <= rule.warn) == (rule.sense == "at least") or rule.fail == rule.warn


def test_the_first_failure_speaks_and_counts_the_others() -> None:
    report = run(track=lambda t: hidden(t, 1.0), speech=lambda c: no_speech())
    with pytest.raises(CaptureRejected, match=r"no face found in the clip \(and 1 more failed check\)"):
        require_good(report)
    assert set(levels(report)) == {"length", "light", "face", "one_face", "sound", "speech"}
    assert set(report.reasons) == {"no face"}
    assert not report.frame_scores.any()


def test_no_sound_and_no_speech_have_words_of_their_own() -> None:
    silent = run(clip=heard(np.zeros(0)), speech=lambda c: no_speech())
    with pytest.raises(CaptureRejected, match="there is no sound in the recording"):
        require_good(silent)
    humming = run(speech=lambda c: no_speech())
    with pytest.raises(CaptureRejected, match="noise or music only"):
        require_good(humming)


def test_noise_outside_the_speech_does_not_count() -> None:
    """The voice template is made of the speech alone; loud music before it does it no harm."""
    random = np.random.default_rng(2)
    sound = bursts()
    sound[: int(2 * RATE_HZ)] = 0.2 * random.standard_normal(int(2 * RATE_HZ))
    kept = run(clip=heard(sound), speech=lambda c: speech_of(c, 2, LENGTH_S))
    assert levels(kept)["speech_over_noise"] == "ok"


def test_each_bad_frame_has_its_reason() -> None:
    clip, track = good_clip(), good_track()
    clip.frames[10] = cv2.GaussianBlur(clip.frames[10], (0, 0), 9)
    clip.frames[20] //= 12
    track.faces[30] = 2
    track.yaw_deg[40] = 75
    track.found[50] = False
    report = assess(clip, track, speech_of(clip))
    named = {i: why for i, why in enumerate(report.reasons) if why}
    assert named == {10: "blurred", 20: "too dark", 30: "a second face", 40: "turned away", 50: "no face"}
    assert not report.frame_scores[list(named)].any()


def test_narrow_eyes_score_like_wide_ones_and_blinks_less() -> None:
    """Eyes are held against the same person's: the tracker says 0.1 of narrow eyes that are wide open."""
    clip, track = good_clip(), good_track()
    track.eye_open[40:45] = 0.2
    narrow_eyed = dataclasses.replace(track, eye_open=(0.1 * track.eye_open).astype(np.float32))
    wide, narrow = (assess(clip, t, speech_of(clip)) for t in (track, narrow_eyed))
    assert narrow.frame_scores == pytest.approx(wide.frame_scores, abs=1e-5)
    assert narrow.frame_scores[40:45].mean() < 0.7 * narrow.frame_scores[[38, 39, 45, 46]].mean()


@pytest.mark.parametrize("hold", [1, 2, 4])
def test_a_slow_camera_is_not_a_photograph(hold: int) -> None:
    """A webcam of 6 to 25 pictures a second, stored at 25, repeats pictures; that is not standing still."""
    clip = good_clip()
    held = clip.frames[np.arange(COUNT) // hold * hold]
    report = assess(dataclasses.replace(clip, frames=held), good_track(), speech_of(clip))
    movement = next(check for check in report.checks if check.name == "movement")
    assert movement.level != "fail", movement.value
