"""Seal a double into a `.cameo` file, and verify one before any door of it opens.

Three types keep the steps apart. `Bundle` is bytes that parse: good for showing, trusted for nothing.
`VerifiedBundle` comes only out of `Bundle.verify`. Parts come only out of a `VerifiedBundle`, with `ContentKeys`
that only an unlocking step (`seal.unlock`) hands out. The file is read once: what is opened is what was verified.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cameo.crypto.box import open_stream
from cameo.crypto.encoding import decode_base64, sha256_hex
from cameo.crypto.envelope import Envelope, read_envelope, unverified_payload, verify_envelope
from cameo.crypto.keys import PublicKeys
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotPermitted, NotVerified, UsageError
from cameo.files import atomic_path
from cameo.records import assurance_of
from cameo.seal.consent import (
    Agreement,
    Consent,
    ConsentRecord,
    read_consent,
    read_events,
    verify_consent,
    write_consent,
)
from cameo.seal.container import CONSENT, FILE_LIMIT, MANIFEST, PART_PREFIX, read_entries
from cameo.seal.events import ConsentEvent
from cameo.seal.manifest import (
    ENVELOPE_LIMIT,
    PAYLOAD_TYPE,
    SUITE,
    EncoderEntry,
    GeneratorEntry,
    Manifest,
    parse_manifest,
    part_generator,
    part_modality,
)
from cameo.seal.tensors import check_tensors
from cameo.seal.unlock import ContentKeys, part_context
from cameo.seal.wording import day_in_words
from cameo.seal.writing import encrypt_parts, pack_bundle

if TYPE_CHECKING:
    from cameo.records import EncoderInfo

_HINT = "the file was changed or is damaged: do not use it"
_VERIFIED = object()


class Part(msgspec.Struct, frozen=True):
    """Hand one part to `seal_bundle`.

    Attributes:
        name: `template.face`, `template.voice`, `adapter.<generator>.face|voice`, `identity.<generator>.face|voice`
            or `captures`.
        modality: "face", "voice" or "captures"; the last word of `name`.
        data: safetensors bytes, except for `captures`.
        generator: the generator it was tuned for, "" for none; the middle word of `name`.
        base_digest: SHA-256 (hex) of that generator's base weights.
    """

    name: str
    modality: str
    data: bytes
    generator: str = ""
    base_digest: str = ""


def seal_bundle(
    path: str | os.PathLike[str],
    keys: KeyProvider,
    consent: Agreement,
    parts: Sequence[Part],
    encoders: Sequence[EncoderInfo] = (),
    about: Mapping[str, str | int | float | bool] | None = None,
) -> Manifest:
    """Encrypt the parts, sign the list of them, and write the file in one step.

    Args:
        path: the `.cameo` file; one that stands there is replaced only when the new one is complete.
        keys: the owner's; afterwards they alone open the file.
        consent: what was agreed to.
        parts: at least one.
        encoders: those the templates were made with, one per modality at most.
        about: facts anyone may read (never biometrics): versions, seconds, likeness scores.

    Raises:
        UsageError: a part has a wrong name, is no safetensors, or the manifest would contradict itself.
        OutputError: the file cannot be written.
    """
    check_parts(parts)
    if any(part.modality == "captures" for part in parts) and not consent.terms.retention.captures:
        raise UsageError("the consent does not allow keeping the recording", "set captures under [retention]")
    bundle_id = os.urandom(16).hex()
    owner = keys.public
    sealed = encrypt_parts({part.name: part.data for part in parts}, owner, bundle_id)
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    record = write_consent(consent, keys, bundle_id, sealed.items, now)
    manifest = Manifest(
        version=1,
        suite=SUITE,
        bundle_id=bundle_id,
        created=now,
        owner=owner.fingerprint,
        signers=(owner.fingerprint,),
        consent_sha256=sha256_hex(record),
        consent_size=len(record),
        parts=sealed.entries,
        keys=sealed.keys,
        wrapped=sealed.wrapped,
        encoders=tuple(_encoder_entry(encoder) for encoder in encoders),
        generators=generator_entries(parts),
        about=dict(about or {}),
    )
    chunks = pack_bundle(manifest, keys, record, sealed.data)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.writelines(chunks)
    return manifest


class Bundle:
    """Hold a parsed bundle that nobody has verified: `claims` is what it says of itself.

    Attributes:
        path: where it was read.
        sha256: of the whole file.
        size: of the whole file, bytes.
        claims: the manifest, unverified.
    """

    def __init__(self, path: Path, blob: bytes) -> None:
        self.path = path
        self.size = len(blob)
        # 1. The container is canonical, its entries are on the allow-list.
        self._entries = read_entries(blob)
        if MANIFEST not in self._entries or CONSENT not in self._entries:
            raise NotVerified(f"{path} lacks its manifest or consent record", _HINT, "malformed")
        # 2. The envelope is canonical and of the right type.
        self._envelope: Envelope = read_envelope(bytes(self._entries[MANIFEST]), "the manifest", ENVELOPE_LIMIT)
        # 3. The manifest is of a known version and does not contradict itself.
        self.claims = parse_manifest(unverified_payload(self._envelope, PAYLOAD_TYPE, "the manifest"))
        self.sha256 = sha256_hex(blob)

    def __repr__(self) -> str:
        return f"Bundle({self.claims.bundle_id}, not verified)"

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Bundle:
        """Read and parse a file, once.

        Raises:
            UsageError: the file cannot be read.
            NotVerified: it is no bundle.
        """
        source = Path(path)
        try:
            with source.open("rb") as file:
                blob = file.read(FILE_LIMIT + 1)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UsageError(f"cannot read {path}: {reason}", "check the path of the .cameo file") from None
        return cls(source, blob)

    def consent_claims(self) -> ConsentRecord:
        """Read the consent record, unverified.

        Raises:
            NotVerified: malformed.
        """
        return read_consent(bytes(self._entries[CONSENT]))

    def event_claims(self) -> tuple[ConsentEvent, ...]:
        """Read the consent's events, unverified.

        Raises:
            NotVerified: malformed.
        """
        return read_events(bytes(self._entries[CONSENT]))

    def verify(self, owner: PublicKeys) -> VerifiedBundle:
        """Check everything the file says against the owner's key.

        Raises:
            NotVerified: any step does not hold. If the double was handed over, `owner` being who had it before, the
                message says so, and to whom.
        """
        try:
            return self._verified(owner)
        except NotVerified:
            successor = self._successor(owner)
            if successor:
                raise successor from None
            raise

    def _successor(self, former: PublicKeys) -> NotVerified | None:
        """Say to whom `former` has handed the double over, if the file shows that `former` signed it and all holds."""
        try:
            claimed = [event.hand_over.new for event in self.event_claims() if event.hand_over]
            named = next(keys for keys in reversed(claimed) if keys.fingerprint == self.claims.owner)
            present = named.load("a key in a hand-over")
            events = self._verified(present).consent.events
        except (NotVerified, StopIteration):
            return None
        if not any(e.hand_over and e.hand_over.old.fingerprint == former.fingerprint for e in events):
            return None
        day = day_in_words(next(e.at for e in reversed(events) if e.hand_over).astimezone(datetime.UTC).date())
        message = f"the double was handed over on {day}, to the key {present.fingerprint}"
        return NotVerified(message, "ask its owner for that .pub file, and compare the fingerprint", "bad_signature")

    def _verified(self, owner: PublicKeys) -> VerifiedBundle:
        # 4. The owner signed the manifest, and it names this owner and exactly these signers.
        payload = verify_envelope(self._envelope, PAYLOAD_TYPE, [owner], "the manifest")
        manifest = parse_manifest(payload)
        if manifest.owner != owner.fingerprint:
            raise NotVerified("the bundle belongs to another owner", "is this the right .pub file?", "bad_signature")
        if manifest.signers != tuple(signature.keyid for signature in self._envelope.signatures):
            raise NotVerified("the manifest is signed by others than it names", _HINT, "bad_signature")
        # 5. The entries are those of the manifest, in its order.
        if list(self._entries) != manifest.entry_names():
            raise NotVerified("the entries differ from the manifest", _HINT, "spliced")
        # 6. Every part is the one that was signed.
        for part in manifest.parts:
            _check_digest(self._entries[PART_PREFIX + part.name], part.size, part.sha256, f"part {part.name}")
        # 7. So is the consent record; the owner signed its events, and it is about these parts.
        _check_digest(self._entries[CONSENT], manifest.consent_size, manifest.consent_sha256, "the consent record")
        consent = verify_consent(bytes(self._entries[CONSENT]), owner, manifest.bundle_id)
        if {(item.part, item.sha256) for item in consent.record.items} != {(p.name, p.sha256) for p in manifest.parts}:
            raise NotVerified("the consent record is about other parts", _HINT, "spliced")
        return VerifiedBundle(_VERIFIED, self, manifest, consent, self._entries)


class VerifiedBundle:
    """Hold a bundle whose every byte its owner answers for. Made by `Bundle.verify` only.

    Attributes:
        path, sha256, size: as in `Bundle`.
        manifest: what the owner signed.
        consent: the record and its events.
    """

    def __init__(
        self,
        proof: object,
        bundle: Bundle,
        manifest: Manifest,
        consent: Consent,
        entries: Mapping[str, memoryview],
    ) -> None:
        if proof is not _VERIFIED:
            raise TypeError("a VerifiedBundle comes from Bundle.verify")
        self.path, self.sha256, self.size = bundle.path, bundle.sha256, bundle.size
        self.manifest = manifest
        self.consent = consent
        self._entries = entries

    def __repr__(self) -> str:
        return f"VerifiedBundle({self.manifest.bundle_id})"

    @property
    def assurance(self) -> str:
        """What the scores of this double can promise, and whether a challenge was passed: "matched + live"."""
        return assurance_of(self.manifest.assurance, self.consent.record.live)

    def stored(self, name: str) -> bytes:
        """Return one entry of the file as it stands there: parts are still encrypted."""
        return bytes(self._entries[name])

    def wrapped_key(self, role: str) -> bytes:
        """Return the root key as it was wrapped for `role`.

        Raises:
            NotPermitted: nothing was.
        """
        for wrapped in self.manifest.wrapped:
            if wrapped.role == role:
                return decode_base64(wrapped.sealed, "the wrapped key")
        raise NotPermitted(f"the double holds no key for the role {role}", "it has been erased: enrol again", "erased")

    def read_part(self, name: str, content_keys: ContentKeys) -> bytes:
        """Decrypt one part; tensors are checked before they are handed out.

        Raises:
            UsageError: there is no such part.
            NotPermitted: the keys are of another double or modality.
            NotVerified: it does not decrypt, or is not what its name says.
        """
        part = self.manifest.part(name)
        if part is None:
            known = ", ".join(p.name for p in self.manifest.parts)
            raise UsageError(f"the double has no part {name}", f"it has: {known}")
        key = content_keys.for_modality(self.manifest.bundle_id, part.modality)
        data = open_stream(
            key, self._entries[PART_PREFIX + name], f"part {name}", *part_context(self.manifest.bundle_id, name)
        )
        if part.modality != "captures":
            check_tensors(data, f"part {name}")
        return data


def check_parts(parts: Sequence[Part]) -> None:
    """Check parts that are to be sealed: their names, and that all but captures are safetensors.

    Raises:
        UsageError: there is none, or one is not as it must be.
    """
    if not parts:
        raise UsageError("a double needs at least one part", "give a template or an adapter")
    if len({part.name for part in parts}) != len(parts):
        raise UsageError("two parts have the same name", "give every part once")
    for part in parts:
        if part_modality(part.name) != part.modality or part_generator(part.name) != part.generator:
            raise UsageError(f"part {part.name!r}: name, modality or generator do not fit", "see seal.bundle.Part")
        if part.modality == "captures":
            continue
        try:
            check_tensors(part.data, f"part {part.name}")
        except NotVerified as error:
            raise UsageError(error.message, "parts are safetensors with finite values") from None


def _encoder_entry(encoder: EncoderInfo) -> EncoderEntry:
    return EncoderEntry(
        id=encoder.id,
        modality=encoder.modality,  # type: ignore[arg-type]
        digest=encoder.digest,
        dimension=encoder.dimension,
        assurance=encoder.assurance,  # type: ignore[arg-type]
        licence=encoder.licence,
        threshold=encoder.threshold,
        threshold_source=encoder.threshold_source,
    )


def generator_entries(parts: Sequence[Part]) -> tuple[GeneratorEntry, ...]:
    """Name the generators that parts belong to, as a manifest does.

    Raises:
        UsageError: parts for one generator name two base models.
    """
    bases: dict[str, str] = {}
    for part in parts:
        if part.generator and bases.setdefault(part.generator, part.base_digest) != part.base_digest:
            raise UsageError(f"parts for {part.generator} name two base models", "tune all of them on one")
    return tuple(GeneratorEntry(name, digest) for name, digest in sorted(bases.items()))


def _check_digest(data: memoryview, size: int, sha256: str, what: str) -> None:
    if len(data) != size or sha256_hex(data) != sha256:
        raise NotVerified(f"{what} is not the one that was signed", _HINT, "spliced")
