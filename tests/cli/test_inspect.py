"""`cameo inspect`: every kind of file, with the key of who signed it and without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cameo.crypto.jws import sign_token
from cameo.grants.proof import PROOF, ProofClaims
from cameo.publishing import keep_group
from cameo.recalling import revoke, withdraw
from tests.lendable import Lendable

from .conftest import Cli
from .test_lend import fails

KINDS = {
    "ada.cameo": ("double", "ada.pub"),
    "ada.pub": ("public key", None),
    "ada.key": ("key file", None),
    "bob.grant": ("grant", "ada.pub"),
    "tool.grant": ("delegated grant", "ada.pub"),
    "friends.group": ("group", "ada.pub"),
    "status": ("status list", "ada.pub"),
    "letter.jwt": ("revocation", "ada.pub"),
    "all.jwt": ("revocation", "ada.pub"),
    "receipts.jsonl": ("receipts", "studio.pub"),
    "ada.erased.json": ("deletion receipt", "ada.pub"),
}
SHOWN_ALONE = {"double", "public key", "key file", "grant", "delegated grant"}


@pytest.fixture
def files(cli: Cli, desk: Lendable) -> Lendable:
    """One file of every kind."""
    ada = desk.people.ada
    desk.grant(delegable=True, max_uses=4)
    desk.delegate(max_uses=1)
    desk.open()
    other = desk.grant("comedy", out="comedy.grant", status_at="https://ada.example/")
    keep_group(desk.folder / "friends.group", keys=ada, add=[desk.people.bob.public])
    Path("letter.jwt").write_text(revoke(other.id, keys=ada, reason="a quarrel").statements[0] + "\n")
    kept = {name: Path(name).read_bytes() for name in ("ada.cameo", "bob.grant", "comedy.grant")}
    Path("all.jwt").write_text(withdraw(desk.double, keys=ada).statements[0])
    cli("status", "publish", "--key", "ada.key", "-o", "status")
    cli("audit", "--host", "studio.pub", "-o", "receipts.jsonl")
    cli("erase", "ada.cameo", "--yes")
    for name, raw in kept.items():
        Path(name).write_bytes(raw)
    return desk


def told(cli: Cli, *words: object) -> dict[str, Any]:
    done = cli("inspect", *words, "--json")
    assert (done.status, done.err) == (0, ""), done.err
    value: dict[str, Any] = json.loads(done.out)
    return value


def test_every_kind(cli: Cli, files: Lendable) -> None:
    for name, (kind, signer) in KINDS.items():
        checked = ["--owner", signer] if signer else []
        lines = cli("inspect", name, *checked)
        assert (lines.status, lines.err) == (0, ""), name
        for marks in ("Claims(", "Struct", "None", "=", "{"):
            assert marks not in lines.out, (name, lines.out)
        if kind != "double":
            assert all(len(line) < 130 for line in lines.out.splitlines()), name
        value = told(cli, name, *checked)
        assert (value["file"], value["kind"]) == (name, kind)
        assert value.get("signature") == ("valid" if signer else None), name
        alone = cli("inspect", name)
        if kind in SHOWN_ALONE:
            assert alone.status == 0
            assert ("not checked: what follows is only what the file says" in alone.out) == bool(signer), name
            assert told(cli, name).get("signature") == ("not checked" if signer else None)
        else:
            fails(alone, 2, "says nothing without its signer's key", f"--owner {signer}")


def test_a_strangers_key(cli: Cli, files: Lendable) -> None:
    for name, (_, signer) in KINDS.items():
        if signer:
            for words in ([], ["--json"]):
                fails(cli("inspect", name, "--owner", "eve.pub", *words), 3)


def test_changed_files(cli: Cli, files: Lendable) -> None:
    """One bit, at the beginning, in the middle and near the end; and one byte more or less."""
    for name, (_, signer) in KINDS.items():
        raw = Path(name).read_bytes()
        if not signer:
            continue
        for changed in (
            *(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in (0, len(raw) // 2, len(raw) - 6)),
            raw[:-4],
            raw + b"\0",
            raw + raw,
        ):
            Path("changed").write_bytes(changed)
            done = cli("inspect", "changed", "--owner", signer)
            assert (done.status, done.out) == (3, ""), (name, done)
            assert len(done.err.splitlines()) == 2


def test_a_grant(cli: Cli, files: Lendable) -> None:
    people = files.people
    shown = cli("inspect", "bob.grant", "--owner", "ada.pub").out
    for words in (
        "bob.grant: a grant\n",
        f"  signature   valid, by {people.ada.public.fingerprint}",
        f"  held by     {people.bob.public.fingerprint}",
        f"  opens at    host {people.studio.public.fingerprint}",
        "at most: 4 uses",
        "  passed on   once, narrowed",
        "of the owner's status list",
    ):
        assert words in shown
    passed_on = cli("inspect", "tool.grant", "--owner", "ada.pub").out
    for words in (
        "tool.grant: a grant, delegated\n",
        f"  narrowed by  {people.bob.public.fingerprint}",
        f"  held by      {people.tool.public.fingerprint}",
        "at most: 1 use\n",
        "  passed on    not",
    ):
        assert words in passed_on
    assert "  published at  https://ada.example/" in cli("inspect", "comedy.grant").out
    value = told(cli, "tool.grant")
    assert value["grant"]["scope"]["max_uses"] == 4
    assert value["delegation"]["scope"]["max_uses"] == 1
    assert "at most: 1 use" in value["in_words"]
    assert told(cli, "bob.grant")["delegation"] is None


def test_the_others(cli: Cli, files: Lendable) -> None:
    shown = cli("inspect", "letter.jwt", "--owner", "ada.pub").out
    assert "takes back   grant " in shown and "reason       a quarrel" in shown
    assert "every grant: the consent was withdrawn" in cli("inspect", "all.jwt", "--owner", "ada.pub").out
    listed = told(cli, "status", "--owner", "ada.pub")
    assert (listed["revoked"], listed["seq"], listed["entries"]) == (2, 3, 131_072)
    group = told(cli, "friends.group", "--owner", "ada.pub")
    assert group["members"] == [files.people.bob.public.fingerprint]
    receipts = told(cli, "receipts.jsonl", "--owner", "studio.pub")
    assert [receipt["decision"] for receipt in receipts["hosts"][0]["receipts"]] == ["allow", "released"]
    deletion = told(cli, "ada.erased.json", "--owner", "ada.pub")
    assert deletion["deletion"]["bundle_id"] == files.bundle_id
    assert told(cli, "ada.pub")["fingerprint"] == told(cli, "ada.key")["fingerprint"]


def test_groups_and_everyone(cli: Cli, files: Lendable) -> None:
    from cameo.grants.grant import GRANT
    from tests.grants.chain import ADA, grant_claims

    Path("other.pub").write_bytes(ADA.public.to_bytes())
    for changes, words in (
        ({"group": "cc" * 16}, f"held by     the group {'cc' * 16}"),
        ({"everyone": True}, "held by     everyone"),
    ):
        claims = grant_claims(cnf=None, delegable=False, **changes)
        Path("x.grant").write_text(sign_token(GRANT, claims, ADA))
        assert words in cli("inspect", "x.grant", "--owner", "other.pub").out


def test_what_is_no_file_of_ours(cli: Cli, files: Lendable) -> None:
    proof = ProofClaims(1, "ab" * 32, "n" * 22, "a", "a")
    for raw, exit_status, said in (
        (b"", 3, "is no file of cameo's"),
        (b"\x89PNG", 3, "is no file of cameo's"),
        (b"{}", 3, "is no file of cameo's"),
        (b"eyJ\xff", 3, "is no signed token"),
        (b"eyJhIjoxfQ.e30.", 3, ""),
        (sign_token(PROOF, proof, files.people.ada).encode(), 3, "another kind"),
        (b"eyJ" + b"a" * 9_000_000, 3, ""),
        (b'{"cameo_pub":1}', 3, ""),
        (b'{"header":{"cameo_key":1}}', 3, ""),
        (b'{"payloadType":"application/vnd.cameo.deletion.v1+json"' + b" " * 9_000_000, 3, ""),
    ):
        Path("x").write_bytes(raw)
        fails(cli("inspect", "x", "--owner", "ada.pub"), exit_status, said)
    fails(cli("inspect", "none"), 2, "cannot read none")
    fails(cli("inspect", "."), 2, "cannot read")
    fails(cli("inspect", "bob.grant", "--owner", "none.pub"), 2, "none.pub")
