"""Seal a double anew: its consent was withdrawn or changed, it was handed over to another key, or parts were added.

The new file takes the old one's place in one step, or not at all, and only after it has been verified as it will be
read. Whoever countersigned the old manifest has not signed the new one.
"""

from __future__ import annotations

import datetime
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from cameo.crypto.encoding import sha256_hex
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotPermitted, OutputError, UsageError
from cameo.files import atomic_path
from cameo.seal.bundle import Bundle, Part, VerifiedBundle, check_parts, generator_entries
from cameo.seal.consent import Agreement, append_event, hand_over_consent
from cameo.seal.container import CONSENT, PART_PREFIX
from cameo.seal.manifest import Manifest, part_generator
from cameo.seal.unlock import unlock_as_owner
from cameo.seal.writing import encrypt_parts, pack_bundle

StrPath = str | os.PathLike[str]


def withdraw_bundle(
    path: StrPath, verified: VerifiedBundle, keys: KeyProvider, at: datetime.datetime
) -> VerifiedBundle:
    """Write the double anew with its consent withdrawn; the parts stay as they are.

    Args:
        path: the file to write; what stands there must be the one that was verified.
        verified: the double.
        keys: the owner's.
        at: when, with a time zone.

    Returns:
        The double as it is now.

    Raises:
        UsageError: the consent is withdrawn already.
        NotPermitted: these are not the owner's keys.
        OutputError: the file cannot be written, or another one stands there.
    """
    _require_owner(verified, keys)
    record = append_event(verified.stored(CONSENT), keys, "withdrawn", at)
    return _replace_consent(path, verified, keys, record)


def amend_bundle(
    path: StrPath,
    verified: VerifiedBundle,
    keys: KeyProvider,
    agreement: Agreement,
    kind: Literal["renewed", "narrowed"],
    at: datetime.datetime,
) -> VerifiedBundle:
    """Write the double anew under other terms; the parts stay as they are.

    Args:
        path: the file to write; what stands there must be the one that was verified.
        verified: the double.
        keys: the owner's.
        agreement: the terms that hold from now on.
        kind: "narrowed" when they allow nothing that was not allowed before, otherwise "renewed".
        at: when, with a time zone.

    Returns:
        The double as it is now.

    Raises:
        UsageError: narrowed terms are not narrower, or the consent they would narrow is withdrawn.
        NotPermitted: these are not the owner's keys.
        OutputError: the file cannot be written, or another one stands there.
    """
    _require_owner(verified, keys)
    _require_retained(verified, agreement)
    record = append_event(verified.stored(CONSENT), keys, kind, at, agreement)
    return _replace_consent(path, verified, keys, record)


def rekey_bundle(
    path: StrPath, verified: VerifiedBundle, old: KeyProvider, new: KeyProvider, at: datetime.datetime
) -> VerifiedBundle:
    """Write the double anew for another key: every content key is fresh, so none from before opens it.

    Copies of the old file are what they were: the old key still opens those.

    Args:
        path: the file to write; what stands there, if anything does, must be the one that was verified.
        verified: the double.
        old: the keys of its owner so far.
        new: the keys that own it from now on.
        at: when, with a time zone.

    Returns:
        The double as it is now; it verifies with `new` only.

    Raises:
        UsageError: both are the same keys.
        NotPermitted: `old` are not the owner's keys.
        OutputError: the file cannot be written, or another one stands there.
    """
    content = unlock_as_owner(verified, old)
    manifest = verified.manifest
    parts = {part.name: verified.read_part(part.name, content) for part in manifest.parts}
    sealed = encrypt_parts(parts, new.public, manifest.bundle_id)
    record = hand_over_consent(verified.stored(CONSENT), old, new, sealed.items, at)
    renewed = msgspec.structs.replace(
        manifest, owner=new.public.fingerprint, parts=sealed.entries, keys=sealed.keys, wrapped=sealed.wrapped
    )
    return _write(path, verified, renewed, new, record, sealed.data)


