"""Hold the pages about lending against the code: codes, claims, limits, the reader, what verbs print."""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag

import cameo
from cameo import errors
from cameo.cli import main
from cameo.crypto.keys import Keys
from cameo.errors import CameoError
from cameo.grants.guard import PromptRefused
from tests.docs.markdown import ROOT, blocks, codes, rows, section
from tests.docs.test_pages import json_members
from tests.lendable import Lendable, a_use

REFERENCE = ROOT / "docs" / "reference"
PASSPHRASE = "a passphrase for tests"


# Codes.


def _families() -> dict[str, type[CameoError]]:
    return {
        name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, CameoError)
    }


def _texts(tree: ast.AST, name: str) -> Iterator[ast.expr]:
    """Find what a variable or parameter of this name is given in a module."""
    nodes = list(ast.walk(tree))
    functions = {node.name: node.args for node in nodes if isinstance(node, ast.FunctionDef)}
    yield from (node.value for node in nodes if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name)
    yield from (node.value for node in nodes if isinstance(node, ast.keyword) and node.arg == name)
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
            names = [argument.arg for argument in functions[node.func.id].args]
            yield from (value for argument, value in zip(names, node.args, strict=False) if argument == name)
    for arguments in functions.values():
        defaulted = arguments.args[len(arguments.args) - len(arguments.defaults) :]
        yield from (to for argument, to in zip(defaulted, arguments.defaults, strict=True) if argument.arg == name)


def _codes_in(path: Path) -> set[tuple[str, int]]:
    """Find every code that a module raises, and with which exit status."""
    tree, families = ast.parse(path.read_text("utf-8")), _families()
    found = set()
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in families):
            continue
        kind = families[node.func.id]
        given = node.args[2:3] + [word.value for word in node.keywords if word.arg == "code"]
        if kind is cameo.CaptureRejected or not given:
            found.add((kind.code, kind.exit_code))
            continue
        (code,) = given
        for text in _texts(tree, code.id) if isinstance(code, ast.Name) else [code]:
            if isinstance(text, ast.Constant) and text.value:
                found.add((str(text.value), kind.exit_code))
    return found


def _told() -> dict[str, int]:
    page, told = REFERENCE / "error-codes.md", dict[str, int]()
    for status in (3, 4):
        lines = page.read_text("utf-8").splitlines()
        (heading,) = [line for line in lines if line.startswith(f"## Exit status {status}")]
        told |= {codes(row[0])[0]: status for row in rows(section(page, heading))}
    return told | {codes(row[0])[0]: int(row[1]) for row in rows(section(page, "## Other exit statuses"))}


def test_error_codes_are_those_that_are_raised() -> None:
    raised = {pair for path in (ROOT / "cameo").rglob("*.py") for pair in _codes_in(path)}
    raised |= {(kind.code, kind.exit_code) for kind in _families().values()}
    raised.add((PromptRefused.code, PromptRefused.exit_code))
    told = set(_told().items())
    assert raised - told == set(), "not in error-codes.md"
    assert told - raised == set(), "nothing raises it"


@pytest.mark.parametrize("page", ["reference/grant-format.md", "explanation/threat-model.md"])
def test_pages_name_codes_that_there_are(page: str) -> None:
    tables = rows((ROOT / "docs" / page).read_text("utf-8"))
    known = set(_told())
    named = {word for row in tables for word in codes(row[-1]) if "_" in word or word in known}
    assert named
    for word in named:
        if page.endswith("threat-model.md"):
            assert word in known or word.startswith(("CAMEO_", "status_at")), word
    if page.endswith("grant-format.md"):
        order = rows(section(ROOT / "docs" / page, "## What a host checks, in order"))
        assert {word for row in order for word in codes(row[2])} <= known


# The grant format.


