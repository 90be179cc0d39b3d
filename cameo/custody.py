"""WORKFLOW: change what a double allows, hand it over to another key of its owner, or end it."""

from __future__ import annotations

import datetime
import os
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from cameo.crypto.encoding import SHA256_HEX, decode_json, encode_json
from cameo.crypto.envelope import read_envelope, sign_envelope, verify_envelope
from cameo.errors import CameoError, NotPermitted, NotVerified, OutputError, UsageError
from cameo.files import atomic_write, destroy, require_writable
from cameo.grants.grant import read_tokens, unverified_chain
from cameo.grants.guard import list_digest
from cameo.recalling import owner_signs, revoke_all
from cameo.registry.store import Registry
from cameo.seal.bundle import Bundle
from cameo.seal.checkpoint import forget_unfinished
from cameo.seal.consent import Method, agree
from cameo.seal.narrowing import require_narrowed
from cameo.seal.reseal import amend_bundle, rekey_bundle
from cameo.seal.terms import resolve_terms, today

if TYPE_CHECKING:
    from cameo.crypto.keys import PublicKeys
    from cameo.crypto.provider import KeyProvider
    from cameo.registry.lent import Lent
    from cameo.registry.store import Double
    from cameo.seal.terms import ConsentTerms

StrPath = str | os.PathLike[str]
DELETION_TYPE = "application/vnd.cameo.deletion.v1+json"
DELETION_LIMIT = 4 * 1024 * 1024

_Hex = Annotated[str, msgspec.Meta(pattern=SHA256_HEX)]
_Id = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
_Name = Annotated[str, msgspec.Meta(max_length=4096)]


_Kind = Literal["double", "grant"]


class Destroyed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name a file that held a wrapped key; `sha256` is of what it was."""

    kind: _Kind
    name: _Name
    sha256: _Hex


class Deletion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold what a deletion receipt says.

    Attributes:
        version: 1.
        bundle_id, owner: of the double.
        at: when, with a time zone.
        files: what was destroyed on this machine.
        revoked: ids of all grants of the double, revoked now or before.
        seq: of the owner's status list that shows it.
        unfinished: how many unfinished enrolments of this owner were forgotten.
    """

    version: Literal[1]
    bundle_id: _Id
    owner: _Hex
    at: Annotated[datetime.datetime, msgspec.Meta(tz=True)]
    files: tuple[Destroyed, ...]
    revoked: tuple[_Id, ...]
    seq: Annotated[int, msgspec.Meta(ge=0)]
    unfinished: Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """Describe a double that was handed over; `revoked` are grants under the old key."""

    path: str
    bundle_id: str
    old: str
    new: str
    sha256: str
    revoked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Amended:
    """Describe a double whose terms were changed; `revoked` are the grants made under the old ones."""

    path: str
    bundle_id: str
    kind: Literal["renewed", "narrowed"]
    sha256: str
    revoked: tuple[str, ...]


