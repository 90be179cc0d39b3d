"""The verb that asks for a recording nobody could have made before."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cameo import config
from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.files import atomic_create, require_free

if TYPE_CHECKING:
    from cameo.capture.challenge import Challenge


def challenge(words: Sequence[str]) -> None:
    """Run `cameo challenge`."""
    parser = VerbParser(
        "challenge",
        "Draw a challenge: digits to say and turns of the head, in paced slots, good for one answer. Record\n"
        "yourself from the first prompt on, and enrol with --challenge before it expires.",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="the challenge to write, JSON")
    parser.add_json()
    options = parser.parse_args(words)
    require_free(options.out)
    from cameo.capture.challenge import prompts, write_challenge

    drawn = issue_challenge(datetime.datetime.now(datetime.UTC))
    atomic_create(options.out, write_challenge(drawn))
    laid = prompts(drawn)
    value = {
        "file": str(options.out),
        "nonce": drawn.nonce,
        "expires": drawn.expires,
        "seconds": drawn.seconds,
        "prompts": [{"start_s": p.start_s, "end_s": p.end_s, "text": p.text} for p in laid],
    }
    rows = [(f"{p.start_s:4.1f} to {p.end_s:4.1f} s", p.text) for p in laid]
    rows.append(("then", "go on talking for ten seconds: the voice is learned from it"))
    head = f"{options.out}: record this, before {terminal.moment(drawn.expires)}"
    terminal.result(value, options.json, [head, *terminal.table(rows)])


def issue_challenge(now: datetime.datetime) -> Challenge:
    """Draw a challenge that this machine will know again, and forget those that have expired.

    Raises:
        OutputError: it cannot be kept.
    """
    from cameo.capture.challenge import ChallengeBook

    book = ChallengeBook(config.home() / "challenges")
    book.prune(now)
    return book.issue(now)
