"""WORKFLOW: lend a double, and narrow what was lent. Taking it back is in `cameo/recalling.py`."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cameo.crypto.jws import token_digest
from cameo.errors import NotPermitted, UsageError
from cameo.files import atomic_create, require_free
from cameo.grants import status
from cameo.grants.check import require_time
from cameo.grants.fetch import is_url
from cameo.grants.grant import (
    LIFE_LIMIT_S,
    LOCATION_LIMIT,
    Confirmation,
    DelegationClaims,
    GrantClaims,
    SealedKey,
    StatusClaim,
    StatusIndex,
    file_bytes,
    fresh_id,
    read_tokens,
    sign_delegation,
    sign_grant,
    unverified_chain,
)
from cameo.grants.group import Group
from cameo.grants.scope import Scope
from cameo.registry.lent import Kind, Lent
from cameo.registry.store import Registry
from cameo.seal.bundle import Bundle
from cameo.seal.terms import require_grantable
from cameo.seal.unlock import unlock_as_owner

if TYPE_CHECKING:
    from cameo.crypto.keys import PublicKeys
    from cameo.crypto.provider import KeyProvider
    from cameo.seal.bundle import VerifiedBundle
    from cameo.seal.terms import Audience, ConsentTerms

StrPath = str | os.PathLike[str]
EXPIRES_DAYS = 30
EVERYONE = "everyone"
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class GrantTerms:
    """Say what a grant allows. What is left open takes the most that the consent record allows for the purposes.

    Attributes:
        purposes: ids of purposes of the consent record; at least one.
        actions: "generate", "export", or both; never more than is said here.
        modalities, outputs, generators: () for all that every one of the purposes allows.
        max_uses: how many uses altogether; None for no limit.
        max_seconds: length of one clip; None for no limit.
        max_pixels: of one frame; None for no limit.
        expires_s: how long it holds, in seconds; None for 30 days, or less where the consent ends before.
        delegable: whether the friend may narrow it once for another key.
        commercial: whether commercial use is allowed.
        status_at: where you publish your status list, a URL or a path; "" when hosts use this machine's registry or
            are told.
    """

    purposes: tuple[str, ...]
    modalities: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    generators: tuple[str, ...] = ()
    max_uses: int | None = None
    max_seconds: float | None = None
    max_pixels: int | None = None
    expires_s: int | None = None
    delegable: bool = False
    commercial: bool = False
    status_at: str = ""
    actions: tuple[str, ...] = ("generate",)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Say how a delegation narrows a grant; what is left open stays as granted."""

    purposes: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    generators: tuple[str, ...] = ()
    max_uses: int | None = None
    max_seconds: float | None = None
    max_pixels: int | None = None
    expires_s: int | None = None
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Granted:
    """Describe a grant or delegation that was written; `expires` has a time zone."""

    path: str
    id: str
    bundle_id: str
    holder: str
    host: str
    scope: Scope
    expires: datetime.datetime
    delegable: bool


def grant(
    bundle: StrPath,
    *,
    keys: KeyProvider,
    to: PublicKeys | Group | str,
    host: PublicKeys,
    terms: GrantTerms,
    out: StrPath,
) -> Granted:
    """Lend a double to somebody, at one host.

    Args:
        bundle: the `.cameo` file. The grant is for this very file.
        keys: the owner's.
        to: a friend's public keys, a group, or "everyone" (where the consent record says so).
        host: public keys of the host: it alone can decrypt, and only what is granted.
        terms: for what, until when.
        out: the `.grant` file to write; it must not exist.

    Raises:
        UsageError: something cannot be read or is not in the double.
        NotVerified: the double is not what the owner sealed.
        NotPermitted: the consent record does not reach this far ("consent_exceeded" and others), or the consent was
            withdrawn.
        OutputError: `out` exists or cannot be written; nothing is lent then.
    """
    require_free(out)
    verified = Bundle.open(bundle).verify(keys.public)
    _require_given(verified)
    scope = _scope(verified, terms)
    location = _location(terms.status_at)
    now = int(time.time())
    expires = now + _life(verified.consent.record.terms, terms, now)
    # The grant can never exceed the consent; hosts check it again at every use.
    audience = _audience(to, keys.public)
    until = _moment(expires).date()
    require_grantable(verified.consent.record.terms, scope, until, audience, terms.delegable)
    with closing(Registry()) as registry:
        lent = registry.allot(_lent(verified, to, host, (fresh_id(), scope, now, expires, terms.delegable), Path(out)))
        try:
            wrapped = unlock_as_owner(verified, keys).wrap_for(host, lent.jti, scope.modalities)
            claims = GrantClaims(
                iss=lent.owner,
                aud=lent.host,
                sub=lent.bundle_id,
                jti=lent.jti,
                iat=now,
                nbf=now,
                exp=expires,
                scope=scope,
                delegable=terms.delegable,
                bundle_sha256=verified.sha256,
                consent_sha256=verified.manifest.consent_sha256,
                status=StatusClaim(StatusIndex(lent.index, status.status_uri(lent.owner))),
                keys=tuple(SealedKey(modality, wrapped[modality]) for modality in scope.modalities),
                cnf=None if isinstance(to, Group | str) else Confirmation.of(to),
                group=to.sub if isinstance(to, Group) else "",
                everyone=isinstance(to, str),
                status_at=location,
            )
            atomic_create(out, file_bytes((sign_grant(claims, keys),)), mode=0o600)
        except BaseException:
            registry.forget_grant(lent.jti)
            raise
    return Granted(str(out), lent.jti, lent.bundle_id, lent.holder, lent.host, scope, lent.expires, lent.delegable)


