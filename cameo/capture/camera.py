"""Take pictures from a camera with OpenCV: a webcam, or a camera on the network.

A thread reads the camera and stamps each picture when it comes, so that neither drawing nor encoding changes the
times. What nobody has fetched in time is dropped, the oldest first: on a slow machine a recording has fewer pictures,
none at a wrong time, and what is shown is never far behind.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import cv2
import numpy as np

from cameo.capture.sources import Shot
from cameo.errors import ClipError, UsageError

# Asked for; a camera gives what it can. In Motion JPEG nearly every webcam gives this 25 times a second or more,
# uncompressed often 10 times.
_WIDTH, _HEIGHT, _HZ = 1280, 720, 30
_HELD = 6  # pictures that wait at most: 0.2 s, as long as the meter may take for a look
_WAIT_S = 10.0  # for a picture; a sleeping camera takes some seconds to wake
_MISSES = 30  # failed reads in a row until a camera counts as gone
_MISS_S = 0.05
_LOCAL = re.compile(r"[0-9]{1,3}|/dev/video[0-9]{1,3}")
_REMOTE = re.compile(r"(rtsp|https?)://.+")
_BACKENDS = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION}


def is_camera(name: str) -> bool:
    """Whether `name` means a camera: its number, `/dev/videoN`, or an address; anything else is a file."""
    return bool(_LOCAL.fullmatch(name) or _REMOTE.fullmatch(name))


def list_cameras() -> list[tuple[str, str]]:
    """Name the cameras of this machine and say what they are; only Linux can tell without opening them."""
    found = []
    for folder in sorted(Path("/sys/class/video4linux").glob("video*"), key=lambda path: int(path.name[5:])):
        with suppress(OSError):
            found.append((f"/dev/{folder.name}", (folder / "name").read_text("utf-8", "replace").strip()))
    return found


class Camera:
    """Give the pictures of a camera as they come.

    Args:
        name: see `is_camera`.

    Raises:
        UsageError: there is no such camera, or this user may not open it.
        ClipError: it cannot be opened.
    """

    live = True

    def __init__(self, name: str) -> None:
        self.name = f"camera {name}"
        self._capture = _open(name)
        self._shots: Queue[Shot | None] = Queue(_HELD)
        self._stop = threading.Event()
        self._seen = False
        self._thread = threading.Thread(target=self._grab, name=self.name, daemon=True)
        self._thread.start()

    def read(self) -> Shot | None:
        """Wait for the next picture.

        Raises:
            ClipError: none comes.
        """
        try:
            shot = self._shots.get(timeout=_WAIT_S)
        except Empty:
            shot = None
        if shot is None and self._seen:
            raise ClipError(f"the {self.name} gives no more pictures", "is it still plugged in? then record again")
        if shot is None:
            raise ClipError(
                f"the {self.name} gives no picture", "close other programs that use it, or choose another: --camera"
            )
        self._seen = True
        return shot

    def close(self) -> None:
        """Switch the camera off."""
        self._stop.set()
        self._thread.join(_WAIT_S)
        self._capture.release()

    def _grab(self) -> None:
        """Read pictures until told to stop, or until none come."""
        misses = 0
        while not self._stop.is_set() and misses < _MISSES:
            there, image = self._capture.read()
            if not there:
                misses += 1
                self._stop.wait(_MISS_S)
                continue
            misses = 0
            taken = Shot(time.monotonic(), np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8))
            self._hand_over(taken)
        self._hand_over(None)

    def _hand_over(self, shot: Shot | None) -> None:
        """Put a picture, or the end, where `read` finds it; only the thread of the camera does so."""
        if self._shots.full():
            with suppress(Empty):
                self._shots.get_nowait()
        self._shots.put_nowait(shot)


def _open(name: str) -> Any:  # OpenCV has no types
    """Open a camera and ask it for a good picture."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it talks of every backend that it tries
    local = _LOCAL.fullmatch(name) is not None
    number = int(name.removeprefix("/dev/video")) if local else 0
    backend = _BACKENDS.get(sys.platform, cv2.CAP_ANY) if local else cv2.CAP_ANY
    capture = cv2.VideoCapture(number if local else name, backend)
    if not capture.isOpened():
        capture.release()
        raise _unopened(name, Path(f"/dev/video{number}") if local and sys.platform == "linux" else None)
    if local:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, _WIDTH)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, _HEIGHT)
        capture.set(cv2.CAP_PROP_FPS, _HZ)
    return capture


def _unopened(name: str, device: Path | None) -> ClipError | UsageError:
    """Say why a camera could not be opened."""
    if device is not None and not device.exists():
        return UsageError(f"there is no camera {name}", "plug it in, or see which there are: cameo capture --list")
    if device is not None and not os.access(device, os.R_OK | os.W_OK):
        return UsageError(
            f"you may not use the camera {name}", "join the group that may, and log in again: usermod -aG video USER"
        )
    return ClipError(
        f"the camera {name} cannot be opened",
        "is it there, may this terminal use it, and is no other program using it?",
    )
