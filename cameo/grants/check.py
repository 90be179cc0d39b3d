"""Hold one request against one grant: everything a host can decide without its ledger.

The order is fixed, and the first refusal wins: the double and the host, the time, who asks, what for. Revocation, fresh
nonces and counted uses are the ledger's (`grants.ledger`); the consent record is checked beside this, by the workflow.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cameo.errors import NotPermitted, NotVerified
from cameo.grants.proof import SKEW_S, verify_proof
from cameo.grants.scope import require_covered

if TYPE_CHECKING:
    from cameo.grants.grant import Chain
    from cameo.grants.group import Group
    from cameo.records import Use


@dataclass(frozen=True, slots=True)
class Target:
    """Name the very file a request is about; `sha256` and `consent_sha256` are of its bytes as verified."""

    bundle_id: str
    sha256: str
    consent_sha256: str


@dataclass(frozen=True, slots=True)
class Request:
    """Hold what a host was asked.

    Attributes:
        use: what for.
        proof: by the holder, made for `use` and this host's nonce.
        group: the newest list of the group that the grant names, if it names one.
    """

    use: Use
    proof: str
    group: Group | None = None


@dataclass(frozen=True, slots=True)
class Permit:
    """Say who may use the double now; `nonce` is still to be consumed."""

    holder: str
    nonce: str


def check_request(
    chain: Chain,
    request: Request,
    target: Target,
    host: str,
    now: float,
    asks: Callable[[str], None] | None = None,
) -> Permit:
    """Decide whether `chain` allows `request` on `target`.

    Args:
        chain: verified; see `grants.grant.verify_chain`.
        request: what is asked for, and the proof.
        target: the verified double.
        host: fingerprint of the host that is asked.
        now: Unix seconds, from a clock that does not run backwards.
        asks: told the holder's fingerprint once the proof holds, so that a refusal after that has a name.

    Raises:
        NotPermitted: with the code that says why.
        NotVerified: the proof is malformed or its signature does not hold.
    """
    # 1. The grant is about this double, in the very bytes at hand, and about this host.
    _require_target(chain, target, host)
    # 2. Every link holds now.
    require_time(chain, now)
    # 3. Its holder asks, for this very use.
    holder, nonce = verify_proof(request.proof, chain, request.use, host, now)
    if asks is not None:
        asks(holder.fingerprint)
    if chain.grant.group:
        _require_member(chain.grant.group, holder.fingerprint, request.group)
    # 4. Every link allows the use.
    require_covered(chain.grant.scope, request.use)
    if chain.delegation is not None:
        require_covered(chain.delegation.scope, request.use)
    return Permit(holder.fingerprint, nonce)


def require_time(chain: Chain, now: float) -> None:
    """Check that every link of a grant has begun and not ended.

    Raises:
        NotPermitted: "not_yet" or "expired".
    """
    if now < chain.nbf - SKEW_S:
        raise NotPermitted(f"the grant begins on {_day(chain.nbf)}", "wait until then", "not_yet")
    if now >= chain.exp:
        raise NotPermitted(f"the grant ended on {_day(chain.exp)}", "ask its owner for another", "expired")


def _require_target(chain: Chain, target: Target, host: str) -> None:
    grant = chain.grant
    if grant.sub != target.bundle_id:
        raise NotPermitted("the grant is for another double", "give the double it was made for", "wrong_double")
    if (grant.bundle_sha256, grant.consent_sha256) != (target.sha256, target.consent_sha256):
        message = "the double was sealed again since the grant was made"
        raise NotPermitted(message, "use the file the grant was made for, or ask for a new grant", "wrong_double")
    if grant.aud != host:
        message = f"the grant is for the host {grant.aud[:16]}…, not for {host[:16]}…"
        raise NotPermitted(message, "use the host it was granted for", "wrong_host")


def _require_member(group_id: str, holder: str, group: Group | None) -> None:
    if group is None or group.sub != group_id:
        raise NotVerified("the list of the group's members is missing", "give it with --group", "wrong_list")
    if not group.holds(holder):
        message = f"{holder[:16]}… is not in the group {group.name or group_id}"
        raise NotPermitted(message, "ask the owner to add this key", "not_in_group")


def _day(seconds: int) -> str:
    at = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"
