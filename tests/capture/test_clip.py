"""Any recording a phone or browser makes becomes one clock of pictures and sound."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cameo.capture.clip import ClipSettings, hold_file, read_clip
from cameo.errors import ClipError, UsageError
from cameo.records import RecordedFile
from tests.capture.conftest import Recorder, click


def steady(seconds: float, fps: float = 30.0) -> list[float]:
    return [i / fps for i in range(int(seconds * fps))]


def burst_s(sound: np.ndarray) -> float:
    """When the 20 ms burst starts."""
    loud = np.flatnonzero(np.abs(sound) > 0.25)
    return float(loud[0]) / 16_000


def test_h264_mp4_with_stereo_441(recorder: Recorder) -> None:
    path = recorder("a.mp4", steady(2), sound=click(44_100, 2, 1.0, 2), rate_hz=44_100)
    clip = read_clip(path)
    assert clip.frames.shape == (50, 120, 160, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.times_s[0] == 0
    assert np.all(np.diff(clip.times_s) > 0.03)
    assert np.all(np.diff(clip.times_s) < 0.07)
    assert clip.sound.dtype == np.float32
    assert clip.sound.ndim == 1
    assert abs(len(clip.sound) / 16_000 - 2) < 0.1
    assert abs(burst_s(clip.sound) - 1.0) < 0.005
    source = clip.source
    assert (source.width, source.height, source.rotation_deg) == (160, 120, 0)
    assert (source.video_codec, source.audio_codec, source.rate_hz, source.channels) == ("h264", "aac", 44_100, 2)
    assert source.fps == pytest.approx(30, abs=0.1)
    assert source.duration_s == pytest.approx(2, abs=0.05)
    assert clip.used_s == pytest.approx(2, abs=0.05)
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.name == "a.mp4"


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize(("rotation_deg", "corner"), [(90, "bottom left"), (-90, "top right"), (180, "bottom right")])
def test_phone_rotation_is_undone(recorder: Recorder, codec: str, rotation_deg: int, corner: str) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else None
    path = recorder("a.mov", steady(0.3), codec=codec, rotation_deg=rotation_deg, options=options)
    clip = read_clip(path)
    upright = (120, 160) if rotation_deg % 180 else (160, 120)
    assert (clip.source.width, clip.source.height) == upright
    height, width = clip.frames.shape[1:3]
    assert (width, height) == upright
    at = {"bottom left": (-15, 15), "top right": (15, -15), "bottom right": (-15, -15)}[corner]
    red, green, _ = clip.frames[0][at].astype(int)
    assert red - green > 100, f"the red corner is not at the {corner}"


def test_rotation_agrees_with_opencv(recorder: Recorder) -> None:
    import cv2

    path = recorder("a.mp4", steady(0.2), rotation_deg=-90)
    ours = read_clip(path).frames[0].astype(int)
    theirs = cv2.VideoCapture(str(path)).read()[1][..., ::-1].astype(int)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).mean() < 3


def test_variable_frame_rate_keeps_the_clock(recorder: Recorder) -> None:
    times = [0.0, 0.033, 0.066, 0.5, 0.533, 1.4, 1.433, 1.466, 1.5]
    clip = read_clip(recorder("a.mp4", times))
    assert np.allclose(clip.times_s, [0.0, 0.066, 0.5, 0.533, 1.4, 1.466, 1.5], atol=0.005)
    bars = [int(np.argmax(frame[-10].mean(-1) > 200)) for frame in clip.frames]
    assert np.allclose(bars, clip.times_s * 20, atol=2)


def test_webm_vp9_opus(recorder: Recorder) -> None:
    fast = {"deadline": "realtime", "cpu-used": "8"}
    path = recorder(
        "a.webm", steady(1), codec="libvpx-vp9", sound=click(48_000, 1, 0.5, 1), sound_codec="libopus", options=fast
    )
    clip = read_clip(path)
    assert (clip.source.video_codec, clip.source.audio_codec) == ("vp9", "opus")
    assert abs(burst_s(clip.sound) - 0.5) < 0.01
    assert len(clip.frames) == 25


@pytest.mark.parametrize("delay_s", [0.4, 0.02])
def test_late_sound_is_preceded_by_silence(recorder: Recorder, delay_s: float) -> None:
    path = recorder("a.mkv", steady(1.5), sound=click(48_000, 1, 0.5, 1), delay_s=delay_s)
    assert abs(burst_s(read_clip(path).sound) - 0.5 - delay_s) < 0.03


def test_late_picture_is_time_zero(recorder: Recorder) -> None:
    path = recorder("a.mkv", [0.5 + t for t in steady(1)], sound=click(48_000, 1.5, 1.0, 1))
    clip = read_clip(path)
    assert clip.times_s[0] == 0
    assert abs(burst_s(clip.sound) - 0.5) < 0.03


def test_no_sound_is_not_an_error(recorder: Recorder) -> None:
    clip = read_clip(recorder("a.mp4", steady(0.5)))
    assert clip.sound.shape == (0,)
    assert (clip.source.audio_codec, clip.source.rate_hz, clip.source.channels) == ("", 0, 0)


@pytest.mark.parametrize(
    ("name", "codec"), [("v.wav", "pcm_s16le"), ("v.flac", "flac"), ("v.m4a", "aac"), ("v.ogg", "libopus")]
)
def test_voice_replaces_the_sound(recorder: Recorder, tmp_path: Path, name: str, codec: str) -> None:
    import av

    from tests.capture.conftest import encode_sound

    path = recorder("a.mp4", steady(1), sound=click(48_000, 1, 0.2, 1))
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        for packet in encode_sound(stream, click(48_000, 2, 1.5, 1), 48_000, 0):
            container.mux(packet)
    clip = read_clip(path, voice=tmp_path / name)
    assert abs(burst_s(clip.sound) - 1.5) < 0.03
    assert clip.source.audio_codec in (codec, "opus")
    assert clip.source.voice_name == name
    assert read_clip(path).source.voice_name == ""


@pytest.mark.parametrize(("fps", "kept"), [(10, 20), (24, 48), (25, 50), (50, 50), (60, 50)])
def test_at_most_25_pictures_a_second_are_kept(recorder: Recorder, fps: float, kept: int) -> None:
    clip = read_clip(recorder("a.mp4", steady(2, fps), size=(64, 48)))
    assert len(clip.frames) == kept
    assert clip.source.fps == pytest.approx(fps, abs=0.5)
    assert np.all(np.abs(np.diff(clip.times_s) - max(1 / fps, 1 / 25)) < 0.02)


def test_large_pictures_are_scaled_down(recorder: Recorder) -> None:
    clip = read_clip(recorder("a.mp4", steady(0.1), size=(1280, 720)))
    assert clip.frames.shape[1:] == (360, 640, 3)
    assert (clip.source.width, clip.source.height) == (1280, 720)


def test_reading_stops_at_the_limit(recorder: Recorder) -> None:
    path = recorder("a.mp4", steady(9, 10), sound=click(48_000, 9, 0.5, 1))
    clip = read_clip(path, settings=ClipSettings(limit_s=2))
    assert clip.used_s == pytest.approx(2, abs=0.1)
    assert clip.times_s[-1] < 2
    assert len(clip.sound) == 32_000
    assert clip.source.duration_s == pytest.approx(9, abs=0.2)


def test_progress_rises_to_one(recorder: Recorder) -> None:
    seen: list[float] = []
    read_clip(recorder("a.mp4", steady(1)), progress=lambda label, share: seen.append(share))
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("flags", "kept"), [("+use_metadata_tags", 0.5), ("+faststart", 0.1)])
def test_truncated_without_index(recorder: Recorder, flags: str, kept: float) -> None:
    path = recorder("a.mp4", steady(2), options={"movflags": flags})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(ClipError, match="truncated"):
        read_clip(path)


@pytest.mark.parametrize(("kept", "refused"), [(0.3, True), (0.8, False)])
def test_truncated_with_index(recorder: Recorder, kept: float, refused: bool) -> None:
    path = recorder("a.mp4", steady(4), options={"movflags": "+faststart", "g": "10", "crf": "5"})
    whole = path.read_bytes()
    data = whole.index(b"mdat")
    path.write_bytes(whole[: data + int((len(whole) - data) * kept)])
    if refused:
        with pytest.raises(ClipError, match="truncated, only"):
            read_clip(path)
    else:
        assert 2 < read_clip(path).used_s < 4


@pytest.mark.parametrize("content", [b"", b"this is text\n" * 50, bytes(4000), b"\x00\x00\x00\x18ftypmp42"])
def test_not_a_video(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(ClipError) as caught:
        read_clip(path)
    assert "\n" not in caught.value.message
    assert "a.mp4" in caught.value.message
    assert caught.value.hint


def test_sound_file_as_clip_and_text_as_voice(recorder: Recorder, tmp_path: Path) -> None:
    import av

    from tests.capture.conftest import encode_sound

    wav = tmp_path / "v.wav"
    with av.open(str(wav), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for packet in encode_sound(stream, click(16_000, 1, 0.5, 1), 16_000, 0):
            container.mux(packet)
    with pytest.raises(ClipError, match="no picture") as caught:
        read_clip(wav)
    assert "--voice" in caught.value.hint
    text = tmp_path / "v.flac"
    text.write_text("no sound here")
    silent = recorder("a.mp4", steady(0.5))
    for voice in (text, silent):
        with pytest.raises(ClipError) as caught:
            read_clip(silent, voice=voice)
        assert "WAV" in caught.value.hint


def test_missing_file_and_folder(tmp_path: Path, recorder: Recorder) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_clip(tmp_path / "none.mp4")
    with pytest.raises(UsageError, match="no such file"):
        read_clip(recorder("a.mp4", steady(0.2)), voice=tmp_path / "none.wav")
    with pytest.raises(ClipError):
        read_clip(tmp_path)


def test_a_recording_in_memory_is_read_as_the_file_is(recorder: Recorder) -> None:
    path = recorder("a.mp4", steady(1), sound=click(44_100, 1, 0.5, 2), rate_hz=44_100)
    held = hold_file(path, path.stat().st_size)
    assert held == RecordedFile("a.mp4", path.read_bytes())
    assert len(repr(held)) < 100, "nothing of it is shown"
    from_file, from_memory = read_clip(path, path), read_clip(held, held)
    assert np.array_equal(from_file.frames, from_memory.frames)
    assert np.array_equal(from_file.sound, from_memory.sound)
    assert from_file.source == from_memory.source
    assert from_memory.source.voice_name == "a.mp4"
    with pytest.raises(UsageError, match="larger than"):
        hold_file(path, path.stat().st_size - 1)
    with pytest.raises(UsageError, match="no such file"):
        hold_file(path.with_name("none.mp4"), 10)
    with pytest.raises(ClipError, match=r"^a.mp4: .*truncated"):
        read_clip(RecordedFile("a.mp4", held.data[: len(held.data) // 3]))
    with pytest.raises(ClipError, match=r"^b.mp4: not a recording"):
        read_clip(RecordedFile("b.mp4", b"text"))


def test_playlists_open_nothing(recorder: Recorder, tmp_path: Path) -> None:
    """A file that names other files is refused, not followed."""
    secret = recorder("secret.mp4", steady(0.5))
    for name, text in {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "list.mp4": f"ffconcat version 1.0\nfile '{secret}'\n",
    }.items():
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(ClipError):
            read_clip(path)


def test_random_damage_raises_nothing_else(recorder: Recorder) -> None:
    path = recorder("a.mp4", steady(0.5), sound=click(48_000, 0.5, 0.2, 1), options={"movflags": "+faststart"})
    good = path.read_bytes()
    random = np.random.default_rng(5)
    outcomes = set()
    for _ in range(40):
        bad = bytearray(good)
        for at in random.integers(0, len(bad), 6):
            bad[at] = int(random.integers(256))
        path.write_bytes(bad)
        try:
            clip = read_clip(path)
            assert len(clip.frames) == len(clip.times_s) > 0
            outcomes.add("read")
        except ClipError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


_PEAK = """
import resource, sys
from cameo.capture.clip import read_clip
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
clip = read_clip(sys.argv[1])
print(len(clip.frames), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def _peak(path: Path) -> tuple[int, int]:
    """Frames kept, and by how many megabytes reading grew the process."""
    done = subprocess.run([sys.executable, "-c", _PEAK, str(path)], capture_output=True, text=True, check=True)
    frames, peak_mb = map(int, done.stdout.split())
    return frames, peak_mb


def test_memory_does_not_grow_with_the_size_of_the_source(recorder: Recorder) -> None:
    """Five seconds of 1080p at 15 fps are 466 MB when all are held, and 52 MB as they are kept."""
    path = recorder("a.mp4", steady(5, 15), size=(1920, 1080), codec_options={"preset": "ultrafast"})
    frames, peak_mb = _peak(path)
    assert frames == 75
    assert peak_mb < 250


def test_memory_does_not_grow_with_the_length_of_the_source(recorder: Recorder) -> None:
    """Of two minutes at most 30 s are kept: 750 pictures, 43 MB at this size."""
    path = recorder("a.mp4", steady(120), size=(160, 120), codec_options={"preset": "ultrafast"})
    frames, peak_mb = _peak(path)
    assert frames == 750
    assert peak_mb < 150
