"""Replayed proofs and swapped requests: a proof is good for one use, once, at one host, for two minutes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from cameo.crypto.keys import Keys
from cameo.errors import NotPermitted, NotVerified
from cameo.records import Use
from cameo.unlocking import Borrowed, draw_nonce, prove, unlock
from tests.attacks.conftest import ADA, BOB, EVE, STUDIO, TOOL, USE, Lab, secret
from tests.attacks.forging import resigned

ROOT = Path(__file__).parents[2]
HERE = STUDIO.public.fingerprint


def proven(lab: Lab, grant: Path, use: Use = USE, holder: Keys = BOB, **more: Any) -> Borrowed:
    """Bring a proof that was made on the friend's machine, for a nonce of this host."""
    said = {"host": HERE, "nonce": "", "now": lab.clock(), **more}
    said["nonce"] = said["nonce"] or draw_nonce(STUDIO)
    return lab.by(grant, None, proof=prove(grant, use, holder, **said))


def test_a_proof_is_good_once(lab: Lab) -> None:
    assert lab.open(proven(lab, lab.grant()))


def test_replayed_proof(lab: Lab) -> None:
    borrowed = proven(lab, lab.grant())
    lab.open(borrowed)
    for _ in range(2):
        lab.refused("replayed", NotPermitted, borrowed)


def test_replayed_proof_after_the_use_failed(lab: Lab) -> None:
    """A use that broke off is spent, and its proof with it."""
    borrowed = proven(lab, lab.grant(max_uses=1))
    with pytest.raises(ZeroDivisionError), unlock(lab.double, USE, borrowed=borrowed):
        raise ZeroDivisionError
    assert lab.decisions() == [("allow", ""), ("withheld", "failed")]
    lab.refused("replayed", NotPermitted, borrowed)
    lab.refused("uses_exhausted", NotPermitted, proven(lab, lab.folder / "1.grant"))


def test_replayed_proof_after_a_crash(lab: Lab) -> None:
    """The host dies with the double open; the one that starts after it knows the proof."""
    borrowed = proven(lab, lab.grant())
    code = (
        "import os, signal, sys; from tests.attacks.worker import keys, USE; from cameo.unlocking import *\n"
        "by = Borrowed(sys.argv[2], keys(sys.argv[4]), keys(sys.argv[5]).public, proof=sys.argv[3])\n"
        "with unlock(sys.argv[1], USE, borrowed=by) as opened:\n"
        "    print(len(opened.parts), flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    secrets = [secret(STUDIO), secret(ADA)]
    words = [str(lab.double), str(borrowed.grant), str(borrowed.proof), *secrets]
    died = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (died.returncode, died.stdout) == (-9, "3\n"), died.stderr
    lab.refused("replayed", NotPermitted, borrowed)
    assert lab.decisions() == [("allow", ""), ("deny", "replayed")]


def test_replayed_proof_with_another_nonce_written_into_it(lab: Lab) -> None:
    borrowed = proven(lab, lab.grant())
    lab.open(borrowed)
    fresh = resigned(str(borrowed.proof), EVE, header=None, nonce=draw_nonce(STUDIO))
    lab.refused("wrong_holder", NotPermitted, lab.by(Path(borrowed.grant), None, proof=fresh))


@pytest.mark.parametrize("nonce", ["A" * 22, "A" * 64], ids=["made-up", "long"])
def test_proof_for_a_nonce_the_host_never_gave(lab: Lab, nonce: str) -> None:
    lab.refused("replayed", NotPermitted, proven(lab, lab.grant(), nonce=nonce))


def test_proof_for_a_nonce_of_another_host(lab: Lab) -> None:
    lab.refused("replayed", NotPermitted, proven(lab, lab.grant(), nonce=draw_nonce(EVE)))


def test_proof_made_for_another_host(lab: Lab) -> None:
    lab.refused("wrong_host", NotPermitted, proven(lab, lab.grant(), host=EVE.public.fingerprint))


def test_proof_kept_for_later(lab: Lab) -> None:
    """Old proofs, and proofs from the future; the nonce is too old before the proof is."""
    grant = lab.grant()
    lab.refused("stale_proof", NotPermitted, proven(lab, grant, now=lab.clock() - 200))
    lab.refused("stale_proof", NotPermitted, proven(lab, grant, now=lab.clock() + 90))
    kept = proven(lab, grant)
    lab.clock.offset += 121
    lab.refused("replayed", NotPermitted, kept)


def test_proof_for_another_grant(lab: Lab) -> None:
    """One made for a narrow grant does not open with a wide one of the same friend, nor with its delegation."""
    narrow, wide = lab.grant(max_uses=1), lab.grant()
    proof = proven(lab, narrow).proof
    lab.refused("wrong_grant", NotPermitted, lab.by(wide, None, proof=proof))
    to_self = lab.delegate(wide, to=BOB)
    lab.refused("wrong_grant", NotPermitted, lab.by(to_self, None, proof=proven(lab, wide).proof))


CHANGED: dict[str, Any] = {
    "action": "train",
    "purpose": "comedy",
    "prompt": "a cake with candles ",
    "generator": "wan",
    "outputs": ("video", "audio"),
    "modalities": ("face", "voice"),
    "seconds": 4.5,
    "pixels": 65_537,
    "seed": 8,
    "commercial": True,
    "line_sha256": "ab" * 32,
}


def test_every_member_of_a_request_is_changed_below() -> None:
    assert set(CHANGED) == {field.name for field in fields(Use)}


@pytest.mark.parametrize("name", CHANGED)
def test_swapped_request_body(lab: Lab, name: str) -> None:
    """The friend proved one request, the host is asked for another, one member apart."""
    grant = lab.grant(purposes=("birthday", "comedy"), modalities=("face", "voice"))
    asked = replace(USE, **{name: CHANGED[name]})
    lab.refused("request_changed", NotPermitted, proven(lab, grant), asked)


def test_swapped_request_body_and_digest(lab: Lab) -> None:
    """Whoever swaps the digest as well breaks the signature."""
    grant = lab.grant()
    mine, theirs = proven(lab, grant), proven(lab, grant, replace(USE, prompt="something else"))
    head, _, signature = str(mine.proof).split(".")
    body = str(theirs.proof).split(".")[1]
    lab.refused("bad_signature", NotVerified, lab.by(grant, None, proof=f"{head}.{body}.{signature}"))


def test_proof_by_the_tool_for_the_grant_of_the_friend(lab: Lab) -> None:
    grant = lab.grant()
    lab.delegate(grant)
    lab.refused("wrong_holder", NotPermitted, proven(lab, grant, holder=TOOL))


def test_request_that_cannot_be_written_down(lab: Lab) -> None:
    """Half a character, as a command line of broken bytes gives it: refused like any other, and recorded."""
    grant = lab.grant()
    lab.refused("prompt_refused", NotPermitted, lab.by(grant), replace(USE, prompt="cake \ud800"))


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0], ids=str)
def test_request_of_impossible_length(lab: Lab, seconds: float) -> None:
    """NaN is not larger than any limit; it must not be below one either."""
    lab.refused("too_long", NotPermitted, lab.by(lab.grant(max_seconds=5.0)), replace(USE, seconds=seconds))


def test_request_of_impossible_size(lab: Lab) -> None:
    lab.refused("too_large", NotPermitted, lab.by(lab.grant(max_pixels=70_000)), replace(USE, pixels=-1))
