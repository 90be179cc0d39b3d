"""Turn a short selfie video and a voice sample into a double: a signed, encrypted file that generators can cast.

One recording makes one `.cameo` file. Its owner holds it, like a key or a photograph; no service has to stay alive
for it to work. Anyone can check, offline, whose it is and what was consented to. Nobody can open it without the
owner's key.

Keys come first. They are two files: `ada.key` stays with its owner under a passphrase, `ada.pub` is for everyone.

    import cameo

    keys = cameo.Keys.generate()
    keys.save("ada.key", passphrase="correct horse battery staple")

Enrolling reads the recording, checks that it is good enough, finds the face and the voice, tunes an adapter for a
generator while a judge scores the likeness, and seals all of it together with the consent record:

    result = cameo.enroll("selfie.mp4", keys=keys, out="ada.cameo")

Verifying takes the public key only, and no media library is loaded for it. What comes back is another type: only a
verified bundle has doors.

    verified = cameo.Bundle.open("ada.cameo").verify(keys.public)

Casting plugs the double into a generator, writes a clip, and unplugs it again:

    cameo.cast("ada.cameo", keys=keys, out="clip.mp4")

Everything that can go wrong is a `CameoError` with a message and a hint. The likeness scores of the encoders that
ship in the box are marked `consistency-only`: they tell whether a clip is one person and whether a result moved
towards them, not who somebody is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Name -> module it lives in. Loaded on first use (PEP 562), so that `import cameo` costs nothing.
_DOORS = {
    "enroll": "cameo.enrollment",
    "EnrollOptions": "cameo.enrollment",
    "cast": "cameo.casting",
    "Bundle": "cameo.seal.bundle",
    "VerifiedBundle": "cameo.seal.bundle",
    "ContentKeys": "cameo.seal.unlock",
    "unlock_as_owner": "cameo.seal.unlock",
    "Keys": "cameo.crypto.keys",
    "PublicKeys": "cameo.crypto.keys",
    "ConsentTerms": "cameo.seal.consent",
    "Purpose": "cameo.seal.consent",
    "load_terms": "cameo.seal.consent",
    "CameoError": "cameo.errors",
    "CaptureRejected": "cameo.errors",
    "ClipError": "cameo.errors",
    "MissingExtra": "cameo.errors",
    "MissingWeights": "cameo.errors",
    "NotPermitted": "cameo.errors",
    "NotVerified": "cameo.errors",
    "OutputError": "cameo.errors",
    "UsageError": "cameo.errors",
}

__all__ = ["__version__", *_DOORS]  # noqa: PLE0604

if TYPE_CHECKING:
    from cameo.casting import cast as cast
    from cameo.crypto.keys import Keys as Keys
    from cameo.crypto.keys import PublicKeys as PublicKeys
    from cameo.enrollment import EnrollOptions as EnrollOptions
    from cameo.enrollment import enroll as enroll
    from cameo.errors import CameoError as CameoError
    from cameo.errors import CaptureRejected as CaptureRejected
    from cameo.errors import ClipError as ClipError
    from cameo.errors import MissingExtra as MissingExtra
    from cameo.errors import MissingWeights as MissingWeights
    from cameo.errors import NotPermitted as NotPermitted
    from cameo.errors import NotVerified as NotVerified
    from cameo.errors import OutputError as OutputError
    from cameo.errors import UsageError as UsageError
    from cameo.seal.bundle import Bundle as Bundle
    from cameo.seal.bundle import VerifiedBundle as VerifiedBundle
    from cameo.seal.consent import ConsentTerms as ConsentTerms
    from cameo.seal.consent import Purpose as Purpose
    from cameo.seal.consent import load_terms as load_terms
    from cameo.seal.unlock import ContentKeys as ContentKeys
    from cameo.seal.unlock import unlock_as_owner as unlock_as_owner


def __getattr__(name: str) -> Any:
    module = _DOORS.get(name)
    if module is None:
        raise AttributeError(f"module 'cameo' has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_DOORS})
