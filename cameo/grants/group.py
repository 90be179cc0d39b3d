"""Name the members of a group in a list that its owner signs and edits without issuing any grant again.

A grant for a group holds its id only. Hosts take the list with the highest `seq` they have seen.
Byte-level description: `docs/reference/status-list.md`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Annotated

import msgspec

from cameo.crypto.fullkeys import FullKeys
from cameo.crypto.jws import open_token, sign_token
from cameo.crypto.keys import PublicKeys
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotVerified, UsageError
from cameo.grants.grant import Hex128, Hex256, Seconds
from cameo.grants.status import Sequence

GROUP = "cameo-group+jwt"
TOKEN_LIMIT = 2 * 1024 * 1024
MAX_MEMBERS = 4096
NAME_LIMIT = 64

_WHAT = "the group list"
_HINT = "get it again from where its owner publishes it"


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold the claims of a group list.

    Attributes:
        iss: fingerprint of the owner.
        sub: id of the group, as grants name it.
        name: for people.
        iat: when it was signed, Unix seconds.
        seq: rises with every edit.
        members: ordered by fingerprint.
    """

    iss: Hex256
    sub: Hex128
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_LIMIT)]
    iat: Seconds
    seq: Sequence
    members: Annotated[tuple[FullKeys, ...], msgspec.Meta(max_length=MAX_MEMBERS)]

    def holds(self, fingerprint: str) -> bool:
        """Say whether somebody is a member."""
        return any(member.fingerprint == fingerprint for member in self.members)


def new_group(owner: PublicKeys, name: str, members: Iterable[PublicKeys]) -> Group:
    """Begin a group, with a fresh id.

    Raises:
        UsageError: somebody is named twice, or there are too many.
    """
    return edit_group(Group(owner.fingerprint, os.urandom(16).hex(), name, 0, 0, ()), members, ())


def edit_group(group: Group, add: Iterable[PublicKeys], remove: Collection[str]) -> Group:
    """Add keys and remove fingerprints; the result has the next `seq` and is yet to be signed.

    Raises:
        UsageError: somebody is added twice, or removed without being there; or there are too many.
    """
    members = {member.fingerprint: member for member in group.members}
    for fingerprint in remove:
        if members.pop(fingerprint, None) is None:
            raise UsageError(f"{fingerprint[:16]}… is not in the group", "check the fingerprint")
    for keys in add:
        if keys.fingerprint in members:
            raise UsageError(f"{keys.fingerprint[:16]}… is in the group already", "name everybody once")
        members[keys.fingerprint] = FullKeys.of(keys)
    if len(members) > MAX_MEMBERS:
        raise UsageError(f"a group has {MAX_MEMBERS} members at most, not {len(members)}", "make a second group")
    ordered = tuple(members[fingerprint] for fingerprint in sorted(members))
    return msgspec.structs.replace(group, members=ordered, seq=group.seq + 1)


def sign_group(group: Group, owner: KeyProvider, now: float) -> str:
    """Sign a group list as it is at `now` (Unix seconds).

    Raises:
        UsageError: hosts would refuse it.
    """
    token = sign_token(GROUP, msgspec.structs.replace(group, iat=int(now)), owner)
    try:
        read_group(token, owner.public)
    except NotVerified as error:
        raise UsageError(error.message, "hosts would refuse this group: change it") from None
    return token


def read_group(token: str, owner: PublicKeys) -> Group:
    """Verify a group list by `owner`.

    Raises:
        NotVerified: "malformed", "oversize", "bad_header", "bad_signature", "weak_key", or "wrong_list" if it is
            another owner's.
    """

    def owners(kid: str) -> PublicKeys:
        if kid != owner.fingerprint:
            raise NotVerified(f"{_WHAT} is another owner's", "check the address and the .pub file", "wrong_list")
        return owner

    group = open_token(token, GROUP, Group, owners, _WHAT, TOKEN_LIMIT)
    if group.iss != owner.fingerprint:
        raise NotVerified(f"{_WHAT} names another owner than its signer", _HINT, "wrong_list")
    fingerprints = [member.fingerprint for member in group.members]
    if fingerprints != sorted(set(fingerprints)):
        raise NotVerified(f"{_WHAT} names somebody twice, or out of order", _HINT, "malformed")
    for member in group.members:
        member.load("a member's key")
    return group
