"""The one tree of errors: a message, a hint that says what to do, and the exit code of the command line."""

from __future__ import annotations


class CameoError(Exception):
    """Report a failure the caller can act on.

    Attributes:
        message: what went wrong, one line.
        hint: what to do about it, one line.
        exit_code: the command line's exit status for this kind of failure.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ClipError(CameoError):
    """The file is not a clip that can be read (not a video, truncated, no picture track)."""


class OutputError(CameoError):
    """A result could not be written; whatever stood there before is untouched."""


class UsageError(CameoError):
    """The call contradicts itself or names something that does not exist."""

    exit_code = 2


class NotVerified(CameoError):
    """A signature, digest, format or binding does not hold: nothing in the file may be trusted."""

    exit_code = 3


class NotPermitted(CameoError):
    """The key, passphrase or grant at hand does not open this double for this use."""

    exit_code = 4


class MissingWeights(CameoError):
    """Model weights that were asked for are not on this machine, or differ from their digest."""

    exit_code = 5


class MissingExtra(CameoError):
    """An optional package is needed for this and is not installed."""

    exit_code = 5


class CaptureRejected(CameoError):
    """The recording is not good enough to enrol from; `report` says which checks failed."""

    exit_code = 6

    def __init__(self, message: str, hint: str = "", report: object | None = None) -> None:
        super().__init__(message, hint)
        self.report = report


class EncoderMismatch(CameoError):
    """Embeddings of different encoders were about to be compared."""