def delegate(grant: StrPath, *, keys: KeyProvider, to: PublicKeys, narrowed: Narrowing, out: StrPath) -> Granted:
    """Narrow a grant for another key, once: what the holder does for a tool.

    Args:
        grant: the `.grant` file.
        keys: the holder's.
        to: public keys of the tool.
        narrowed: in which respects; never wider.
        out: the `.grant` file to write, which holds both; it must not exist.

    Raises:
        UsageError: something cannot be read.
        NotVerified: it is no grant.
        NotPermitted: "not_delegable", "wrong_holder", "widened", "expired".
        OutputError: `out` exists or cannot be written.
    """
    require_free(out)
    tokens = read_tokens(grant)
    chain = unverified_chain(tokens)
    if chain.delegation is not None:
        raise NotPermitted("this grant was passed on already", "a grant can be narrowed once", "not_delegable")
    now = int(time.time())
    require_time(chain, now)
    parent = chain.grant
    scope = _narrowed(parent.scope, narrowed)
    expires = parent.exp if narrowed.expires_s is None else now + _future(narrowed.expires_s)
    jti = fresh_id()
    claims = DelegationClaims(
        iss=keys.public.fingerprint,
        parent=token_digest(tokens[0]),
        jti=jti,
        iat=now,
        nbf=max(now, parent.nbf),
        exp=expires,
        scope=scope,
        cnf=Confirmation.of(to),
    )
    both = (tokens[0], sign_delegation(tokens[0], claims, keys))
    atomic_create(out, file_bytes(both), mode=0o600)
    return Granted(str(out), jti, parent.sub, to.fingerprint, parent.aud, scope, _moment(expires), False)


def lent_to(bundle_id: str) -> int | None:
    """Count whom a double is lent to now: friends, groups, everyone; None when this machine knows nothing of it."""
    now = datetime.datetime.now(datetime.UTC)
    if not Registry.exists():
        return None
    with closing(Registry()) as registry:
        lent = registry.lent(bundle_id)
        if not lent and not any(double.bundle_id == bundle_id for double in registry.list()):
            return None
        return len({grant.holder for grant in lent if grant.revoked_at is None and grant.expires > now})


def _require_given(verified: VerifiedBundle) -> None:
    if verified.consent.withdrawn:
        raise NotPermitted("the consent to this double was withdrawn", "it cannot be lent any more", "withdrawn")