def extend_bundle(
    path: StrPath,
    verified: VerifiedBundle,
    keys: KeyProvider,
    parts: Sequence[Part],
    agreement: Agreement | None = None,
    about: Mapping[str, str | int | float | bool] | None = None,
) -> VerifiedBundle:
    """Write the double anew with parts for a generator; those it had for that generator go.

    The consent is renewed: it names the parts. Every content key is fresh, so that what a grant carries, which is for
    the file as it was, does not open what was added.

    Args:
        path: the file to write; what stands there, if anything does, must be the one that was verified.
        verified: the double.
        keys: the owner's.
        parts: what is added; all for generators.
        agreement: the terms that hold from now on; None for those of the record.
        about: facts that are added to those in the manifest, or take their place.

    Returns:
        The double as it is now.

    Raises:
        UsageError: a part is for no generator or not as it must be, or the terms drop the recording that is kept.
        NotPermitted: these are not the owner's keys, or the consent was withdrawn.
        OutputError: the file cannot be written, or another one stands there.
    """
    check_parts(parts)
    if not all(part.generator for part in parts):
        raise UsageError("only parts for a generator are added to a double", "enrol again for a new template")
    if verified.consent.withdrawn:  # renewing it would undo that
        raise NotPermitted("the consent to this double was withdrawn", "enrol again: that stays so", "withdrawn")
    if agreement is not None:
        _require_retained(verified, agreement)
    content, manifest = unlock_as_owner(verified, keys), verified.manifest
    new = generator_entries(parts)
    renewed = {entry.id for entry in new}
    kept = [part.name for part in manifest.parts if part_generator(part.name) not in renewed]
    data = {name: verified.read_part(name, content) for name in kept} | {part.name: part.data for part in parts}
    sealed = encrypt_parts(data, keys.public, manifest.bundle_id)
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    record = append_event(verified.stored(CONSENT), keys, "renewed", now, agreement, sealed.items)
    others = [entry for entry in manifest.generators if entry.id not in renewed]
    extended = msgspec.structs.replace(
        manifest,
        parts=sealed.entries,
        keys=sealed.keys,
        wrapped=sealed.wrapped,
        generators=tuple(sorted((*others, *new), key=lambda entry: entry.id)),
        about={**manifest.about, **(about or {})},
    )
    return _write(path, verified, extended, keys, record, sealed.data)


def _replace_consent(path: StrPath, verified: VerifiedBundle, keys: KeyProvider, record: bytes) -> VerifiedBundle:
    parts = {part.name: verified.stored(PART_PREFIX + part.name) for part in verified.manifest.parts}
    return _write(path, verified, verified.manifest, keys, record, parts)


def _write(
    path: StrPath,
    verified: VerifiedBundle,
    manifest: Manifest,
    keys: KeyProvider,
    record: bytes,
    parts: Mapping[str, bytes],
) -> VerifiedBundle:
    signed = msgspec.structs.replace(
        manifest,
        signers=(keys.public.fingerprint,),
        consent_sha256=sha256_hex(record),
        consent_size=len(record),
    )
    blob = b"".join(pack_bundle(signed, keys, record, parts))
    # It may take the only copy's place: so it is read as anyone will read it, before.
    made = Bundle(Path(path), blob).verify(keys.public)
    mode = _require_same_file(path, verified)
    with atomic_path(path, mode) as temporary:
        temporary.write_bytes(blob)
    return made


def _require_retained(verified: VerifiedBundle, agreement: Agreement) -> None:
    if any(part.modality == "captures" for part in verified.manifest.parts) and not agreement.terms.retention.captures:
        raise UsageError("the double keeps the recording, the new terms do not", "enrol again without captures")


def _require_owner(verified: VerifiedBundle, keys: KeyProvider) -> None:
    if keys.public.fingerprint != verified.manifest.owner:
        raise NotPermitted("this key does not own the double", "use the owner's key file", "wrong_key")


def _require_same_file(path: StrPath, verified: VerifiedBundle) -> int:
    """Refuse to take the place of anything but the file that was verified; return the permissions it has."""
    target = Path(path)
    try:
        if sha256_hex(target.read_bytes()) != verified.sha256:
            raise OutputError(f"{path} is not the double that was verified", "run it again, or choose another name")
        return stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        return 0o644
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"cannot write {path}: {reason}", "choose a file name for the result") from None
