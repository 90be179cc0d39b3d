"""Where this installation keeps things, and what its environment says; nothing else reads the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from cameo.errors import UsageError

Gallery = Literal["all", "own", "off"]


def home() -> Path:
    """Return the folder for cameo's own data: $CAMEO_HOME, or the user's data folder. It may not exist yet."""
    named = os.environ.get("CAMEO_HOME")
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("cameo", appauthor=False))


def registry_url() -> str | None:
    """Return $CAMEO_REGISTRY, the URL of the owner's registry; None for the file in cameo's home folder."""
    return os.environ.get("CAMEO_REGISTRY") or None


def ledger_url() -> str | None:
    """Return $CAMEO_LEDGER, the URL of the host's ledger; None for the file in cameo's home folder."""
    return os.environ.get("CAMEO_LEDGER") or None


def gallery() -> Gallery:
    """Return $CAMEO_GALLERY: among whose doubles a person who enrols is looked for; "all" when it is unset or empty.

    "off" also keeps nothing of the person for later searches.

    Raises:
        UsageError: it is neither "all" nor "own" nor "off".
    """
    match os.environ.get("CAMEO_GALLERY") or "all":
        case "all" | "own" | "off" as chosen:
            return chosen
        case other:
            raise UsageError(f"CAMEO_GALLERY is {other!r}", "set it to all, own or off, or unset it")


def passphrase() -> str | None:
    """Return $CAMEO_PASSPHRASE; None when it is unset or empty."""
    return os.environ.get("CAMEO_PASSPHRASE") or None


def wants_colour() -> bool:
    """Say whether the environment leaves room for colour (no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def has_display() -> bool:
    """Say whether windows can be opened: always on macOS and Windows, elsewhere where a display is named."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
