"""No public API and no file left on disk opens a double without owner key or grant."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import cameo
from cameo.auditing import export_receipts
from cameo.crypto.box import _wrap_info, unwrap_key
from cameo.crypto.keys import Keys
from cameo.errors import CameoError, NotPermitted, NotVerified
from cameo.grants.grant import unverified_chain
from cameo.publishing import published
from cameo.registry.store import Double, Registry
from cameo.seal.bundle import Bundle, Part, VerifiedBundle, seal_bundle
from cameo.seal.unlock import ContentKeys, _host_context, modality_key, unlock_as_owner, wrap_context
from cameo.unlocking import unlock
from tests.attacks.conftest import ADA, BOB, EVE, STUDIO, TOOL, USE, Lab, agreement
from tests.attacks.seeking import files_that_hold, holds, reachable, unwrapped
from tests.generators.tiny_pipelines import tiny_wan
from tests.seal.conftest import ENCODER, some_parts, tensor_bytes

PEOPLE = {"ada": ADA, "bob": BOB, "tool": TOOL, "studio": STUDIO, "eve": EVE}


@dataclass
class Secrets:
    """Hold what nobody may find: pieces of every part, and every key."""

    parts: list[bytes]
    keys: list[bytes]

    @property
    def all(self) -> list[bytes]:
        return self.parts + self.keys


@pytest.fixture
def secrets(lab: Lab) -> Secrets:
    """Seal the double anew, with parts long enough to be known again, and enrol it."""
    draw = random.Random(3)
    parts = []
    for part in some_parts():
        data = tensor_bytes(*(draw.uniform(-1, 1) for _ in range(96)))
        parts.append(Part(part.name, part.modality, data, part.generator, part.base_digest))
    lab.double.unlink()
    manifest = seal_bundle(lab.double, ADA, agreement(), parts, [ENCODER])
    bundle = Bundle.open(lab.double)
    with closing(Registry()) as registry:
        registry.register(
            Double(manifest.bundle_id, manifest.owner, lab.double, bundle.sha256, manifest.created, ("tiny",), "none")
        )
    wrapped = bundle.verify(ADA.public).wrapped_key("owner")
    root = unwrap_key(wrapped, ADA, *wrap_context("owner", manifest.bundle_id))
    keys = [root, *(modality_key(root, manifest.bundle_id, modality) for modality in ("face", "voice"))]
    lab.plain = {part.name: part.data for part in parts}
    return Secrets([piece for part in parts for piece in (part.data[-384:-352], part.data[-32:])], keys)


def infos(lab: Lab, *grants: Path) -> list[bytes]:
    """Every context in which a key of this double was wrapped."""
    bundle_id = Bundle.open(lab.double).claims.bundle_id
    found = [_wrap_info(wrap_context("owner", bundle_id))]
    for grant in grants:
        jti = unverified_chain((lab.token(grant),)).grant.jti
        found += [_wrap_info(_host_context(bundle_id, jti, modality)) for modality in ("face", "voice")]
    return found


# Every public name.


@dataclass
class Loot:
    """Hold what the thief has: the double, a grant for Bob at the studio, all public keys, and one person's keys."""

    lab: Lab
    grant: Path
    keys: Keys
    verified: VerifiedBundle
    out: Path


def _with(loot: Loot, holder: Keys | None, host: Keys, owner: Keys = ADA) -> Any:
    return cameo.Borrowed(loot.grant, host, owner.public, holder)


def _open(loot: Loot, **by: Any) -> dict[str, bytes]:
    with cameo.unlock(loot.lab.double, USE, **by) as opened:
        return dict(opened.parts)


def _plug(loot: Loot) -> Any:
    with cameo.plug(tiny_wan(), loot.lab.double, keys=loot.keys) as stage:
        return stage.generate()


def _terms() -> Any:
    return cameo.GrantTerms(("birthday",), modalities=("face",))


