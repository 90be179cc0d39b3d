"""WORKFLOW: learn, at a host, what still stands: from where the owner publishes, or from this machine's registry."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from cameo.errors import CameoError, NotPermitted, UsageError
from cameo.grants.fetch import fetch_group, fetch_status
from cameo.grants.group import read_group
from cameo.grants.status import StatusSnapshot, pack_bits, status_uri
from cameo.registry.store import Registry

if TYPE_CHECKING:
    from cameo.crypto.keys import PublicKeys
    from cameo.grants.group import Group
    from cameo.grants.ledger import Ledger

_LIST_LIFE_S = 86_400
_UNREACHABLE = "status_unreachable"
_SAY_WHERE = "say where its owner publishes: --status URL or FILE"


def take_list(where: str | None, owner: PublicKeys, jti: str, ledger: Ledger) -> None:
    """Take the newest status list there is into the ledger.

    Silence is no news: the ledger knows for how long the last list may still be believed.

    Args:
        where: what the owner publishes at; None for the registry of this machine.
        owner: whose list it must be.
        jti: of the grant that is asked about.
        ledger: of the host.

    Raises:
        NotVerified: the list is not the owner's.
        NotPermitted: "status_rollback"; "status_unknown": `where` is None, and the grant was not issued here.
    """
    if where is None:
        ledger.absorb(_local_list(owner, jti, ledger.tick()))
        return
    try:
        ledger.absorb(fetch_status(where, owner))
    except CameoError as error:
        if error.code != _UNREACHABLE:
            raise


def newest_group(where: str | None, owner: PublicKeys, group_id: str) -> Group:
    """Get the newest list of a group. There is no grace: silence is a refusal here.

    Args:
        where: what the owner publishes at; None for the registry of this machine.
        owner: whose group it must be.
        group_id: as the grant names it.

    Raises:
        NotVerified: the list is not the owner's, or of another group.
        NotPermitted: "status_unknown": there is none to be had.
    """
    if where is None:
        return _local_group(owner, group_id)
    try:
        return fetch_group(where, group_id, owner)
    except CameoError as error:
        if error.code != _UNREACHABLE:
            raise
        raise NotPermitted(error.message, error.hint, "status_unknown") from None


def require_kept(bundle_id: str) -> None:
    """Refuse a double that was withdrawn or erased on this machine, whatever the file says.

    Raises:
        NotPermitted: "withdrawn" or "erased".
    """
    if Registry.exists():
        with closing(Registry()) as registry:
            registry.require_living(bundle_id)


def _local_group(owner: PublicKeys, group_id: str) -> Group:
    try:
        with closing(Registry()) as registry:
            token = registry.group(group_id, owner.fingerprint).token
    except UsageError:
        message = "the grant is for a group that was not made on this machine, and does not say where it is published"
        raise NotPermitted(message, _SAY_WHERE, "status_unknown") from None
    return read_group(token, owner)


def _local_list(owner: PublicKeys, jti: str, now: float) -> StatusSnapshot:
    with closing(Registry()) as registry:
        try:
            registry.find_grant(jti)
        except UsageError:
            message = "the grant names no status list, and was not issued on this machine"
            raise NotPermitted(message, _SAY_WHERE, "status_unknown") from None
        state = registry.status(owner.fingerprint)
    bits = pack_bits(state.size, state.revoked)
    return StatusSnapshot(status_uri(owner.fingerprint), state.seq, int(now), int(now) + _LIST_LIFE_S, 10, bits)
