"""Lend a double to a friend, let a host cast it, take it back, and read the receipts: for a person who does not exist.

python examples/lend_and_revoke.py lent/
python examples/lend_and_revoke.py lent/ --seconds 5 --frames 25     # quicker

Everybody's keys are in one process here, and owner and host share one machine, so the host looks at the owner's own
records. On two machines the owner publishes: `cameo status serve`, see docs/how-to/lend-to-a-friend.md.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Sequence
from pathlib import Path

import cameo
from cameo.adapt.recipe import Recipe
from cameo.synthetic.selfie import write_selfie


def enrol(folder: Path, ada: cameo.Keys, seconds: float) -> Path:
    """Make a double that may be lent for birthdays; quickly, so it is not as alike as it could be."""
    selfie, double = folder / "selfie.mp4", folder / "ada.cameo"
    write_selfie(selfie, 0, seconds)
    birthday = cameo.Purpose("birthday", "greetings for friends", audience="approved", delegable=True)
    options = cameo.EnrollOptions(terms=cameo.ConsentTerms((birthday,)), recipe=Recipe(steps=0))
    cameo.enroll(selfie, keys=ada, out=double, options=options)
    return double


def attempt(double: Path, borrowed: cameo.Borrowed, out: Path, options: cameo.CastOptions) -> None:
    """Cast, or say why not."""
    try:
        clip = cameo.cast(double, borrowed=borrowed, out=out, options=options)
    except cameo.NotPermitted as error:
        print(f"refused  {error.code}: {error.message}")
    else:
        print(f"cast     {clip.path}, {clip.seconds:.1f} s, for {clip.purpose}")


def lend_and_revoke(folder: Path, seconds: float, frames: int) -> None:
    """Go through the whole story; keys are forgotten at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    ada, bob, tool, studio = (cameo.Keys.generate() for _ in range(4))
    double = enrol(folder, ada, seconds)

    # Ada lends: to Bob, at the studio, for two birthday clips. Bob lets a tool have one of them.
    terms = cameo.GrantTerms(("birthday",), max_uses=2, expires_s=7 * 86_400, delegable=True)
    lent = cameo.grant(double, keys=ada, to=bob.public, host=studio.public, terms=terms, out=folder / "bob.grant")
    print(f"lent     {lent.path}, until {lent.expires:%d %B %Y}")
    one = cameo.Narrowing(max_uses=1)
    cameo.delegate(lent.path, keys=bob, to=tool.public, narrowed=one, out=folder / "tool.grant")

    # The studio casts. Another key than Bob's, a second use by the tool, and a use of his after that are refused.
    by_bob = cameo.Borrowed(lent.path, host=studio, owner=ada.public, holder=bob)
    by_tool = cameo.Borrowed(folder / "tool.grant", host=studio, owner=ada.public, holder=tool)
    stolen = cameo.Borrowed(lent.path, host=studio, owner=ada.public, holder=tool)
    scene = cameo.CastOptions(purpose="birthday", prompt="blowing out the candles", frames=frames)
    attempt(double, by_bob, folder / "by-bob.mp4", scene)
    attempt(double, stolen, folder / "stolen.mp4", scene)
    attempt(double, by_tool, folder / "by-tool.mp4", scene)
    attempt(double, by_tool, folder / "too-many.mp4", scene)

    # Ada takes it back.
    cameo.revoke(lent.path, keys=ada, reason="the party is over")
    attempt(double, by_bob, folder / "too-late.mp4", scene)

    # What the studio has on record, verified.
    for audit in cameo.audit(host=studio.public):
        for receipt in audit.receipts:
            at = datetime.datetime.fromtimestamp(receipt.at, datetime.UTC)
            print(f"receipt  {at:%H:%M:%S} {receipt.decision} {receipt.code}".rstrip())


def main(arguments: Sequence[str] | None = None) -> int:
    """Lend and revoke in a folder; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files go; no double may be in it yet")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the person talks (default 10)")
    parser.add_argument("--frames", type=int, default=100, help="length of a clip, 25 a second (default 100)")
    options = parser.parse_args(arguments)
    try:
        lend_and_revoke(options.folder, options.seconds, options.frames)
    except cameo.CameoError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