def _fields(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


def test_members_of_the_grant_format() -> None:
    from cameo.grants.grant import DelegationClaims, GrantClaims
    from cameo.grants.proof import ProofClaims
    from cameo.grants.scope import Scope

    page = REFERENCE / "grant-format.md"
    told = {
        heading: {name for row in rows(section(page, heading)) for name in codes(row[0])}
        for heading in ("## The grant", "### Scope", "## The delegation", "## The proof")
    }
    assert told["### Scope"] == _fields(Scope)
    assert told["## The grant"] == _fields(GrantClaims) | _fields(Scope)  # its subsection is within
    assert told["## The delegation"] == _fields(DelegationClaims)
    assert told["## The proof"] == _fields(ProofClaims)


def test_limits_of_the_grant_format() -> None:
    from cameo.crypto import jws
    from cameo.grants import grant, proof
    from cameo.grants.ledger import NONCE_LIFE_S

    page = REFERENCE / "grant-format.md"
    text = page.read_text("utf-8")
    told = {codes(row[1])[0]: int(row[3]) for row in rows(section(page, "## The token around each"))}
    assert told == {grant.GRANT: jws.TOKEN_LIMIT, grant.DELEGATION: jws.TOKEN_LIMIT, proof.PROOF: proof._LIMIT}
    assert f"At most {grant.FILE_LIMIT} bytes" in text
    assert f"at most {grant.LIFE_LIMIT_S} (ten years)" in text
    assert f"at most {proof.LIFE_S + proof.SKEW_S} s before the host's time, at most {proof.SKEW_S} s after it" in text
    assert f"good once, for {NONCE_LIFE_S:.0f} s" in text


def test_the_example_of_a_use_is_what_is_signed() -> None:
    from cameo.grants.proof import write_use

    (block,) = [block for block in blocks(REFERENCE / "grant-format.md") if block.language == "json"]
    use = msgspec.json.decode(block.code, type=cameo.Use)
    assert write_use(use).decode() == block.code.strip()


@pytest.fixture(scope="module")
def reader() -> dict[str, Any]:
    """What the page's own reader defines, with that of the bundle page."""
    names: dict[str, Any] = {"__name__": "docs"}
    for page in ("bundle-format.md", "grant-format.md"):
        (block,) = [block for block in blocks(REFERENCE / page) if block.runs]
        exec(compile(block.code, page, "exec"), names)
    return names


def test_the_reader_of_the_grant_page_opens_what_was_granted(lending: Lendable, reader: dict[str, Any]) -> None:
    lending.grant(modalities=("face",), max_uses=4, delegable=True)
    lending.delegate(max_uses=1)
    ada, host = lending.people.ada.public, lending.people.studio
    text = (lending.folder / "tool.grant").read_text("ascii")
    grant, delegation = reader["read_grant"](text, ada.sign_bytes, ada.decrypt_bytes)
    assert (grant["scope"]["max_uses"], delegation["scope"]["max_uses"]) == (4, 1)

    keys = reader["content_keys"](grant, host._decrypt)
    assert list(keys) == ["face"]
    verified = cameo.Bundle.open(lending.double).verify(ada)
    owners = cameo.unlock_as_owner(verified, lending.people.ada)
    found = {
        part.name: reader["open_part"](
            verified.stored(f"parts/{part.name}"), keys["face"], lending.bundle_id, part.name
        )
        for part in verified.manifest.parts
        if part.modality == "face"
    }
    assert found
    assert found == {name: verified.read_part(name, owners) for name in found}
    with pytest.raises(InvalidTag):
        reader["content_keys"](grant, lending.people.eve._decrypt)


def test_the_reader_of_the_grant_page_verifies(lending: Lendable, reader: dict[str, Any]) -> None:
    lending.grant(delegable=True)
    lending.delegate(max_uses=1)
    ada, eve = lending.people.ada.public, lending.people.eve.public
    text = (lending.folder / "tool.grant").read_text("ascii")
    with pytest.raises((InvalidSignature, AssertionError)):
        reader["read_grant"](text, eve.sign_bytes, eve.decrypt_bytes)
    other = lending.grant("comedy", out="other.grant").path
    spliced = Path(other).read_text("ascii").strip() + "~" + text.split("~")[1]
    with pytest.raises(AssertionError):
        reader["read_grant"](spliced, ada.sign_bytes, ada.decrypt_bytes)


def test_the_reader_of_the_grant_page_checks_a_proof(lending: Lendable, reader: dict[str, Any]) -> None:
    from cameo.grants.proof import write_use

    lending.grant()
    people, path = lending.people, lending.folder / "bob.grant"
    nonce, host = cameo.draw_nonce(people.studio), people.studio.public.fingerprint
    proof = cameo.prove(path, a_use(prompt="a cake, a »wish«"), people.bob, host, nonce, time.time())
    text, public = path.read_text("ascii"), people.ada.public
    grant, _ = reader["read_grant"](text, public.sign_bytes, public.decrypt_bytes)
    use = json.loads(write_use(a_use(prompt="a cake, a »wish«")))
    assert reader["read_proof"](proof, text, grant["cnf"], use, host) == nonce
    with pytest.raises(AssertionError):
        reader["read_proof"](proof, text, grant["cnf"], {**use, "seed": 1}, host)


# What verbs print.


@pytest.fixture
def files(lending: Lendable, monkeypatch: pytest.MonkeyPatch) -> Lendable:
    """The double with everybody's key files beside it, in the working folder."""
    monkeypatch.setenv("CAMEO_PASSPHRASE", PASSPHRASE)
    monkeypatch.chdir(lending.folder)
    for name in ("ada", "bob", "tool", "studio"):
        getattr(lending.people, name).save(f"{name}.key", PASSPHRASE)
    return lending


def test_json_of_the_lending_verbs(files: Lendable, capsys: pytest.CaptureFixture[str]) -> None:
    Keys.generate().save("ada2.key", PASSPHRASE)
    Path("consent.toml").write_text('[[purposes]]\nid = "birthday"\n', "utf-8")
    owner, grant = ["--key", "ada.key"], ["--host", "studio.pub", "--purpose", "birthday"]
    calls = {
        "grant": ["ada.cameo", *owner, "--to", "bob.pub", *grant, "--delegable", "--out", "bob.grant"],
        "delegate": ["bob.grant", "--key", "bob.key", "--to", "tool.pub", "--out", "tool.grant"],
        "group": ["band.group", *owner, "--add", "bob.pub"],
        "status publish": [*owner, "--out", "site/"],
        "status fetch": ["site", "--owner", "ada.pub", "--host", "studio.key"],
        "revoke": ["bob.grant", *owner, "--out", "taken.jwt"],
        "audit": [],
        "consent": ["ada.cameo", *owner, "--consent", "consent.toml", "--yes"],
        "rekey": ["ada.cameo", *owner, "--new", "ada2.key"],
        "erase": ["ada.cameo", "--key", "ada2.key", "--yes"],
    }
    for call, words in calls.items():
        assert main([*call.split(), *words, "--json"]) == 0, capsys.readouterr().err
        assert set(json.loads(capsys.readouterr().out)) == json_members(call), call
    _check_inspect(capsys, ["tool.grant", "--owner", "ada.pub"], "delegated grant")
    _check_inspect(capsys, ["band.group", "--owner", "ada.pub"], "group")
    _check_inspect(capsys, ["site/status", "--owner", "ada.pub"], "status list")
    _check_inspect(capsys, ["taken.jwt", "--owner", "ada.pub"], "revocation")
    _check_inspect(capsys, ["ada.erased.json", "--owner", "ada2.pub"], "deletion receipt")
    _check_inspect(capsys, ["ada.pub"], "public key")
    _check_inspect(capsys, ["ada.key"], "key file")


def _check_inspect(capsys: pytest.CaptureFixture[str], words: list[str], kind: str) -> None:
    table = rows(section(REFERENCE / "cli.md", "## `cameo inspect`"))
    (row,) = [row for row in table if kind in codes(row[0])]
    told = {"file", "kind", *codes(row[3].partition(";")[0])} | (set() if "no `signature`" in row[3] else {"signature"})
    assert main(["inspect", *words, "--json"]) == 0, capsys.readouterr().err
    value = json.loads(capsys.readouterr().out)
    assert value["kind"] == kind
    assert set(value) == told - {"cameo audit"}


def test_json_of_serve(files: Lendable, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cameo.grants.publish.ThreadingHTTPServer.serve_forever", lambda *_a, **_k: None)
    assert main(["status", "serve", "--key", "ada.key", "--port", "0", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["owner"] == files.people.ada.public.fingerprint
    assert set(value) == json_members("status serve")