# Name -> what a thief would try with it. True: it must refuse. False: it may answer, with nothing in it.
TRIED: dict[str, tuple[bool, Callable[[Loot], Any]]] = {
    "unlock": (True, lambda x: _open(x, keys=x.keys)),
    "plug": (True, _plug),
    "film": (True, lambda x: cameo.film([cameo.CastMember(x.lab.double, x.keys)], out=x.out.with_suffix(".mp4"))),
    "probe_leakage": (True, lambda x: cameo.probe_leakage(x.lab.double, keys=x.keys)),
    "draw_nonce": (False, lambda x: cameo.draw_nonce(x.keys)),
    "prove": (False, lambda x: cameo.prove(x.grant, USE, x.keys, STUDIO.public.fingerprint, "A" * 22, x.lab.clock())),
    "grant": (
        True,
        lambda x: cameo.grant(
            x.lab.double, keys=x.keys, to=x.keys.public, host=x.keys.public, terms=_terms(), out=x.out
        ),
    ),
    "keep_group": (False, lambda x: cameo.keep_group(x.lab.file("group"), keys=x.keys, add=[EVE.public])),
    "revoke": (True, lambda x: cameo.revoke(x.grant, keys=x.keys)),
    "withdraw": (True, lambda x: cameo.withdraw(x.lab.double, keys=x.keys)),
    "audit": (False, lambda x: cameo.audit()),
    "amend": (
        True,
        lambda x: cameo.amend(x.lab.double, keys=x.keys, terms=cameo.ConsentTerms((cameo.Purpose("birthday"),))),
    ),
    "erase": (True, lambda x: cameo.erase(x.lab.double, keys=x.keys)),
    "rekey": (True, lambda x: cameo.rekey(x.lab.double, keys=x.keys, new=Keys.generate())),
    "Bundle": (False, lambda x: [b := cameo.Bundle.open(x.lab.double), b.consent_claims(), b.event_claims()]),
    "VerifiedBundle": (False, lambda x: [x.verified, x.verified.wrapped_key("owner"), repr(x.verified)]),
    "ContentKeys": (True, lambda x: ContentKeys(x.verified.manifest, {"face": bytes(32)})),
    "unlock_as_owner": (True, lambda x: cameo.unlock_as_owner(x.verified, x.keys)),
    "score_fidelity": (True, lambda x: cameo.score_fidelity(x.lab.double, x.lab.folder)),
    "load_terms": (True, lambda x: cameo.load_terms(x.lab.double)),
    "Keys": (True, lambda x: cameo.Keys.load(x.lab.double, "")),
    "PublicKeys": (True, lambda x: cameo.PublicKeys.load(x.lab.double)),
}
# These hold what they are given, and open nothing.
VALUES = {"Borrowed", "ConsentTerms", "GrantTerms", "Narrowing", "Purpose", "Use"}
HEAVY_VALUES = {
    "AdaptOptions", "CastMember", "CastOptions", "EnrollOptions", "ExportOptions", "FidelityOptions", "FilmOptions",
    "LeakageOptions", "Region", "Shot",
}  # fmt: skip
PROTOCOLS = {"KeyProvider", "PromptClassifier"}
# In `test_casting.py`, `test_exporting.py` and `test_captures.py` of this folder; whoever holds a grant may pass it on,
# see the test below.
ELSEWHERE = {"add_generator", "cast", "enroll", "export", "delegate", "__version__"}


def test_every_public_name_is_tried() -> None:
    errors = {name for name in cameo.__all__ if name[0].isupper() and name in dir(cameo.errors)}
    assert set(cameo.__all__) == {*TRIED, *VALUES, *HEAVY_VALUES, *PROTOCOLS, *ELSEWHERE, *errors}
    assert all(issubclass(getattr(cameo, name), CameoError) for name in errors)
    assert all(inspect.isclass(getattr(cameo, name)) for name in VALUES)


@pytest.mark.parametrize("name", TRIED)
def test_public_name_without_owner_key_or_grant(lab: Lab, secrets: Secrets, name: str) -> None:
    """With the keys of everybody but the owner, one after the other."""
    grant, before = lab.grant(), lab.double.read_bytes()
    verified = Bundle.open(lab.double).verify(ADA.public)
    refuses, attempt = TRIED[name]
    for who in (BOB, STUDIO, TOOL, EVE):
        loot = Loot(lab, grant, who, verified, lab.folder / "loot.grant")
        found: Any = None
        if refuses:
            with pytest.raises(CameoError):
                found = attempt(loot)
        else:
            found = attempt(loot)
        assert not any(holds(piece, secrets.all) for piece in reachable(found))
        assert not loot.out.exists()
        assert lab.double.read_bytes() == before
        assert "allow" not in {decision for decision, _ in lab.decisions(who)}


def test_a_secret_would_be_found(lab: Lab, secrets: Secrets) -> None:
    """What the test above looks for is there when the owner opens the double."""
    content = unlock_as_owner(Bundle.open(lab.double).verify(ADA.public), ADA)
    assert any(holds(piece, secrets.keys) for piece in reachable(content))
    with unlock(lab.double, USE, keys=ADA) as opened:
        assert any(holds(piece, secrets.parts) for piece in reachable(opened))
    assert not any(holds(repr(value).encode(), secrets.all) for value in (content, opened, ADA))


@pytest.mark.parametrize(
    ("holder", "host", "code"),
    [
        ("eve", "studio", "wrong_holder"),
        ("studio", "studio", "wrong_holder"),
        ("tool", "studio", "wrong_holder"),
        ("bob", "eve", "wrong_host"),
        ("bob", "bob", "wrong_host"),
        ("eve", "eve", "wrong_host"),
    ],
)
def test_grant_with_the_keys_of_others(lab: Lab, secrets: Secrets, holder: str, host: str, code: str) -> None:
    """The grant needs its holder and its host, both; one of them with another's help is not enough."""
    borrowed = lab.by(lab.grant(), PEOPLE[holder], host=PEOPLE[host])
    lab.refused(code, NotPermitted, borrowed)


