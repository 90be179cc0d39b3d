"""Turn a short selfie video and a voice sample into a double: a signed, encrypted file that generators can cast.

One recording makes one `.cameo` file. Its owner holds it, like a key or a photograph; no service has to stay alive
for it to work. Anyone can check, offline, whose it is and what was consented to. Nobody can open it without the
owner's key, or a grant by it.

Keys come first, for everybody: owner, friend, host. They are two files: `ada.key` stays with Ada under a passphrase,
`ada.pub` is for everyone.

    import cameo

    ada = cameo.Keys.generate()
    ada.save("ada.key", passphrase="correct horse battery staple")

Enrolling reads the recording, checks that it is good enough, finds the face and the voice, tunes an adapter for a
generator while a judge scores the likeness, and seals all of it together with the consent record:

    terms = cameo.load_terms("consent.toml")
    cameo.enroll("selfie.mp4", keys=ada, out="ada.cameo", options=cameo.EnrollOptions(terms=terms))

If the terms keep the recording, encrypted in the double, it can be tuned again later, or for another generator:

    cameo.add_generator("ada.cameo", keys=ada, options=cameo.AdaptOptions("reference", replace=True))

Verifying takes the public key only, and no media library is loaded for it. What comes back is another type: only a
verified bundle has doors.

    verified = cameo.Bundle.open("ada.cameo").verify(ada.public)

Casting plugs the double into a generator, writes a clip, and unplugs it again:

    cameo.cast("ada.cameo", keys=ada, out="clip.mp4")

Several doubles in one scene, and several shots, are a film: all of them open, or none.

    cameo.film([cameo.CastMember("ada.cameo", ada), cameo.CastMember("eve.cameo", eve)], out="duet.mp4")

Lending goes through a grant: for a friend, at a host, for a purpose of the consent record, until it ends or is taken
back. The grant carries the keys, encrypted to that host: there is no other way to them.

    bob, studio = cameo.PublicKeys.load("bob.pub"), cameo.PublicKeys.load("studio.pub")
    birthday = cameo.GrantTerms(("birthday",), max_uses=4)
    cameo.grant("ada.cameo", keys=ada, to=bob, host=studio, terms=birthday, out="bob.grant")
    cameo.revoke("bob.grant", keys=ada)

Where consent and grant name the action "export", what was tuned for a published generator leaves as a plain LoRA for
other programs. Nothing calls that back:

    cameo.export("ada.cameo", keys=ada, out="ada-wan.safetensors", options=cameo.ExportOptions("wan"))

The host casts with it, and every use and every refusal becomes a signed receipt: `cameo.Borrowed`, `cameo.audit`.

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
    "add_generator": "cameo.readapting",
    "AdaptOptions": "cameo.readapting",
    "cast": "cameo.casting",
    "plug": "cameo.staging",
    "CastOptions": "cameo.staging",
    "export": "cameo.exporting",
    "ExportOptions": "cameo.exporting",
    "film": "cameo.filming",
    "score_fidelity": "cameo.scoring",
    "FidelityOptions": "cameo.scoring",
    "CastMember": "cameo.screenplay",
    "Shot": "cameo.screenplay",
    "FilmOptions": "cameo.screenplay",
    "Region": "cameo.condition.regions",
    "probe_leakage": "cameo.probing",
    "LeakageOptions": "cameo.probing",
    "unlock": "cameo.unlocking",
    "Borrowed": "cameo.unlocking",
    "Use": "cameo.records",
    "draw_nonce": "cameo.unlocking",
    "prove": "cameo.unlocking",
    "grant": "cameo.lending",
    "GrantTerms": "cameo.lending",
    "delegate": "cameo.lending",
    "Narrowing": "cameo.lending",
    "keep_group": "cameo.publishing",
    "revoke": "cameo.recalling",
    "withdraw": "cameo.recalling",
    "audit": "cameo.auditing",
    "amend": "cameo.custody",
    "erase": "cameo.custody",
    "rekey": "cameo.custody",
    "Bundle": "cameo.seal.bundle",
    "VerifiedBundle": "cameo.seal.bundle",
    "ContentKeys": "cameo.seal.unlock",
    "unlock_as_owner": "cameo.seal.unlock",
    "Keys": "cameo.crypto.keys",
    "PublicKeys": "cameo.crypto.keys",
    "KeyProvider": "cameo.crypto.provider",
    "ConsentTerms": "cameo.seal.terms",
    "Purpose": "cameo.seal.terms",
    "load_terms": "cameo.seal.terms",
    "PromptClassifier": "cameo.grants.guard",
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
    from cameo.auditing import audit as audit
    from cameo.casting import cast as cast
    from cameo.condition.regions import Region as Region
    from cameo.crypto.keys import Keys as Keys
    from cameo.crypto.keys import PublicKeys as PublicKeys
    from cameo.crypto.provider import KeyProvider as KeyProvider
    from cameo.custody import amend as amend
    from cameo.custody import erase as erase
    from cameo.custody import rekey as rekey
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
    from cameo.exporting import ExportOptions as ExportOptions
    from cameo.exporting import export as export
    from cameo.filming import film as film
    from cameo.grants.guard import PromptClassifier as PromptClassifier
    from cameo.lending import GrantTerms as GrantTerms
    from cameo.lending import Narrowing as Narrowing
    from cameo.lending import delegate as delegate
    from cameo.lending import grant as grant
    from cameo.probing import LeakageOptions as LeakageOptions
    from cameo.probing import probe_leakage as probe_leakage
    from cameo.publishing import keep_group as keep_group
    from cameo.readapting import AdaptOptions as AdaptOptions
    from cameo.readapting import add_generator as add_generator
    from cameo.recalling import revoke as revoke
    from cameo.recalling import withdraw as withdraw
    from cameo.records import Use as Use
    from cameo.scoring import FidelityOptions as FidelityOptions
    from cameo.scoring import score_fidelity as score_fidelity
    from cameo.screenplay import CastMember as CastMember
    from cameo.screenplay import FilmOptions as FilmOptions
    from cameo.screenplay import Shot as Shot
    from cameo.seal.bundle import Bundle as Bundle
    from cameo.seal.bundle import VerifiedBundle as VerifiedBundle
    from cameo.seal.terms import ConsentTerms as ConsentTerms
    from cameo.seal.terms import Purpose as Purpose
    from cameo.seal.terms import load_terms as load_terms
    from cameo.seal.unlock import ContentKeys as ContentKeys
    from cameo.seal.unlock import unlock_as_owner as unlock_as_owner
    from cameo.staging import CastOptions as CastOptions
    from cameo.staging import plug as plug
    from cameo.unlocking import Borrowed as Borrowed
    from cameo.unlocking import draw_nonce as draw_nonce
    from cameo.unlocking import prove as prove
    from cameo.unlocking import unlock as unlock


def __getattr__(name: str) -> Any:
    module = _DOORS.get(name)
    if module is None:
        raise AttributeError(f"module 'cameo' has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_DOORS})