def erase(bundle: StrPath, *, keys: KeyProvider, receipt: StrPath | None = None) -> Deletion:
    """Erase a double from this machine: revoke every grant of it, and destroy every wrapped key that is here.

    Without a wrapped key the encrypted parts are noise. What is destroyed: the file, the copy that was registered, the
    grant files this machine wrote, and unfinished enrolments of the same owner. Copies elsewhere are not reached.
    A run that is broken off is gone on with by the same call.

    Args:
        bundle: the `.cameo` file, or its name when an earlier run has destroyed it already.
        keys: the owner's.
        receipt: where to write the signed deletion receipt; default: beside the file, `NAME.erased.json`. One of the
            same double that stands there already is added to.

    Raises:
        UsageError: there is no such double.
        NotVerified, NotPermitted: it is not one of the owner of `keys`.
        OutputError: something cannot be destroyed or written, or another file stands in the place of the receipt; what
            was revoked stays so.
    """
    path = Path(bundle)
    written = Path(receipt) if receipt is not None else path.with_suffix(".erased.json")
    require_writable(written)
    owner = keys.public.fingerprint
    with closing(Registry()) as registry:
        bundle_id, files = _kept_files(registry, path, keys)
        before = _destroyed_before(written, bundle_id, keys)
        # 1. Nothing of it is granted or cast any more, whatever happens next.
        seq = registry.withdraw(bundle_id, owner_signs(keys, "erased"), owner)
        lent = registry.lent(bundle_id)
        files += [("grant", grant.path) for grant in lent if _is_grant(grant)]
        # 2. Every wrapped key is destroyed.
        gone = before + tuple(Destroyed(kind, str(file), destroy(file)) for kind, file in files)
        unfinished = forget_unfinished(owner)
        # 3. It is on record.
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        revoked = tuple(sorted(grant.jti for grant in lent))
        deletion = Deletion(1, bundle_id, owner, now, gone, revoked, seq, unfinished)
        atomic_write(written, encode_json(sign_envelope(DELETION_TYPE, encode_json(deletion), [keys])))
        registry.mark_erased(bundle_id, owner)
    return deletion


def _destroyed_before(receipt: Path, bundle_id: str, keys: KeyProvider) -> tuple[Destroyed, ...]:
    """Read what an earlier run has destroyed, and see that nothing else stands in the place of the receipt."""
    if not os.path.lexists(receipt):
        return ()
    try:
        with receipt.open("rb") as file:
            earlier = read_deletion(file.read(DELETION_LIMIT + 1), keys.public)
    except NotVerified:
        earlier = None
    if earlier is None or earlier.bundle_id != bundle_id:
        raise OutputError(f"{receipt} exists already", "choose another name for the receipt: --out RECEIPT")
    return earlier.files


def read_deletion(raw: bytes, owner: PublicKeys) -> Deletion:
    """Verify a deletion receipt by `owner`.

    Raises:
        NotVerified: malformed, or not signed by them.
    """
    what = "the deletion receipt"
    payload = verify_envelope(read_envelope(raw, what, DELETION_LIMIT), DELETION_TYPE, [owner], what)
    deletion = decode_json(payload, Deletion, what, DELETION_LIMIT)
    if deletion.owner != owner.fingerprint:
        raise NotVerified(f"{what} names another owner than its signer", "do not rely on it", "bad_signature")
    return deletion


def rekey(bundle: StrPath, *, keys: KeyProvider, new: KeyProvider) -> Rekeyed:
    """Hand a double over from one key of its owner to another, with a statement signed by both.

    The file is sealed anew, with fresh keys: neither the old key nor an old grant opens it. Grants under the old key
    are revoked. A run that is broken off is gone on with by the same call.

    Args:
        bundle: the `.cameo` file; it is replaced in one step.
        keys: the owner's so far.
        new: theirs from now on.

    Raises:
        UsageError: the file cannot be read, or both keys are the same.
        NotVerified: it is not what the owner of `keys` sealed.
        NotPermitted: `keys` do not own it; or the double was erased.
        OutputError: the file cannot be replaced.
    """
    old_name, new_name = keys.public.fingerprint, new.public.fingerprint
    if old_name == new_name:
        raise UsageError("the new key is the old one", "make another with cameo keygen")
    opened = Bundle.open(bundle)
    with closing(Registry()) as registry:
        bundle_id = opened.claims.bundle_id
        registry.require_living(bundle_id)
        revoked: tuple[str, ...] = ()
        if opened.claims.owner == new_name:
            # An earlier run got as far as the file.
            made = opened.verify(new.public)
        else:
            verified = opened.verify(keys.public)
            revoked = revoke_all(registry, bundle_id, keys, "handed over to another key")
            now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
            made = rekey_bundle(bundle, verified, keys, new, now)
        with suppress(UsageError):  # not every double was enrolled on this machine, or it was moved already
            registry.move_owner(old_name, new_name, bundle_id)
        registry.follow(bundle_id, new_name, made.path, made.sha256)
    return Rekeyed(str(bundle), bundle_id, old_name, new_name, made.sha256, revoked)