def test_delegate_hands_out_no_more_than_it_was_given(lab: Lab, secrets: Secrets) -> None:
    grant = lab.grant()
    with pytest.raises(NotPermitted):
        lab.delegate(grant, EVE, EVE)
    made = cameo.delegate(grant, keys=BOB, to=TOOL.public, narrowed=cameo.Narrowing(), out=lab.file("grant"))
    assert not any(holds(piece, secrets.all) for piece in reachable(made))


def test_verified_bundle_cannot_be_made_by_hand(lab: Lab) -> None:
    bundle = Bundle.open(lab.double)
    verified = bundle.verify(ADA.public)
    for proof in (object(), None, True):
        with pytest.raises(TypeError):
            VerifiedBundle(proof, bundle, verified.manifest, verified.consent, {})
    with pytest.raises(NotVerified):
        bundle.verify(EVE.public)


def test_content_keys_cannot_be_made_by_hand(lab: Lab) -> None:
    """Keys of one's own are refused by the commitment, and those of nothing open nothing."""
    verified = Bundle.open(lab.double).verify(ADA.public)
    with pytest.raises(NotVerified) as caught:
        ContentKeys(verified.manifest, {"face": bytes(32)})
    assert caught.value.code == "spliced"
    with pytest.raises(NotPermitted):
        verified.read_part("template.face", ContentKeys(verified.manifest, {}))


# Every file left on disk.


def story(lab: Lab) -> list[Path]:
    """Lend, narrow, cast, be refused, take back, change the terms, lend to a group: leave every kind of trace."""
    grants = [lab.grant(), lab.grant(modalities=("face", "voice"))]
    (lab.folder / "bob").mkdir()
    narrowed = lab.folder / "bob" / "tool.grant"
    cameo.delegate(grants[0], keys=BOB, to=TOOL.public, narrowed=cameo.Narrowing(max_uses=1), out=narrowed)
    lab.open(keys=ADA)
    lab.open(lab.by(grants[0]))
    lab.open(lab.by(narrowed, TOOL))
    lab.refused("uses_exhausted", NotPermitted, lab.by(narrowed, TOOL))
    with pytest.raises(ZeroDivisionError), unlock(lab.double, USE, borrowed=lab.by(grants[1])):
        raise ZeroDivisionError
    group = cameo.keep_group(lab.folder / "band.group", keys=ADA, add=[BOB.public])
    grants.append(lab.grant(group, delegable=False))
    cameo.revoke(grants[1], keys=ADA)
    lab.refused("revoked", NotPermitted, lab.by(grants[1]))
    published(ADA)
    export_receipts(lab.folder / "receipts.jsonl", STUDIO.public)
    return grants


def test_no_file_on_disk_holds_plaintext_or_a_key(lab: Lab, secrets: Secrets) -> None:
    """While everything is in use: databases, their logs, grants, exports. Only owner and host can unwrap something."""
    grants = story(lab)
    contexts = infos(lab, *grants)
    assert not files_that_hold(lab.folder, secrets.all)
    assert unwrapped(lab.folder, PEOPLE, contexts) == {"ada", "studio"}
    # The databases and what is beside them know no wrapped key at all.
    assert unwrapped(lab.home, PEOPLE, contexts) == set()
    (lab.folder / "leak").write_bytes(b"-" + secrets.keys[0])
    assert files_that_hold(lab.folder, secrets.all) == ["leak"]


def test_nothing_opens_and_nothing_unwraps_after_erasing(lab: Lab, secrets: Secrets) -> None:
    grants = story(lab)
    contexts, kept = infos(lab, *grants), lab.double.read_bytes()
    deletion = cameo.erase(lab.double, keys=ADA)
    assert len(deletion.revoked) == len(grants)
    left = {path.name for path in lab.folder.rglob("*") if path.is_file()}
    assert not {lab.double.name, *(grant.name for grant in grants)} & left
    assert not files_that_hold(lab.folder, secrets.all)
    # Bob's copy of his grant is his; with it the host unwraps a key, and has no ciphertext for it.
    assert unwrapped(lab.folder / "bob", PEOPLE, contexts) == {"studio"}
    for path in (lab.folder / "bob").iterdir():
        path.unlink()
    assert unwrapped(lab.folder, PEOPLE, contexts) == set()
    # Whoever kept a copy of the double finds it shut here, the owner included.
    copy = lab.file("cameo", kept)
    lab.refused("erased", NotPermitted, keys=ADA, double=copy)


def test_erased_double_that_was_never_enrolled_here(lab: Lab) -> None:
    """Erasing works, and is remembered, for a double that came from another machine."""
    kept = lab.file("cameo", lab.double.read_bytes())
    grant = lab.grant()
    token = lab.token(grant)
    cameo.erase(lab.double, keys=ADA)
    lab.refused("erased", NotPermitted, keys=ADA, double=kept)
    lab.refused("erased", NotPermitted, lab.by(lab.token_file(token)), double=kept)
