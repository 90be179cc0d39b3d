"""Attacks on the one door that lets a LoRA out unsealed: every one leaves a refusal on record, and no file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import cameo
from cameo.crypto.jws import sign_token
from cameo.crypto.keys import Keys
from cameo.errors import CameoError, NotPermitted, NotVerified
from cameo.exporting import ExportOptions
from cameo.grants.grant import GRANT, unverified_chain
from cameo.seal.bundle import Part, seal_bundle
from tests.attacks.conftest import ADA, BOB, EVE, STUDIO, TERMS, TOOL, Lab, agreement
from tests.attacks.seeking import files_that_hold
from tests.attacks.test_delegation import forged
from tests.exportable import parts_for, tiny
from tests.seal.conftest import ENCODER

CONSENT = TERMS.replace('id = "birthday"', 'id = "birthday"\nactions = ["generate", "export"]')
WAN = ExportOptions("wan", purpose="birthday")


@pytest.fixture
def lab(lab: Lab) -> Lab:
    """Seal a double that was tuned for a tiny Wan; "birthday" may be exported, "comedy" may not."""
    parts = [Part(n, n.rpartition(".")[2], d, "wan", tiny("wan").base_digest) for n, d in parts_for("wan").items()]
    seal_bundle(
        lab.double, ADA, agreement(CONSENT.replace("delegable", 'generators = ["wan"]\ndelegable')), parts, [ENCODER]
    )
    lab.plain = {part.name: part.data for part in parts}
    return lab


def export(lab: Lab, options: ExportOptions = WAN, **right: Any) -> Path:
    out = lab.file("safetensors")
    cameo.export(lab.double, out=out, options=options, **right)
    return out


def refused(
    lab: Lab, code: str, error: type[CameoError], host: Keys = STUDIO, options: ExportOptions = WAN, **right: Any
) -> None:
    """Demand a refusal that is on record as one of an export, and that nothing is left of what would have left."""
    before, there = lab.receipts(host), sorted(lab.folder.iterdir())
    with pytest.raises(error) as caught:
        export(lab, options, **right)
    assert caught.value.code == code
    assert [(r.decision, r.code, r.action) for r in lab.receipts(host)[len(before) :]] == [("deny", code, "export")]
    assert [path for path in lab.folder.iterdir() if path not in there and path.name != "home"] == []
    secrets = [data[-32:] for data in lab.plain.values()]
    assert not files_that_hold(lab.folder, secrets)


def test_what_was_allowed_leaves(lab: Lab) -> None:
    """So that what is refused below is refused for what it changes; and the search would find it."""
    out = export(lab, borrowed=lab.by(lab.grant(actions=("export",))))
    assert files_that_hold(lab.folder, [lab.plain["adapter.wan.face"][-32:]]) == [out.name]


def test_grant_without_it(lab: Lab) -> None:
    refused(lab, "out_of_scope", NotPermitted, borrowed=lab.by(lab.grant()))


def test_grant_for_another_purpose(lab: Lab) -> None:
    grant = lab.grant(purposes=("comedy",))
    refused(lab, "out_of_scope", NotPermitted, options=ExportOptions("wan", purpose="comedy"), borrowed=lab.by(grant))
    refused(lab, "wrong_purpose", NotPermitted, borrowed=lab.by(grant))


def test_delegation_that_adds_it(lab: Lab) -> None:
    """Signed by the friend's own key, past the checks of `cameo delegate`."""
    grant = lab.grant(max_seconds=None)
    for actions in (("export",), ("export", "generate")):
        path = forged(lab, grant, scope={"actions": actions})
        refused(lab, "widened", NotPermitted, borrowed=lab.by(path, TOOL))
    with pytest.raises(NotPermitted) as caught:
        lab.delegate(grant, actions=("export",))
    assert caught.value.code == "widened"


def test_delegation_that_took_it_away(lab: Lab) -> None:
    grant = lab.grant(actions=("export", "generate"))
    narrowed = lab.delegate(grant, actions=("generate",))
    refused(lab, "out_of_scope", NotPermitted, borrowed=lab.by(narrowed, TOOL))
    assert export(lab, borrowed=lab.by(lab.delegate(grant), TOOL)).exists()


def test_grant_that_exceeds_the_consent(lab: Lab) -> None:
    """Signed by the owner's own key, past the checks of `cameo grant`: the host holds it to the consent."""
    token = lab.token(lab.grant(purposes=("comedy",)))
    claims = unverified_chain((token,)).grant
    scope = msgspec.structs.replace(claims.scope, actions=("export",))
    path = lab.token_file(sign_token(GRANT, msgspec.structs.replace(claims, scope=scope), ADA))
    options = ExportOptions("wan", purpose="comedy")
    refused(lab, "consent_exceeded", NotPermitted, options=options, borrowed=lab.by(path))


def test_revoked_grant(lab: Lab) -> None:
    grant = lab.grant(actions=("export",))
    cameo.revoke(grant, keys=ADA)
    refused(lab, "revoked", NotPermitted, borrowed=lab.by(grant))


def test_withdrawn_consent(lab: Lab) -> None:
    grant = lab.grant(actions=("export",))
    kept = lab.file("cameo", lab.double.read_bytes())
    cameo.withdraw(lab.double, keys=ADA)
    lab.double.write_bytes(kept.read_bytes())
    kept.unlink()
    refused(lab, "withdrawn", NotPermitted, borrowed=lab.by(grant))
    refused(lab, "withdrawn", NotPermitted, ADA, keys=ADA)


@pytest.mark.parametrize(("holder", "code"), [(EVE, "wrong_holder"), (STUDIO, "wrong_holder")])
def test_somebody_elses_grant(lab: Lab, holder: Keys, code: str) -> None:
    refused(lab, code, NotPermitted, borrowed=lab.by(lab.grant(actions=("export",)), holder))


def test_another_host(lab: Lab) -> None:
    grant = lab.grant(actions=("export",))
    refused(lab, "wrong_host", NotPermitted, EVE, borrowed=lab.by(grant, BOB, host=EVE))


def test_another_owners_keys(lab: Lab) -> None:
    refused(lab, "bad_signature", NotVerified, EVE, keys=EVE)


def test_proof_of_a_clip_does_not_export(lab: Lab) -> None:
    """The holder signed for a clip; whoever brings that proof gets no file with it."""
    from tests.attacks.conftest import USE

    grant = lab.grant(actions=("export", "generate"))
    nonce = cameo.draw_nonce(STUDIO)
    proof = cameo.prove(grant, USE, BOB, STUDIO.public.fingerprint, nonce, lab.clock())
    refused(lab, "request_changed", NotPermitted, borrowed=lab.by(grant, None, proof=proof))


def test_a_changed_header_changes_nothing(lab: Lab) -> None:
    """What the file says of itself opens no door: it is read by people, and no verb of cameo's takes it."""
    out = export(lab, keys=ADA)
    data = out.read_bytes().replace(b'"owner"', b'"nobod"')
    assert data != out.read_bytes()
    with pytest.raises(NotVerified):
        cameo.Bundle.open(lab.file("cameo", data))
    for path in (out, *lab.folder.glob("2.*")):
        path.unlink()
    refused(lab, "out_of_scope", NotPermitted, borrowed=lab.by(lab.grant()))
