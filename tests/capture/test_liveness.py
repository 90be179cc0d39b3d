"""Only an answered challenge makes a recording live; every piece of evidence fires on what it is for, and not else."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cameo.capture.challenge import Challenge, draw_challenge
from cameo.capture.liveness import (
    check_challenge,
    digit_slots,
    judge_liveness,
    passive_evidence,
    spoken_answer,
    weigh_voice,
)
from cameo.capture.pose_answer import watch_turns
from cameo.errors import NotPermitted, UsageError
from cameo.faces.lips import compare_lips
from cameo.records import LIVE, Evidence, Verdict
from tests.capture.answering import FPS, NOW, Answering, answer, fixed_challenge, with_frames, with_sound

RATE_HZ = 16_000
SOON = NOW + datetime.timedelta(seconds=40)
OTHER_DIGITS = fixed_challenge("5 left 2 8 right 0 centre left 6 7")
OTHER_TURNS = fixed_challenge("left centre 4 7 1 9 right 0 left 2")
MEDIA = Path("/work/shared/media")


@pytest.fixture(scope="module")
def asked() -> Challenge:
    return fixed_challenge()


@pytest.fixture(scope="module")
def good(asked: Challenge) -> Answering:
    return answer(asked)


def judged(shown: Answering, challenge: Challenge | None = None) -> Verdict:
    return judge_liveness(shown.clip, shown.track, shown.speech, challenge, SOON)


def piece(verdict: Verdict | tuple[Evidence, ...], name: str) -> Evidence:
    pieces = verdict.evidence if isinstance(verdict, Verdict) else verdict
    return next(found for found in pieces if found.name == name)


def passive(shown: Answering) -> tuple[Evidence, ...]:
    return passive_evidence(shown.clip, shown.track, shown.speech)


def test_a_good_answer_is_live_and_nothing_speaks_against_it(asked: Challenge, good: Answering) -> None:
    verdict = judged(good, asked)
    assert verdict.live and verdict.assurance == LIVE
    assert verdict.warnings == ()
    assert all(found.passed for found in verdict.evidence)
    assert verdict.score > 0.7
    assert (verdict.nonce, verdict.digest) == (asked.nonce, asked.digest)


def test_the_summary_binds_the_challenge_and_fits_the_consent_record(asked: Challenge, good: Answering) -> None:
    summary = judged(good, asked).summary()
    assert summary.startswith("challenge passed") and asked.nonce in summary and asked.digest in summary
    assert len(summary) <= 1024
    failed = judged(answer(asked, said=OTHER_DIGITS), asked).summary()
    assert failed.startswith("challenge failed") and "digits against" in failed


def test_without_a_challenge_nothing_is_live(good: Answering) -> None:
    verdict = judged(good)
    assert not verdict.live and verdict.assurance == "" and verdict.nonce == ""
    assert verdict.summary() == "not checked by a challenge"
    assert not any(found.decides for found in verdict.evidence)


def test_wrong_digits_fail(asked: Challenge) -> None:
    verdict = judged(answer(asked, said=OTHER_DIGITS), asked)
    assert not verdict.live
    assert piece(verdict, "digits").passed is False and piece(verdict, "turns").passed is True


def test_digits_in_the_wrong_slots_fail(asked: Challenge, good: Answering) -> None:
    late = with_sound(good, np.roll(good.clip.sound, 2 * RATE_HZ))
    assert piece(judged(late, asked), "digits").passed is False


def test_silence_and_missing_sound_fail(asked: Challenge, good: Answering) -> None:
    for sound in (np.zeros(len(good.clip.sound)), np.zeros(0)):
        verdict = judged(with_sound(good, sound), asked)
        assert not verdict.live and piece(verdict, "digits").passed is False


def test_wrong_turns_fail(asked: Challenge) -> None:
    verdict = judged(answer(asked, turned=OTHER_TURNS), asked)
    assert not verdict.live
    assert piece(verdict, "turns").passed is False and piece(verdict, "digits").passed is True


def test_no_turns_fail(asked: Challenge, good: Answering) -> None:
    still = replace(good, track=replace(good.track, yaw_deg=np.zeros_like(good.track.yaw_deg)))
    lost = replace(good, track=replace(good.track, found=np.zeros_like(good.track.found)))
    for shown in (still, lost):
        found = piece(judged(shown, asked), "turns")
        assert found.passed is False and found.measured.startswith("0 of 4")


def test_a_mirrored_picture_passes_and_is_named(asked: Challenge, good: Answering) -> None:
    mirrored = replace(good, track=replace(good.track, yaw_deg=-good.track.yaw_deg))
    found = piece(judged(mirrored, asked), "turns")
    assert found.passed is True and "mirrored" in found.measured
    assert "mirrored" not in piece(judged(good, asked), "turns").measured


def test_one_turn_to_the_wrong_side_is_not_a_mirror(asked: Challenge, good: Answering) -> None:
    yaw = good.track.yaw_deg.copy()
    half = len(yaw) // 2
    yaw[half:] *= -1
    found = piece(judged(replace(good, track=replace(good.track, yaw_deg=yaw)), asked), "turns")
    assert found.passed is False


def test_a_turn_lost_by_the_tracker_is_forgiven(asked: Challenge, good: Answering) -> None:
    deep = good.track.yaw_deg > 20
    gone = np.where(deep, np.nan, good.track.yaw_deg).astype(np.float32)
    shown = replace(good, track=replace(good.track, yaw_deg=gone, found=~deep))
    assert piece(judged(shown, asked), "turns").passed is True


def begun(shown: Answering, before_s: float) -> Answering:
    """The answer in a recording that began `before_s` earlier, or, below 0, later."""
    count = len(shown.clip.times_s)
    first = -round(before_s * FPS)
    index = np.arange(first, count).clip(0)
    samples = round(-first / FPS * RATE_HZ)
    room = 1e-3 * np.random.default_rng(2).standard_normal(max(0, samples))
    sound = np.concatenate([room, shown.clip.sound[max(0, -samples) :]]).astype(np.float32)
    clip = replace(shown.clip, frames=shown.clip.frames[index], times_s=np.arange(len(index)) / FPS, sound=sound)
    track = replace(
        shown.track, **{name: getattr(shown.track, name)[index] for name in shown.track.__dataclass_fields__}
    )
    return Answering(clip, track, shown.speech)


@pytest.mark.parametrize("before_s", [-0.8, -0.4, 0.4, 1.0, 2.3, 4.8])
def test_a_camera_that_was_started_by_hand(asked: Challenge, good: Answering, before_s: float) -> None:
    shown = begun(good, before_s)
    verdict = judged(shown, asked)
    assert verdict.live, [found.measured for found in verdict.evidence]
    seen = watch_turns(shown.track, shown.clip.times_s, asked)
    assert seen.begins_s == 0 if abs(before_s) < 0.5 else seen.begins_s == pytest.approx(before_s, abs=0.35)
    assert ("begins at" in piece(verdict, "turns").measured) == (seen.begins_s != 0)


def test_an_answer_that_comes_too_late_fails(asked: Challenge, good: Answering) -> None:
    assert not judged(begun(good, 8.0), asked).live


def test_an_answer_to_another_challenge_seldom_fits(good: Answering) -> None:
    passed = 0
    for number in range(60):
        other = draw_challenge(NOW)
        assert other.nonce, number
        passed += watch_turns(good.track, good.clip.times_s, other).passed
    assert passed <= 5  # 2 % by design: more than 5 of 60 has a chance of 0.1 %


def test_an_expired_challenge_is_refused_whatever_is_in_the_clip(asked: Challenge, good: Answering) -> None:
    late = asked.expires + datetime.timedelta(seconds=1)
    with pytest.raises(NotPermitted) as refused:
        check_challenge(good.clip, good.track, good.speech, asked, late)
    assert refused.value.code == "expired"
    with pytest.raises(UsageError):
        check_challenge(good.clip, good.track, good.speech, asked, datetime.datetime(2026, 11, 26, 12, 0))


def test_a_clip_that_ends_early_fails_without_an_error(asked: Challenge, good: Answering) -> None:
    count = int(6 * FPS)
    clip = replace(
        good.clip,
        frames=good.clip.frames[:count],
        times_s=good.clip.times_s[:count],
        sound=good.clip.sound[: 6 * RATE_HZ],
    )
    track = replace(good.track, **{name: getattr(good.track, name)[:count] for name in good.track.__dataclass_fields__})
    assert not judge_liveness(clip, track, good.speech, asked, SOON).live
    assert len(digit_slots(clip, asked)) == 6


def test_a_photograph_is_frozen(good: Answering) -> None:
    still = with_frames(good, np.repeat(good.clip.frames[:1], len(good.clip.frames), 0))
    assert piece(passive(still), "frozen").passed is False
    assert piece(passive(good), "frozen").passed is True


@pytest.mark.parametrize("backwards", [False, True])
def test_a_loop_is_found(backwards: bool, good: Answering) -> None:
    frames = good.clip.frames.copy()
    part = frames[50:110]
    frames[200:260] = part[::-1] if backwards else part
    # As an encoder would leave it: not to the bit the same.
    noisy = (frames + np.random.default_rng(1).normal(0, 1.0, frames.shape)).clip(0, 255).astype(np.uint8)
    found = piece(passive(with_frames(good, noisy)), "loop")
    assert found.passed is False
    assert piece(passive(good), "loop").passed is True


def test_a_cut_is_found(good: Answering) -> None:
    frames = good.clip.frames.copy()
    frames[300:] = 255 - frames[300:]
    found = piece(passive(with_frames(good, frames)), "cut")
    assert found.passed is False and f"at {good.clip.times_s[300]:.1f} s" in found.measured


def test_a_screen_is_suspected(good: Answering) -> None:
    y, x = np.mgrid[:96, :96]
    grid = 1 + 0.08 * np.sin(2 * np.pi * (x + 0.07 * y) / 3.3) * np.sin(2 * np.pi * (y - 0.07 * x) / 3.3)
    moire = (good.clip.frames * grid[None, ..., None]).clip(0, 255).astype(np.uint8)
    found = piece(passive(with_frames(good, moire)), "screen")
    assert found.passed is False and "weak" in found.meaning
    bordered = good.clip.frames.copy()
    bordered[:, :, :12] = bordered[:, :, -12:] = 0
    assert piece(passive(with_frames(good, bordered)), "screen").passed is False
    assert piece(passive(good), "screen").passed is True


def test_passive_evidence_never_decides(asked: Challenge, good: Answering) -> None:
    still = with_frames(good, np.repeat(good.clip.frames[:1], len(good.clip.frames), 0))
    verdict = judged(still, asked)
    assert piece(verdict, "frozen").passed is False and verdict.live
    assert [found.name for found in verdict.evidence if found.decides] == ["digits", "turns"]
    assert verdict.score < judged(good, asked).score


def test_lips_agree_with_their_own_sound_only(asked: Challenge, good: Answering) -> None:
    assert piece(passive(good), "lips").passed is True
    for shift_s in (0.8, -1.0):
        shifted = with_sound(good, np.roll(good.clip.sound, int(shift_s * RATE_HZ)))
        found = piece(passive(shifted), "lips")
        assert found.passed is False and f"{-shift_s:+.1f} s" in found.measured


def test_lips_of_another_recording_do_not_agree(good: Answering) -> None:
    other = answer(fixed_challenge("left 3 right 8 8 centre 1 right 5 0"), seed=5)
    assert piece(passive(with_sound(good, other.clip.sound)), "lips").passed is not True


def test_lip_significance_is_that_of_chance() -> None:
    """On mouths that have nothing to do with the sound, chances below 10 % come up in about 10 %."""
    shown, random = answer(fixed_challenge()), np.random.default_rng(0)
    low = 0
    for _ in range(60):
        noise = np.convolve(random.standard_normal(len(shown.track.mouth_open)), np.hanning(9), "same")
        track = replace(shown.track, mouth_open=np.abs(noise).astype(np.float32))
        found = compare_lips(shown.clip, track, shown.speech)
        assert found is not None
        low += found.chance <= 0.1
    assert low <= 14  # binomial, 60 of 10 %: more has a chance of 0.1 %


def test_lips_that_cannot_be_judged_are_not_held_against_anybody(good: Answering) -> None:
    unseen = replace(good, track=replace(good.track, found=np.zeros_like(good.track.found)))
    stiff = replace(good, track=replace(good.track, mouth_open=np.zeros_like(good.track.mouth_open)))
    silent = with_sound(good, np.zeros(len(good.clip.sound)))
    for shown in (unseen, stiff, silent):
        assert piece(passive(shown), "lips").passed is None


def test_another_voice_is_weighed() -> None:
    assert weigh_voice(0.6, 0.34).passed is True and weigh_voice(0.6, 0.34).score > 0.5
    assert weigh_voice(0.1, 0.34).passed is False and weigh_voice(0.1, 0.34).score < 0.5
    assert not weigh_voice(0.1, 0.34).decides


def test_the_spoken_answer_is_what_was_said_in_the_slots(asked: Challenge, good: Answering) -> None:
    samples = spoken_answer(good.clip, good.speech, asked)
    assert 0.9 * good.speech.seconds <= len(samples) / RATE_HZ <= 1.01 * good.speech.seconds


def test_a_verdict_without_what_decides_is_not_live() -> None:
    assert not Verdict((), "0" * 32, "0" * 64).live
    told = Evidence("digits", "", 1.0, 1.0, True, True, "", "")
    untold = Evidence("turns", "", 0.5, 1.0, None, True, "", "")
    assert Verdict((told,), "0" * 32).live
    assert not Verdict((told, untold), "0" * 32).live
    assert not Verdict((told,)).live  # no challenge


@pytest.mark.slow
@pytest.mark.parametrize("name", ["person_a", "person_b", "person_c", "person_d"])
def test_passive_evidence_is_quiet_on_real_people(name: str) -> None:
    path = MEDIA / f"{name}.mp4"
    if not path.exists():
        pytest.skip("no real clips on this machine")
    from cameo.capture.clip import read_clip
    from cameo.capture.speech import find_speech
    from cameo.faces.track import track_faces

    clip = read_clip(path)
    pieces = passive_evidence(clip, track_faces(clip.frames), find_speech(clip.sound))
    assert [found.name for found in pieces if found.passed is False] == []


def test_small_pictures_of_odd_shape_are_measured() -> None:
    shown = answer(fixed_challenge())
    small = np.stack([cv2.resize(frame, (37, 21)) for frame in shown.clip.frames[:40]])
    clip = replace(shown.clip, frames=small, times_s=shown.clip.times_s[:40])
    track = replace(shown.track, **{name: getattr(shown.track, name)[:40] for name in shown.track.__dataclass_fields__})
    assert {found.name for found in passive_evidence(clip, track, shown.speech)} == {
        "lips", "frozen", "loop", "cut", "screen",
    }  # fmt: skip
