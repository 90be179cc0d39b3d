"""The verb that shows what any file of cameo's says: a double, a key, or anything that was signed."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.errors import NotVerified, UsageError

if TYPE_CHECKING:
    from cameo.crypto.keys import PublicKeys

Shown = tuple[dict[str, Any], list[str]]
_SNIFFED = 4096
_NOT_CHECKED = "not checked: what follows is only what the file says (give --owner)"


def inspect(words: Sequence[str]) -> None:
    """Run `cameo inspect`."""
    parser = VerbParser(
        "inspect",
        "Show what FILE says: a double, a grant, a group, a status list, a revocation, receipts, or a public key.\n"
        "Nothing of it is trusted unless the key of who signed it is given.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a .cameo, .grant, .group, .pub or other signed file")
    parser.add_argument("--owner", type=Path, metavar="PUB", help="verify first: the .pub file of who signed it")
    parser.add_json()
    options = parser.parse_args(words)
    file: Path = options.file
    head = _head(file)
    if head.startswith(b"PK"):
        from cameo.cli.bundle import show_bundle

        value, lines = show_bundle(file, options.owner)
    else:
        from cameo.crypto.keys import PublicKeys

        signer = PublicKeys.load(options.owner) if options.owner else None
        value, lines = _reader(head, file)(file, signer)
    terminal.result(value, options.json, lines)


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_SNIFFED)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot read {file}: {reason}", "check the path") from None


def _reader(head: bytes, file: Path) -> Callable[[Path, PublicKeys | None], Shown]:
    """Choose by the first bytes; whatever is chosen checks the rest."""
    if head.startswith(b'{"cameo_pub"'):
        return _public_key
    if head.startswith(b'{"header":{"cameo_key"'):
        return _key_file
    if head.startswith(b'{"payloadType":"application/vnd.cameo.receipt.'):
        return _receipts
    if head.startswith(b'{"payloadType":"application/vnd.cameo.deletion.'):
        return _deletion
    if head.startswith(b"eyJ"):
        return _token
    hint = "it reads doubles, grants, groups, status lists, revocations, receipts and keys"
    raise NotVerified(f"{file} is no file of cameo's", hint, "malformed")


def _public_key(file: Path, _signer: PublicKeys | None) -> Shown:
    from cameo.crypto.keys import PublicKeys

    keys = PublicKeys.load(file)
    value = {"file": str(file), "kind": "public key", "fingerprint": keys.fingerprint}
    return value, [f"{file}: a public key", *terminal.table([("fingerprint", keys.fingerprint)])]


def _key_file(file: Path, _signer: PublicKeys | None) -> Shown:
    from cameo.crypto.keys import public_half

    keys = public_half(file)
    value = {"file": str(file), "kind": "key file", "fingerprint": keys.fingerprint}
    rows = [("fingerprint", f"{keys.fingerprint}  as it says; the passphrase would tell"), ("keep", "it to yourself")]
    return value, [f"{file}: a private key under a passphrase", *terminal.table(rows)]


def _token(file: Path, signer: PublicKeys | None) -> Shown:
    """Show a grant, a delegated grant, a status list, a group or a revocation."""
    from cameo.crypto.jws import token_type
    from cameo.grants import grant, group, status

    text = _text(file, status.TOKEN_LIMIT)
    kind = token_type(text.partition("~")[0], str(file), status.TOKEN_LIMIT)
    readers: dict[str, Callable[[Path, str, PublicKeys | None], Shown]] = {
        grant.GRANT: _grant,
        status.STATUS_LIST: _status_list,
        status.REVOCATION: _revocation,
        group.GROUP: _group,
    }
    if kind not in readers:
        raise NotVerified(
            f"{file} is a token of another kind than cameo keeps in files", "check the path", "bad_header"
        )
    return readers[kind](file, text, signer)


def _grant(file: Path, _text: str, signer: PublicKeys | None) -> Shown:
    from cameo.grants.grant import read_tokens, unverified_chain, verify_chain
    from cameo.grants.scope import describe_scope

    tokens = read_tokens(file)
    chain = verify_chain(tokens, signer) if signer else unverified_chain(tokens)
    claims, link = chain.grant, chain.delegation
    value = {
        "file": str(file),
        "kind": "delegated grant" if link else "grant",
        "signature": "valid" if signer else "not checked",
        "grant": claims,
        "delegation": link,
        "in_words": describe_scope(chain.scope),
    }
    holder = chain.holder.kid if chain.holder else f"the group {claims.group}" if claims.group else "everyone"
    rows = [("signature", _signature(signer)), ("id", claims.jti), ("of double", claims.sub), ("owner", claims.iss)]
    if link:
        rows += [("narrowed by", link.iss), ("narrowed as", link.jti)]
    rows += [("held by", holder), ("opens at", f"host {claims.aud}")]
    rows += [("allows", line) for line in describe_scope(chain.scope)]
    rows += [("from", _moment(chain.nbf)), ("until", _moment(chain.exp))]
    rows.append(("passed on", "once, narrowed" if claims.delegable and not link else "not"))
    rows.append(("revocation", f"entry {claims.status.status_list.idx} of the owner's status list"))
    rows += [("published at", claims.status_at)] if claims.status_at else []
    return value, [f"{file}: a grant{', delegated' if link else ''}", *terminal.table(rows)]


def _status_list(file: Path, text: str, signer: PublicKeys | None) -> Shown:
    from cameo.grants import status

    owner = _required(file, signer, "a status list")
    found = status.read_status(text, owner)
    value = {
        "file": str(file),
        "kind": "status list",
        "signature": "valid",
        "uri": found.uri,
        "seq": found.seq,
        "issued": _at(found.iat),
        "entries": found.size,
        "revoked": found.revoked,
    }
    rows = [("signature", _signature(owner)), ("seq", str(found.seq)), ("signed", _moment(found.iat))]
    rows += [("entries", str(found.size)), ("revoked", str(found.revoked))]
    return value, [f"{file}: a status list", *terminal.table(rows)]


def _revocation(file: Path, text: str, signer: PublicKeys | None) -> Shown:
    from cameo.grants import status

    owner = _required(file, signer, "a revocation")
    found = status.read_revocation(text, owner)
    value = {"file": str(file), "kind": "revocation", "signature": "valid", "revocation": found}
    what = f"grant {found.grant}" if found.grant else "every grant: the consent was withdrawn"
    rows = [("signature", _signature(owner)), ("takes back", what), ("of double", found.bundle_id)]
    rows += [("since", _moment(found.iat)), ("status list", f"from seq {found.seq} on")]
    rows += [("reason", found.reason)] if found.reason else []
    return value, [f"{file}: a revocation", *terminal.table(rows)]


def _group(file: Path, text: str, signer: PublicKeys | None) -> Shown:
    from cameo.grants import group

    owner = _required(file, signer, "a group")
    found = group.read_group(text, owner)
    members = [member.fingerprint for member in found.members]
    value = {
        "file": str(file),
        "kind": "group",
        "signature": "valid",
        "id": found.sub,
        "name": found.name,
        "seq": found.seq,
        "members": members,
    }
    rows = [("signature", _signature(owner)), ("id", found.sub), ("seq", str(found.seq))]
    rows += [("members", member) for member in members] or [("members", "nobody")]
    return value, [f"{file}: the group {found.name}", *terminal.table(rows)]


def _receipts(file: Path, signer: PublicKeys | None) -> Shown:
    from cameo.auditing import audit
    from cameo.cli.audit import audit_lines

    found = audit(export=file, host=_required(file, signer, "a list of receipts", "studio.pub"))
    value = {"file": str(file), "kind": "receipts", "signature": "valid", "hosts": found}
    return value, [line for audited in found for line in audit_lines(audited)]


def _deletion(file: Path, signer: PublicKeys | None) -> Shown:
    from cameo.custody import DELETION_LIMIT, read_deletion

    owner = _required(file, signer, "a deletion receipt")
    with file.open("rb") as opened:
        found = read_deletion(opened.read(DELETION_LIMIT + 1), owner)
    value = {"file": str(file), "kind": "deletion receipt", "signature": "valid", "deletion": found}
    rows = [("signature", _signature(owner)), ("double", found.bundle_id), ("erased", terminal.moment(found.at))]
    rows += [("destroyed", f"{item.kind:<6}  {item.name}") for item in found.files]
    rows += [("revoked", f"grant {grant}") for grant in found.revoked]
    return value, [f"{file}: a deletion receipt", *terminal.table(rows)]


def _required(file: Path, signer: PublicKeys | None, what: str, example: str = "ada.pub") -> PublicKeys:
    if signer is None:
        raise UsageError(f"{file} is {what} and says nothing without its signer's key", f"give it: --owner {example}")
    return signer


def _text(file: Path, limit: int) -> str:
    with file.open("rb") as opened:
        raw = opened.read(limit + 2)
    try:
        return raw.removesuffix(b"\n").decode("ascii")
    except ValueError:
        raise NotVerified(
            f"{file} is no signed token", "it was changed or is damaged: get it again", "malformed"
        ) from None


def _signature(signer: PublicKeys | None) -> str:
    return f"valid, by {signer.fingerprint}" if signer else _NOT_CHECKED


def _at(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _moment(seconds: int) -> str:
    return terminal.moment(_at(seconds))
