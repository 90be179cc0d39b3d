"""WORKFLOW: tell the hosts: which grants are revoked, who is in a group; and, at a host, listen."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from cameo.errors import UsageError
from cameo.files import atomic_write, require_writable
from cameo.grants import status
from cameo.grants.fetch import fetch_either
from cameo.grants.group import TOKEN_LIMIT, edit_group, new_group, read_group, sign_group
from cameo.grants.publish import Published
from cameo.registry.lent import Group as Registered
from cameo.registry.store import Registry

if TYPE_CHECKING:
    from cameo.crypto.keys import PublicKeys
    from cameo.crypto.provider import KeyProvider
    from cameo.grants.group import Group
    from cameo.grants.ledger import Ledger

StrPath = str | os.PathLike[str]


def published(keys: KeyProvider) -> Published:
    """Sign everything the owner publishes, as it is now: status list, groups, statements."""
    owner = keys.public.fingerprint
    with closing(Registry()) as registry:
        state = registry.status(owner)
        groups = {group.group_id: group.token for group in registry.groups(owner)}
        statements = tuple(statement.body for statement in registry.statements(owner))
    return Published(status.sign_status(keys, state.size, state.revoked, state.seq, time.time()), groups, statements)


def registry_seq(fingerprint: str) -> int:
    """Look up a number that rises whenever something an owner publishes changes; cheap."""
    with closing(Registry()) as registry:
        return registry.version(fingerprint)


def take_status(where: str, owner: PublicKeys, ledger: Ledger) -> status.StatusSnapshot | status.Revocation:
    """Take a status list, or one revocation statement, into a host's ledger.

    Raises:
        NotVerified: it is not the owner's.
        NotPermitted: "status_rollback", "clock_set_back".
        CameoError: "status_unreachable".
    """
    ledger.tick()
    found = fetch_either(where, owner)
    if isinstance(found, status.StatusSnapshot):
        ledger.absorb(found)
    else:
        uri = status.status_uri(owner.fingerprint)
        if found.grant:
            ledger.mark_revoked(uri, *found.index)
        else:
            ledger.mark_withdrawn(uri, found.bundle_id, *found.index)
    return found


def keep_group(
    path: StrPath,
    *,
    keys: KeyProvider,
    add: Sequence[PublicKeys] = (),
    remove: Collection[str] = (),
    name: str | None = None,
) -> Group:
    """Make or edit a group: people a double can be lent to together.

    Args:
        path: the `.group` file; made if it is not there.
        keys: the owner's.
        add: public keys of new members.
        remove: fingerprints of members that leave.
        name: of a new group; default: the file's name.

    Raises:
        UsageError: somebody is added twice, or removed without being there; or `name` is given for an old group.
        NotVerified: the file is no group of this owner.
        OutputError: the file cannot be written.
    """
    require_writable(path)
    target, owner = Path(path), keys.public
    with closing(Registry()) as registry:
        if os.path.lexists(target):
            if name is not None:
                raise UsageError(f"{path} has a name already", "leave --name out, or choose another file")
            group = _newest(registry, load_group(target, owner), owner)
            if not (add or remove):
                return group
            group = edit_group(group, add, remove)
        elif remove:
            raise UsageError(f"there is no group in {path} to remove anybody from", "check the path")
        else:
            group = new_group(owner, name or target.stem, add)
        token = sign_group(group, keys, time.time())
        # First where hosts of this machine look; the file is a copy for its owner, and can be written again.
        registry.put_group(Registered(group.sub, owner.fingerprint, group.seq, token))
    atomic_write(target, token.encode() + b"\n")
    return group


def load_group(path: StrPath, owner: PublicKeys) -> Group:
    """Read a `.group` file by `owner`.

    Raises:
        UsageError: it cannot be read.
        NotVerified: it is no group, or not the owner's.
    """
    hint = "make a group with: cameo group FILE --key KEY"
    try:
        with Path(path).open("rb") as file:
            text = file.read(TOKEN_LIMIT + 2).removesuffix(b"\n").decode("ascii")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot read {path}: {reason}", hint) from None
    except ValueError:
        raise UsageError(f"{path} is not a group", hint) from None
    return read_group(text, owner)


def _newest(registry: Registry, group: Group, owner: PublicKeys) -> Group:
    """Take the registry's list where it is newer than the file: an earlier run may not have reached the file."""
    for known in registry.groups(owner.fingerprint):
        if known.group_id == group.sub and known.seq > group.seq:
            return read_group(known.token, owner)
    return group