def amend(bundle: StrPath, *, keys: KeyProvider, terms: ConsentTerms, method: Method = "api") -> Amended:
    """Change the terms of a double: a signed event is added to its consent record, nothing in it is rewritten.

    Terms that allow nothing new narrow the consent, others renew it. Every grant made under the old terms is revoked:
    issue those that shall go on again.

    Args:
        bundle: the `.cameo` file; it is replaced in one step.
        keys: the owner's.
        terms: what is allowed from now on. Whoever calls this answers for the person's consent to them.
        method: how they agreed; see `EnrollOptions`.

    Raises:
        UsageError: the file cannot be read, or the terms cannot be kept.
        NotVerified: it is not what the owner of `keys` sealed.
        NotPermitted: the consent was withdrawn, or the double erased.
        OutputError: the file cannot be replaced.
    """
    verified = Bundle.open(bundle).verify(keys.public)
    manifest, old = verified.manifest, verified.consent.record.terms
    generators = [entry.id for entry in manifest.generators]
    resolved = resolve_terms(terms, generators, today(), list_digest())
    kind: Literal["renewed", "narrowed"] = "renewed"
    if verified.consent.withdrawn:
        raise NotPermitted("the consent to this double was withdrawn", "enrol again: that stays so", "withdrawn")
    with suppress(UsageError):
        require_narrowed(resolved, old)
        kind = "narrowed"
    # Whatever can be wrong with the terms is found before anything is revoked.
    # What was shown of somebody being there belongs to the recording, whatever the terms are.
    agreement = agree(resolved, method, verified.consent.record.act.liveness)
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    with closing(Registry()) as registry:
        registry.require_living(manifest.bundle_id)
        revoked = revoke_all(registry, manifest.bundle_id, keys, f"consent {kind}")
        made = amend_bundle(bundle, verified, keys, agreement, kind, now)
        registry.follow(manifest.bundle_id, manifest.owner, made.path, made.sha256)
    return Amended(str(bundle), manifest.bundle_id, kind, made.sha256, revoked)


def _kept_files(registry: Registry, path: Path, keys: KeyProvider) -> tuple[str, list[tuple[_Kind, Path]]]:
    """Find the double and the files of it that are on this machine."""
    owner = keys.public.fingerprint
    known = registry.list(owner)
    remains = [double.bundle_id for double in known if double.path == path.resolve() and double.withdrawn_at]
    if remains and _is_overwritten(path):
        return remains[0], [("double", path.resolve())]
    if os.path.lexists(path):
        manifest = Bundle.open(path).verify(keys.public).manifest
        files = [path, *(d.path for d in known if d.bundle_id == manifest.bundle_id and _is_copy(d, keys))]
        return manifest.bundle_id, [("double", file) for file in dict.fromkeys(file.resolve() for file in files)]
    for double in known:
        if double.path == path.resolve():
            return double.bundle_id, []
    raise UsageError(f"there is no file {path}, and no double of yours was enrolled there", "check the path")


def _is_overwritten(path: Path) -> bool:
    """Say whether a file is what an earlier run left when it was broken off in the middle of it."""
    try:
        with path.open("rb") as file:
            return file.read(64) == bytes(64)
    except OSError:
        return False


def _is_copy(double: Double, keys: KeyProvider) -> bool:
    """Say whether the file that was registered still is that double."""
    try:
        return Bundle.open(double.path).verify(keys.public).manifest.bundle_id == double.bundle_id
    except CameoError:
        return False


def _is_grant(grant: Lent) -> bool:
    """Say whether the file that was written for a grant still is that grant."""
    try:
        return unverified_chain(read_tokens(grant.path)).grant.jti == grant.jti
    except CameoError:
        return False
