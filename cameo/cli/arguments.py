"""Read a verb's words with the standard library's parser, with our errors.

Not typer: with pydantic behind it, it doubles the time `cameo verify` takes; see docs/decisions/0001-argparse.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from cameo.errors import UsageError


class VerbParser(argparse.ArgumentParser):
    """Parse one verb's words; a wrong call is a `UsageError`, and options are never guessed from their beginning."""

    def __init__(self, verb: str, description: str) -> None:
        super().__init__(
            prog=f"cameo {verb}",
            description=description,
            allow_abbrev=False,
            # A fixed width: asking for the terminal's loads the compression libraries (by way of shutil).
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=100),
        )

    def add_json(self) -> None:
        """Add `--json`, as `options.json`."""
        self.add_argument("--json", action="store_true", help="print the result as JSON")

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and exiting.

        Raises:
            UsageError: always.
        """
        raise UsageError(message, f"see: {self.prog} --help")


def owner_beside(file: Path) -> Path:
    """Find the owner's public key beside a double: the `.pub` file of the same name.

    Raises:
        UsageError: there is none.
    """
    pub = file.with_suffix(".pub")
    if not pub.is_file():
        raise UsageError(f"whose is {file}? there is no {pub.name} beside it", "give the owner's key: --owner ada.pub")
    return pub
