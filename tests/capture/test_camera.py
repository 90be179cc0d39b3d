"""Cameras, with a driver made by code: stamps, and every way in which one can fail."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cameo.capture import camera
from cameo.capture.camera import Camera, is_camera
from cameo.errors import ClipError, UsageError


class Driver:
    """Stand for `cv2.VideoCapture`: so many pictures, 10 ms apart, then none."""

    def __init__(self, pictures: int = 10_000, opens: bool = True) -> None:
        self.left, self.opens, self.released = pictures, opens, False
        self.wanted: dict[int, float] = {}

    def __call__(self, _name: object, _backend: int) -> Driver:
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return self.opens

    def set(self, key: int, value: float) -> bool:
        self.wanted[key] = value
        return True

    def read(self) -> tuple[bool, Any]:
        time.sleep(0.01)
        self.left -= 1
        image = np.zeros((48, 64, 3), np.uint8)
        image[..., 0] = 200  # blue, as OpenCV orders colours
        return (True, image) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.released = True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "_WAIT_S", 2.0)
    monkeypatch.setattr(camera, "_MISS_S", 0.001)
    monkeypatch.setattr(camera, "_MISSES", 5)


def driven(monkeypatch: pytest.MonkeyPatch, driver: Driver, name: str = "0") -> Camera:
    monkeypatch.setattr(cv2, "VideoCapture", driver)
    return Camera(name)


@pytest.mark.parametrize("name", ["0", "12", "/dev/video3", "rtsp://10.0.0.2/stream", "http://cam.local:81/x"])
def test_names_of_cameras(name: str) -> None:
    assert is_camera(name)


@pytest.mark.parametrize("name", ["selfie.mp4", "./0", "", "/dev/video", "/dev/sda", "ftp://x/y", "file:///x", "٣"])
def test_names_of_files(name: str) -> None:
    assert not is_camera(name)


def test_pictures_are_stamped_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    source = driven(monkeypatch, driver)
    before_s = time.monotonic()
    shots = [shot for shot in (source.read() for _ in range(5)) if shot]
    times_s = [shot.time_s for shot in shots]
    assert times_s == sorted(times_s) and before_s - 1 < times_s[0] <= time.monotonic()
    assert tuple(shots[0].image[0, 0]) == (0, 0, 200), "RGB"
    assert driver.wanted[cv2.CAP_PROP_FRAME_WIDTH] == 1280
    source.close()
    assert driver.released


def test_what_nobody_fetches_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    source = driven(monkeypatch, Driver())
    first = source.read()
    began_s = time.monotonic()
    while source._shots.qsize() < camera._HELD or time.monotonic() < began_s + 0.5:
        time.sleep(0.02)
    assert source._shots.qsize() <= camera._HELD
    second = source.read()
    assert first and second and second.time_s > first.time_s + 0.2, "the oldest are dropped first"
    source.close()


def test_unplugged_midway(monkeypatch: pytest.MonkeyPatch) -> None:
    source = driven(monkeypatch, Driver(pictures=3))
    for _ in range(3):
        assert source.read()
    with pytest.raises(ClipError, match="no more pictures") as gone:
        source.read()
    assert "plugged in" in gone.value.hint
    source.close()


def test_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    source = driven(monkeypatch, Driver(pictures=0))
    with pytest.raises(ClipError, match="gives no picture") as busy:
        source.read()
    assert "other programs" in busy.value.hint
    source.close()


def test_it_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "_WAIT_S", 0.05)
    monkeypatch.setattr(camera, "_MISSES", 10_000)
    source = driven(monkeypatch, Driver(pictures=0))
    with pytest.raises(ClipError, match="gives no picture"):
        source.read()
    source.close()


def test_no_such_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("987", "/dev/video987"):
        with pytest.raises(UsageError, match=f"there is no camera {name}"):
            driven(monkeypatch, Driver(opens=False), name)


def test_a_camera_that_may_not_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(Path, "exists", lambda _self: True)
    for allowed, error in ((False, UsageError), (True, ClipError)):
        monkeypatch.setattr("os.access", lambda _path, _mode, allowed=allowed: allowed)
        with pytest.raises(error):
            driven(monkeypatch, Driver(opens=False))


def test_the_real_opencv_finds_nothing_at_a_closed_port() -> None:
    with pytest.raises(ClipError, match="cannot be opened"):
        Camera("http://127.0.0.1:9/")