def _scope(verified: VerifiedBundle, terms: GrantTerms) -> Scope:
    """Fill in what the grant leaves open: whatever every named purpose allows, and the double has."""
    if not terms.purposes:
        raise UsageError("a grant needs a purpose", "name one of the consent record's; see: cameo inspect")
    known = {purpose.id: purpose for purpose in verified.consent.record.terms.purposes}
    named = [known[name] for name in terms.purposes if name in known]

    def open_to(name: str, there: Sequence[str]) -> tuple[str, ...]:
        asked: tuple[str, ...] = getattr(terms, name)
        return asked or tuple(word for word in there if all(word in getattr(purpose, name) for purpose in named))

    modalities = tuple(entry.modality for entry in verified.manifest.keys)
    absent = set(terms.modalities) - set(modalities)
    if absent:
        raise UsageError(f"the double holds no {', '.join(sorted(absent))}", f"it holds: {', '.join(modalities)}")
    filled = {
        "actions": terms.actions,
        "purposes": terms.purposes,
        "outputs": open_to("outputs", ("audio", "image", "video")),
        "modalities": open_to("modalities", [m for m in modalities if m != "captures"]),
        "generators": open_to("generators", sorted({word for purpose in named for word in purpose.generators})),
        "max_uses": terms.max_uses,
        "max_seconds": terms.max_seconds,
        "max_pixels": terms.max_pixels,
        "commercial": terms.commercial,
    }
    # Unknown purposes leave everything open: say that the consent does not know them, not that a list is empty.
    unknown = [name for name in terms.purposes if name not in known]
    if unknown:
        message = f"the consent knows no purpose {', '.join(unknown)}"
        raise NotPermitted(message, f"it knows: {', '.join(known)}", "wrong_purpose")
    return _checked(filled)


def _narrowed(scope: Scope, narrowed: Narrowing) -> Scope:
    """Take from `narrowed` what it says, and the rest as granted."""
    asked = msgspec.structs.asdict(scope)
    for name in ("actions", "purposes", "modalities", "outputs", "generators", "max_uses", "max_seconds", "max_pixels"):
        said = getattr(narrowed, name)
        if said not in ((), None):
            asked[name] = said
    return _checked(asked)


def _checked(scope: Mapping[str, Any]) -> Scope:
    try:
        made = msgspec.convert(scope, Scope)
    except msgspec.ValidationError as error:
        raise UsageError(f"this cannot be granted: {error}", "check the names and numbers") from None
    if "export" in made.actions and (made.max_seconds, made.max_pixels) != (None, None):
        hint = "leave the limits on length and size out, or the export"
        raise UsageError("whoever exports a plain file makes clips of any length and size with it", hint)
    return made


def _life(consent: ConsentTerms, terms: GrantTerms, now: int) -> int:
    """How long the grant holds: as asked, or 30 days and never past the consent."""
    if terms.expires_s is not None:
        return _future(terms.expires_s)
    ends = [p.valid_until for p in consent.purposes if p.id in terms.purposes and p.valid_until is not None]
    last = min(
        (datetime.datetime.combine(end, datetime.time.max, datetime.UTC).timestamp() for end in ends),
        default=now + EXPIRES_DAYS * _DAY_S,
    )
    return max(1, min(EXPIRES_DAYS * _DAY_S, int(last) - now))


def _future(seconds: int) -> int:
    if not 0 < seconds <= LIFE_LIMIT_S:
        message = "it would have ended before it began" if seconds <= 0 else "nothing is lent for more than ten years"
        raise UsageError(message, "give it a time to come, like 30d")
    return seconds


def _audience(to: PublicKeys | Group | str, owner: PublicKeys) -> Audience:
    if isinstance(to, str):
        if to != EVERYONE:
            raise UsageError(f"{to!r} is nobody a double can be lent to", 'give public keys, a group, or "everyone"')
        return "everyone"
    if isinstance(to, Group):
        if to.iss != owner.fingerprint:
            raise NotPermitted("the group is another owner's", "lend to a group of your own", "wrong_key")
        return "group"
    return "owner" if to == owner else "approved"


def _lent(
    verified: VerifiedBundle,
    to: PublicKeys | Group | str,
    host: PublicKeys,
    claims: tuple[str, Scope, int, int, bool],
    out: Path,
) -> Lent:
    jti, scope, now, expires, delegable = claims
    owner = verified.manifest.owner
    kind: Kind = "friend"
    if isinstance(to, str):
        kind, holder = "everyone", ""
    elif isinstance(to, Group):
        kind, holder = "group", to.sub
    else:
        kind, holder = "owner" if to.fingerprint == owner else "friend", to.fingerprint
    return Lent(
        jti=jti,
        bundle_id=verified.manifest.bundle_id,
        owner=owner,
        kind=kind,
        holder=holder,
        host=host.fingerprint,
        purposes=scope.purposes,
        issued=_moment(now),
        expires=_moment(expires),
        delegable=delegable,
        path=out.resolve(),
    )


def _location(where: str) -> str:
    """Make a path good from any folder."""
    found = where if not where or is_url(where) or where.startswith("file:") else str(Path(where).resolve())
    if len(found) > LOCATION_LIMIT:
        raise UsageError(f"where you publish is longer than {LOCATION_LIMIT} characters", "choose a shorter address")
    return found


def _moment(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
