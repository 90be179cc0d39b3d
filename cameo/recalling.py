"""WORKFLOW: take back what was lent: one grant, or the consent to a double."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cameo.errors import NotPermitted
from cameo.grants import status
from cameo.grants.grant import read_tokens, unverified_chain, verify_chain
from cameo.registry.store import Registry
from cameo.seal.bundle import Bundle
from cameo.seal.reseal import withdraw_bundle

if TYPE_CHECKING:
    from cameo.crypto.provider import KeyProvider
    from cameo.registry import lent as registered
    from cameo.registry.lent import Lent

StrPath = str | os.PathLike[str]
_GRANT_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Revoked:
    """Describe what was taken back.

    Attributes:
        bundle_id: of the double.
        grants: ids of the grants that hold no more because of this call; empty when they did not before it.
        seq: of the status list that shows it.
        withdrawn: whether the consent to the whole double was withdrawn.
        statements: signed, for hosts that shall know at once: `cameo status fetch FILE` takes one in.
    """

    bundle_id: str
    grants: tuple[str, ...]
    seq: int
    withdrawn: bool
    statements: tuple[str, ...]


def revoke(what: StrPath, *, keys: KeyProvider, reason: str = "") -> Revoked:
    """Take one grant back, and with it whatever was delegated from it.

    Hosts that look at this machine's registry refuse it from now on; others with the next list you publish, or at once
    when they are handed the statement.

    Args:
        what: the `.grant` file, or the id of the grant.
        keys: the owner's.
        reason: for the record; may be "".

    Raises:
        UsageError: no such file, or no such grant was issued on this machine.
        NotPermitted: it is another owner's ("wrong_key").
    """
    with closing(Registry()) as registry:
        lent = _find(registry, what, keys)
        seq = registry.revoke([lent.jti], owner_signs(keys, reason))
        said = tuple(statement.body for statement in registry.statements(lent.owner, lent.jti))
    taken = () if lent.revoked_at is not None else (lent.jti,)
    return Revoked(lent.bundle_id, taken, seq, False, said)


def withdraw(bundle: StrPath, *, keys: KeyProvider, reason: str = "") -> Revoked:
    """Withdraw the consent to a double: every grant of it is revoked in one transaction, and the file says so.

    Raises:
        UsageError: the file cannot be read.
        NotVerified: it is not what the owner of `keys` sealed.
        OutputError: the file cannot be rewritten; the grants are revoked all the same.
    """
    verified = Bundle.open(bundle).verify(keys.public)
    bundle_id, owner = verified.manifest.bundle_id, keys.public.fingerprint
    with closing(Registry()) as registry:
        taken = living_grants(registry, bundle_id, owner)
        seq = registry.withdraw(bundle_id, owner_signs(keys, reason), owner)
        said = tuple(s.body for s in registry.statements(owner) if s.bundle_id == bundle_id and s.jti is None)
    if not verified.consent.withdrawn:
        withdraw_bundle(bundle, verified, keys, datetime.datetime.now(datetime.UTC).replace(microsecond=0))
    return Revoked(bundle_id, taken, seq, True, said)


def revoke_all(registry: Registry, bundle_id: str, keys: KeyProvider, reason: str) -> tuple[str, ...]:
    """Revoke every grant of a double that holds under these keys; return their ids."""
    living = living_grants(registry, bundle_id, keys.public.fingerprint)
    if living:
        registry.revoke(living, owner_signs(keys, reason))
    return living


def living_grants(registry: Registry, bundle_id: str, owner: str) -> tuple[str, ...]:
    """List the ids of an owner's grants of a double that were not revoked."""
    return tuple(grant.jti for grant in registry.lent(bundle_id, owner) if grant.revoked_at is None)


def _find(registry: Registry, what: StrPath, keys: KeyProvider) -> Lent:
    """Find the grant that is to be revoked, and see that it is the owner's."""
    owner = keys.public
    if _GRANT_ID.fullmatch(os.fspath(what)) and not Path(what).exists():
        lent = registry.find_grant(os.fspath(what))
        if lent.owner != owner.fingerprint:
            raise NotPermitted("the grant is another owner's", "use the key it was granted with", "wrong_key")
        return lent
    claims = unverified_chain(read_tokens(what)).grant
    if claims.iss != owner.fingerprint:
        message = "only the owner can take a grant back, and this key is not theirs"
        raise NotPermitted(message, "use the key it was granted with", "wrong_key")
    grant = verify_chain(read_tokens(what)[:1], owner).grant
    return registry.find_grant(grant.jti)


def owner_signs(keys: KeyProvider, reason: str) -> Callable[[registered.Revocation], str]:
    """Make a function that signs what the registry is about to store."""

    def sign(said: registered.Revocation) -> str:
        claims = status.Revocation(
            iss=said.owner,
            jti=said.id,
            iat=int(said.at.timestamp()),
            seq=said.seq,
            bundle_id=said.bundle_id,
            grant=said.jti or "",
            index=said.indices,
            reason=reason,
        )
        return status.sign_revocation(claims, keys)

    return sign
