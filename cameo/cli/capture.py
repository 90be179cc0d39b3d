"""The verb that records a selfie with a webcam."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.cli.challenge import issue_challenge
from cameo.cli.recorded import check_recorded, tell_recorded
from cameo.errors import UsageError
from cameo.files import atomic_create, require_free

if TYPE_CHECKING:
    from cameo.capture.challenge import Challenge
    from cameo.capture.guide import Guide
    from cameo.capture.recorder import Plan
    from cameo.capture.sources import FrameSource, SoundSource

_SHORTEST_S, _LONGEST_S = 5.0, 30.0  # more is not read of a clip
_SECONDS = 15.0
_TALK_S = 9.0  # after a challenge: the voice is learned from it
_NONE = "none"


def capture(words: Sequence[str]) -> None:
    """Run `cameo capture`."""
    options = _read(words)
    if options.list:
        _list(options.json)
        return
    import cv2  # noqa: F401  before PyAV, or there is no window: see `has_window`

    now = datetime.datetime.now(datetime.UTC)
    asked = _prepare(options, now)
    # After the words are known to be right: this loads everything that looks and listens.
    from cameo.capture.recorder import record_clip

    out: Path = options.out
    with ExitStack() as stack:
        pictures, sound = _open(options, stack)
        if options.challenge is not None and sound is None:
            raise UsageError("a challenge has to be heard, and there is no sound", "choose a --microphone")
        if options.with_challenge:
            asked = issue_challenge(now)
        plan = _plan(options.seconds, asked, not options.no_guide)
        guide = stack.enter_context(_guide(options))
        recorded = record_clip(out, pictures, sound, plan, guide)
    if options.with_challenge and asked is not None:
        from cameo.capture.challenge import write_challenge

        atomic_create(options.challenge, write_challenge(asked))
    checked = check_recorded(out, asked) if options.check else None
    tell_recorded(options, recorded, asked, checked)


def _read(words: Sequence[str]) -> argparse.Namespace:
    parser = VerbParser(
        "capture",
        "Record a selfie with a webcam: it shows how near, how bright and how sharp you are, then what to do, and\n"
        "writes a clip for cameo enroll. Ctrl-C, or q in the window, stops and leaves nothing.",
    )
    parser.add_argument("-o", "--out", type=Path, metavar="CLIP", help="the clip to write, an MP4 file")
    parser.add_argument(
        "--camera", default="0", metavar="NAME", help="0, 1, …, /dev/videoN, an address, or a FILE (default: 0)"
    )
    parser.add_argument(
        "--microphone",
        metavar="NAME",
        help=f"its name or a part of it, a FILE, or {_NONE} (default: the system's, or the sound of a camera FILE)",
    )
    parser.add_argument("--seconds", type=_seconds, metavar="S", help="how long, 5 to 30 (default: 15, or 30)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--challenge", type=Path, metavar="FILE", help="show what this asks for: see cameo challenge")
    which.add_argument("--with-challenge", action="store_true", help="draw one, and write it beside the clip")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--window", action="store_true", help="guide in a window (default where there is a display)")
    where.add_argument("--terminal", action="store_true", help="guide in the terminal")
    where.add_argument("--no-guide", action="store_true", help="record at once, and only print what to do")
    parser.add_argument("--check", action="store_true", help="hold the clip against the quality gate afterwards")
    parser.add_argument("--list", action="store_true", help="show cameras and microphones, and record nothing")
    parser.add_json()
    return parser.parse_args(words)


def _seconds(word: str) -> float:
    """Read a length in seconds, 5 .. 30; neither nan nor inf is between them."""
    try:
        seconds = float(word)
    except ValueError:
        seconds = float("nan")
    if not _SHORTEST_S <= seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"must be from {_SHORTEST_S:g} to {_LONGEST_S:g}, not {word[:20]!r}")
    return seconds


def _list(as_json: bool) -> None:
    from cameo.capture.camera import list_cameras
    from cameo.capture.microphone import list_microphones
    from cameo.errors import MissingExtra

    cameras, microphones = list_cameras(), list[tuple[str, str]]()
    try:
        microphones = list_microphones()
    except MissingExtra as error:
        terminal.warn(f"no microphone can be listed, {error.message}; {error.hint}")
    value = {
        "cameras": [{"name": name, "what": what} for name, what in cameras],
        "microphones": [{"name": name, "what": what} for name, what in microphones],
    }
    rows = [("cameras", f"{name}  {what}") for name, what in cameras] or [("cameras", "none is listed; try --camera 0")]
    rows += [("microphones", f"{name}  ({what})") for name, what in microphones] or [("microphones", "none is listed")]
    terminal.result(value, as_json, terminal.table(rows))


def _prepare(options: argparse.Namespace, now: datetime.datetime) -> Challenge | None:
    """Refuse what cannot come to a good end, and read the challenge, if there is one.

    Raises:
        UsageError, OutputError: the words contradict each other, or something cannot be written.
        NotVerified, NotPermitted: the challenge is none, or may not be answered any more.
    """
    if options.out is None or options.out.suffix.lower() != ".mp4":
        raise UsageError("-o needs a name that ends in .mp4", "for example: cameo capture -o selfie.mp4")
    require_free(options.out)
    if options.with_challenge:
        options.challenge = options.out.with_suffix(".challenge.json")
        require_free(options.challenge)
        return None
    if options.challenge is None:
        return None
    from cameo.capture.challenge import LIMIT, read_challenge, require_current

    try:
        with options.challenge.open("rb") as file:
            challenge = read_challenge(file.read(LIMIT + 1))
    except OSError as error:
        raise UsageError(f"cannot read {options.challenge}", "give the file of cameo challenge") from error
    require_current(challenge, now)
    _plan(options.seconds, challenge, True)
    return challenge


def _plan(seconds: float | None, challenge: Challenge | None, guided: bool) -> Plan:
    """Lay the recording out.

    Raises:
        UsageError: the challenge takes longer than the recording.
    """
    from cameo.capture.prompter import challenge_script, free_script
    from cameo.capture.recorder import Plan

    if challenge is None:
        seconds = seconds or _SECONDS
        return Plan(seconds, free_script(seconds), guided=guided)
    seconds = seconds or min(_LONGEST_S, challenge.seconds + _TALK_S)
    if challenge.seconds > seconds:
        raise UsageError(f"the challenge takes {challenge.seconds:g} s", f"choose more seconds, up to {_LONGEST_S:g}")
    return Plan(seconds, challenge_script(challenge, seconds), challenge.seconds, guided)


def _open(options: argparse.Namespace, stack: ExitStack) -> tuple[FrameSource, SoundSource | None]:
    """Open camera and microphone, or the files that stand for them.

    Raises:
        UsageError, ClipError: one of them is not there, or does not work.
        MissingExtra: what a microphone needs is not installed.
    """
    from cameo.capture.camera import Camera, is_camera
    from cameo.capture.microphone import Microphone
    from cameo.capture.playback import FilePictures, FileSound, Pace, has_sound

    camera, microphone = options.camera, options.microphone
    if microphone is None and not is_camera(camera):
        microphone = camera if has_sound(camera) else _NONE
    sound: SoundSource | None = None
    if microphone != _NONE:
        is_file = microphone is not None and Path(microphone).is_file()
        sound = stack.enter_context(closing(FileSound(microphone) if is_file else Microphone(microphone or "")))
    # The camera last: once its light is on, somebody waits.
    pictures: FrameSource = Camera(camera) if is_camera(camera) else FilePictures(camera, Pace())
    return stack.enter_context(closing(pictures)), sound


@contextmanager
def _guide(options: argparse.Namespace) -> Iterator[Guide]:
    """Choose how to show what to do.

    Raises:
        UsageError: a window was asked for where there can be none.
    """
    from cameo.capture.window import Window, has_window
    from cameo.cli.screen import guide_by_lines, guide_in_terminal

    if options.window and not has_window():
        raise UsageError("no window can be opened here", "guide in the terminal: --terminal")
    if options.no_guide:
        with guide_by_lines() as guide:
            yield guide
    elif options.terminal or not has_window():
        with guide_in_terminal() as guide:
            yield guide
    else:
        with closing(Window()) as window:
            yield window
