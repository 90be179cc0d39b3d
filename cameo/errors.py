"""The one tree of errors: a message, a hint that says what to do, and the exit code of the command line."""

from __future__ import annotations


class CameoError(Exception):
    """Report a failure the caller can act on.

    Attributes:
        message: what went wrong, one line.
        hint: what to do about it, one line.
        code: a word for programs, receipts and test vectors; the list is in `docs/reference/error-codes.md`.
        exit_code: the command line's exit status for this kind of failure.
    """

    exit_code = 1
    code = "error"

    def __init__(self, message: str, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code:
            self.code = code


class ClipError(CameoError):
    """The file is not a clip that can be read (not a video, truncated, no picture track)."""

    code = "bad_clip"


class OutputError(CameoError):
    """A result could not be written; whatever stood there before is untouched."""

    code = "cannot_write"


class UsageError(CameoError):
    """The call contradicts itself or names something that does not exist."""

    exit_code = 2
    code = "usage"


class NotVerified(CameoError):
    """A signature, digest, format or binding does not hold: nothing in the file may be trusted."""

    exit_code = 3
    code = "not_verified"


class NotPermitted(CameoError):
    """The key, passphrase or grant at hand does not open this double for this use."""

    exit_code = 4
    code = "not_permitted"


class MissingWeights(CameoError):
    """Model weights that were asked for are not on this machine, or differ from their digest."""

    exit_code = 5
    code = "missing_weights"


class MissingExtra(CameoError):
    """An optional package is needed for this and is not installed."""

    exit_code = 5
    code = "missing_extra"


class CaptureRejected(CameoError):
    """The recording is not good enough to enrol from; `report` says which checks failed."""

    exit_code = 6
    code = "capture_rejected"

    def __init__(self, message: str, hint: str = "", report: object | None = None) -> None:
        super().__init__(message, hint)
        self.report = report


class EncoderMismatch(CameoError):
    """Embeddings of different encoders were about to be compared."""

    code = "encoder_mismatch"
