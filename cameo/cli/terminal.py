"""Keep the output rules: results on stdout, everything else on stderr, an error in two lines."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cameo import config
from cameo.errors import CameoError, NotPermitted, UsageError

if TYPE_CHECKING:
    from typing import TextIO

    from cameo.crypto.keys import Keys

Progress = Callable[[str, float], None]

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def result(value: Mapping[str, Any], as_json: bool, lines: Iterable[str]) -> None:
    """Print a verb's result on stdout: `value` as JSON, or `lines` for people."""
    if as_json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
        return
    for line in lines:
        print(printable(line))


def table(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Lay out labels and values; a label that repeats is left blank."""
    pairs = list(rows)
    width = max((len(label) for label, _ in pairs), default=0)
    lines = []
    last = ""
    for label, value in pairs:
        shown = "" if label == last else label
        lines.append(f"  {shown:<{width}}  {value}".rstrip())
        last = label
    return lines


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out a table with a head; columns that are empty throughout are left out."""
    shown = [i for i in range(len(head)) if any(row[i] for row in rows)]
    widths = [max(len(line[i]) for line in (head, *rows)) for i in shown]
    return [
        "  " + "  ".join(f"{line[i]:<{width}}" for i, width in zip(shown, widths, strict=True)).rstrip()
        for line in ((head, *rows) if rows else ())
    ]


def say(message: str) -> None:
    """Print a message on stderr."""
    print(printable(message), file=sys.stderr)


def warn(message: str) -> None:
    """Print a warning on stderr, marked as one."""
    print(_paint("warning:", "33"), printable(message), file=sys.stderr)


def fail(error: CameoError) -> int:
    """Print one `error:` and one `hint:` line on stderr and return the exit status."""
    print(_paint("error:", "31"), _one_line(error.message), file=sys.stderr)
    print(_paint("hint:", "36"), _one_line(error.hint or "see: cameo --help"), file=sys.stderr)
    return error.exit_code


def interrupted() -> int:
    """Say that Ctrl-C was heard and return the exit status."""
    if sys.stderr.isatty():
        print(file=sys.stderr)  # the terminal has echoed ^C
    fail(CameoError("interrupted", "nothing half-written was left; run the command again"))
    return _INTERRUPTED


def close_stdout() -> None:
    """Stop writing to a reader that has gone away, without a complaint at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def progress() -> Iterator[Progress]:
    """Draw what the workflows report: a bar on a terminal, a line per step elsewhere.

    Yields:
        A function of a label and a fraction 0..1; a new label finishes the one before it.
    """
    if not sys.stderr.isatty():
        yield _step_lines(sys.stderr)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True, no_color=not config.wants_colour())
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(bar_width=30), TaskProgressColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def update(label: str, fraction: float) -> None:
            step, _, detail = label.partition(": ")
            if step not in tasks:
                for task in tasks.values():
                    bars.update(task, completed=1.0)
                tasks[step] = bars.add_task(printable(label), total=1.0)
            shown = f"{step}: {detail}" if detail else step
            bars.update(tasks[step], completed=min(max(fraction, 0.0), 1.0), description=printable(shown))

        yield update


def moment(at: datetime.datetime) -> str:
    """Print a time, in UTC."""
    utc = at.astimezone(datetime.UTC)
    return f"{utc.day} {utc:%B %Y, %H:%M} UTC"


def size(count: int) -> str:
    """Print a number of bytes."""
    if count >= 1_000_000:
        return f"{count / 1e6:.1f} MB"
    return f"{count / 1e3:.1f} kB" if count >= 1000 else f"{count} bytes"


def confirm(question: str, yes: bool) -> None:
    """Ask for a typed yes, unless `yes` says that the caller has it already.

    Raises:
        UsageError: the answer is another, or there is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask for your agreement", "read the text above and add --yes")
    print(f"{question} [yes/no] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("you did not agree; nothing was made", "run it again and type yes")


def load_keys(path: Path) -> Keys:
    """Open an owner's key file: with $CAMEO_PASSPHRASE, the system's keyring, or by asking.

    Raises:
        UsageError, NotVerified: no such file, or no key file.
        NotPermitted: wrong passphrase, or none to be had.
    """
    from cameo.crypto.keys import Keys, public_half
    from cameo.crypto.keystore import recall_passphrase

    public = public_half(path)
    passphrase = config.passphrase() or recall_passphrase(public.fingerprint)
    if passphrase is None:
        passphrase = _ask(f"Passphrase for {path}: ", f"no passphrase for {path}")
    return Keys.load(path, passphrase)


def new_passphrase(path: Path) -> str:
    """Get the passphrase for a key file that is being made.

    Raises:
        NotPermitted: there is none to be had.
        UsageError: it is empty, or was typed differently the second time.
    """
    passphrase = config.passphrase()
    if passphrase is None:
        passphrase = _ask(f"New passphrase for {path}: ", f"no passphrase for {path}")
        if passphrase and _ask("The same again: ", "no passphrase") != passphrase:
            raise UsageError("the two passphrases differ", "run it again")
    if not passphrase:
        raise UsageError("the passphrase is empty", "choose a passphrase, or set CAMEO_PASSPHRASE")
    if len(passphrase) < 8:
        warn("the passphrase is short; whoever copies the key file can guess it")
    return passphrase


def printable(text: str) -> str:
    """Replace control characters, so that nothing a file says can drive the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _ask(prompt: str, refusal: str) -> str:
    if not sys.stdin.isatty():
        raise NotPermitted(refusal, "set CAMEO_PASSPHRASE, or run this in a terminal")
    import getpass

    try:
        return getpass.getpass(prompt, stream=sys.stderr)
    except EOFError:
        raise NotPermitted(refusal, "set CAMEO_PASSPHRASE, or type it") from None


def _step_lines(stream: TextIO) -> Progress:
    """Report each step once, when it begins."""
    seen: set[str] = set()

    def update(label: str, _fraction: float) -> None:
        step = label.partition(": ")[0]
        if step not in seen:
            seen.add(step)
            print(printable(step), file=stream, flush=True)

    return update


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def _paint(text: str, code: str) -> str:
    if sys.stderr.isatty() and config.wants_colour():
        return f"\x1b[{code}m{text}\x1b[0m"
    return text
