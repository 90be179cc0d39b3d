"""Taking back, and what is done against it: older lists, silence, old lists that were kept, clocks, and good timing."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import cameo
from cameo.errors import NotPermitted, NotVerified
from cameo.grants.ledger import Ledger
from cameo.grants.publish import Published, publish_files
from cameo.grants.status import sign_status, status_uri
from cameo.publishing import published, take_status
from cameo.recalling import Revoked
from cameo.registry.store import Double, Registry
from cameo.unlocking import unlock
from tests.attacks.conftest import ADA, BOB, EVE, STUDIO, TOOL, USE, Lab, seal
from tests.attacks.forging import claims_of, resigned

SITE = "site"


def publish(lab: Lab, what: Published | None = None) -> str:
    """Put what the owner publishes where the host fetches it."""
    said = what or published(ADA)
    place = lab.folder / SITE
    publish_files(f"{place}/", said.status_token, said.groups, said.statements)
    return str(place)


def silence(lab: Lab) -> None:
    """Let nothing be fetched any more."""
    (lab.folder / SITE / "status").unlink()


def revoke(grant: Path) -> Revoked:
    return cameo.revoke(grant, keys=ADA)


# Taking back.


def test_revoked_grant(lab: Lab) -> None:
    grant, other = lab.grant(), lab.grant()
    lab.open(lab.by(grant))
    revoke(grant)
    lab.refused("revoked", NotPermitted, lab.by(grant))
    assert lab.open(lab.by(other))


def test_revoked_grant_takes_its_delegation_with_it(lab: Lab) -> None:
    grant = lab.grant()
    narrowed = lab.delegate(grant)
    revoke(grant)
    lab.refused("revoked", NotPermitted, lab.by(narrowed, TOOL))


def test_withdrawn_consent_ends_every_grant_also_with_the_old_file(lab: Lab) -> None:
    """The withdrawn file says so itself; a copy from before does not, and opens for nobody all the same."""
    grants = [lab.grant(), lab.grant(EVE.public)]
    old = lab.file("cameo", lab.double.read_bytes())
    cameo.withdraw(lab.double, keys=ADA)
    for grant, holder in zip(grants, (BOB, EVE), strict=True):
        lab.refused("withdrawn", NotPermitted, lab.by(grant, holder))
    lab.refused("withdrawn", NotPermitted, lab.by(grants[0]), double=old)


def test_withdrawn_consent_ends_every_grant_at_hosts_that_read_the_list(
    lab: Lab, elsewhere: Callable[[], None]
) -> None:
    """A host on another machine has the old file and the old grant, and the owner's list."""
    grant = lab.grant()
    old = lab.file("cameo", lab.double.read_bytes())
    cameo.withdraw(lab.double, keys=ADA)
    site = publish(lab)
    elsewhere()
    lab.refused("revoked", NotPermitted, lab.by(grant, status=site), double=old)


def test_withdrawn_consent_holds_when_another_double_takes_the_place_of_the_file(lab: Lab) -> None:
    """The registry forgets which file it was, not that it was withdrawn: the owner's own old copy stays shut, too."""
    kept = lab.file("cameo", lab.double.read_bytes())
    enrolled(lab, lab.double)
    cameo.withdraw(lab.double, keys=ADA)
    seal(lab.double, shift=1.0)
    enrolled(lab, lab.double)
    lab.refused("withdrawn", NotPermitted, keys=ADA, double=kept)


def enrolled(lab: Lab, path: Path) -> None:
    """Register a double as enrolling it does."""
    bundle = cameo.Bundle.open(path)
    now = datetime.datetime.now(datetime.UTC)
    made = Double(bundle.claims.bundle_id, ADA.public.fingerprint, path, bundle.sha256, now, ("tiny",), "none")
    with closing(Registry()) as registry:
        registry.register(made)


def test_revocation_statement_alone_is_enough(lab: Lab) -> None:
    """A host that is handed the statement refuses at once, whatever list it is shown."""
    grant = lab.grant()
    site = publish(lab)
    lab.open(lab.by(grant, status=site))
    statement = lab.file("jwt", revoke(grant).statements[0].encode())
    with closing(Ledger(STUDIO, clock=lab.clock)) as ledger:
        take_status(str(statement), ADA.public, ledger)
    lab.refused("revoked", NotPermitted, lab.by(grant, status=site))


def test_revocation_statement_by_somebody_else(lab: Lab) -> None:
    """Nobody takes back what another one lent: a thief cannot shut a double."""
    grant = lab.grant()
    token = revoke(grant).statements[0]
    for forged in (resigned(token, EVE), resigned(token, EVE, iss=EVE.public.fingerprint)):
        place = lab.file("jwt", forged.encode())
        with closing(Ledger(STUDIO, clock=lab.clock)) as ledger, pytest.raises(NotVerified) as caught:
            take_status(str(place), ADA.public, ledger)
        assert caught.value.code == "wrong_list"


# Older lists.


def test_status_rolled_back(lab: Lab) -> None:
    """A genuine list from before the revocation, shown after it."""
    grant, other = lab.grant(), lab.grant()
    before = published(ADA)
    revoke(grant)
    site = publish(lab)
    lab.refused("revoked", NotPermitted, lab.by(grant, status=site))
    publish(lab, before)
    for path in (grant, other):
        lab.refused("status_rollback", NotPermitted, lab.by(path, status=site))


def test_status_rolled_back_and_dated_anew(lab: Lab) -> None:
    """Even the owner's key cannot take a revocation back: not with an old number, not with a new one."""
    grant = lab.grant()
    revoke(grant)
    site = publish(lab)
    lab.refused("revoked", NotPermitted, lab.by(grant, status=site))
    now = published(ADA)
    seq = claims_of(now.status_token)["seq"]
    for number, code in ((seq, "status_rollback"), (seq + 1, "revoked"), (seq + 2, "revoked")):
        clean = sign_status(ADA, 131_072, (), number, lab.clock())
        publish(lab, Published(clean, {}, ()))
        lab.refused(code, NotPermitted, lab.by(grant, status=site))


def test_status_of_another_owner(lab: Lab) -> None:
    """Eve's own list says nothing about Ada's grants, also when it is named in Ada's words."""
    grant = lab.grant()
    revoke(grant)
    site = publish(lab, Published(sign_status(EVE, 131_072, (), 9, lab.clock()), {}, ()))
    lab.refused("wrong_list", NotVerified, lab.by(grant, status=site))
    forged = resigned(
        published(ADA).status_token, EVE, header={"alg": "Ed25519", "typ": "statuslist+jwt", "kid": "0" * 64}
    )
    publish(lab, Published(forged, {}, ()))
    lab.refused("wrong_list", NotVerified, lab.by(grant, status=site))


def test_status_of_another_owner_named_in_the_grant(lab: Lab) -> None:
    """A grant that points to another list, or behind the end of the right one, has no bit that could take it back."""
    token = lab.token(lab.grant())
    index = claims_of(token)["status"]["status_list"]
    uri = status_uri(EVE.public.fingerprint)
    forged = resigned(token, ADA, status={"status_list": {**index, "uri": uri}})
    lab.refused("wrong_list", NotVerified, lab.by(lab.token_file(forged)))
    forged = resigned(token, ADA, status={"status_list": {**index, "idx": 2**24 - 1}})
    lab.refused("malformed", NotVerified, lab.by(lab.token_file(forged)))


def test_registry_rolled_back(lab: Lab) -> None:
    """A copy of the owner's registry from before the revocation is put back: the host remembers more than it says."""
    grant, other = lab.grant(), lab.grant()
    before = (lab.home / "registry.sqlite").read_bytes()
    revoke(grant)
    lab.refused("revoked", NotPermitted, lab.by(grant))
    (lab.home / "registry.sqlite").write_bytes(before)
    for path in (grant, other):
        lab.refused("status_rollback", NotPermitted, lab.by(path))


def test_registry_thrown_away(lab: Lab) -> None:
    grant = lab.grant()
    revoke(grant)
    lab.refused("revoked", NotPermitted, lab.by(grant))
    (lab.home / "registry.sqlite").unlink()
    lab.refused("status_unknown", NotPermitted, lab.by(grant))


def test_group_rolled_back(lab: Lab) -> None:
    """A member who left shows the list from before."""
    path = lab.folder / "band.group"
    group = cameo.keep_group(path, keys=ADA, add=[BOB.public, EVE.public])
    grant = lab.grant(group, delegable=False)
    before = published(ADA)
    site = publish(lab)
    lab.open(lab.by(grant, EVE, status=site))
    cameo.keep_group(path, keys=ADA, remove=[EVE.public.fingerprint])
    publish(lab)
    lab.refused("not_in_group", NotPermitted, lab.by(grant, EVE, status=site))
    publish(lab, before)
    lab.refused("status_rollback", NotPermitted, lab.by(grant, EVE, status=site))


def test_group_list_held_back(lab: Lab) -> None:
    """There is no grace for who is in a group; the refusal is on record like any other."""
    group = cameo.keep_group(lab.folder / "band.group", keys=ADA, add=[BOB.public])
    grant = lab.grant(group, delegable=False)
    site = publish(lab)
    lab.open(lab.by(grant, status=site))
    (lab.folder / SITE / "groups" / group.sub).unlink()
    lab.refused("status_unknown", NotPermitted, lab.by(grant, status=site))


# Silence, and lists that were kept.


def test_status_silence(lab: Lab) -> None:
    """An attacker between host and owner lets nothing through: after the grace nothing opens."""
    grant = lab.grant()
    site = publish(lab)
    lab.open(lab.by(grant, status=site))
    silence(lab)
    lab.clock.offset = 290
    lab.open(lab.by(grant, status=site))
    lab.clock.offset = 302
    lab.refused("status_stale", NotPermitted, lab.by(grant, status=site))


def test_status_silence_from_the_start(lab: Lab) -> None:
    grant = lab.grant()
    lab.refused("status_unknown", NotPermitted, lab.by(grant, status=str(lab.folder / "nowhere")))


@pytest.mark.parametrize("noise", [b"", b"<html>", b"a.b.c", b"\xff\xfe", b"{}"], ids=str)
def test_status_noise_is_not_silence(lab: Lab, noise: bytes) -> None:
    """Something that is no list is refused at once: there is no grace for answers that do not hold."""
    grant = lab.grant()
    site = publish(lab)
    lab.open(lab.by(grant, status=site))
    (lab.folder / SITE / "status").write_bytes(noise)
    lab.refused("malformed", NotVerified, lab.by(grant, status=site))


def test_silence_does_not_hide_what_is_known(lab: Lab) -> None:
    grant = lab.grant()
    revoke(grant)
    site = publish(lab)
    lab.refused("revoked", NotPermitted, lab.by(grant, status=site))
    silence(lab)
    for offset in (0.0, 299.0, 10**6):
        lab.clock.offset = offset
        lab.refused("revoked", NotPermitted, lab.by(grant, status=site))


def test_stale_offline_cache(lab: Lab) -> None:
    """The last list before the revocation is kept and shown for ever: it grows old, whoever shows it."""
    grant = lab.grant()
    site = publish(lab)
    lab.open(lab.by(grant, status=site))
    revoke(grant)
    for offset in (60, 200):
        lab.clock.offset = offset
        lab.open(lab.by(grant, status=site))
    lab.clock.offset = 302
    lab.refused("status_stale", NotPermitted, lab.by(grant, status=site))


def test_stale_offline_cache_on_a_host_that_never_saw_another(lab: Lab, elsewhere: Callable[[], None]) -> None:
    grant = lab.grant()
    site = publish(lab)
    elsewhere()
    lab.clock.offset = 302
    lab.refused("status_stale", NotPermitted, lab.by(grant, status=site))


def test_stale_offline_cache_with_a_host_that_waives_the_grace(lab: Lab) -> None:
    """However long a host would wait, a list ends after a day."""
    grant = lab.grant()
    site = publish(lab)
    lab.open(lab.by(grant, status=site))
    lab.clock.offset = 86_401
    lab.refused("status_stale", NotPermitted, lab.by(grant, status=site, grace_s=1e9))


def test_status_from_the_future(lab: Lab) -> None:
    """A list that was dated ahead does not stay fresh for longer."""
    grant = lab.grant()
    site = publish(lab, Published(sign_status(ADA, 131_072, (), 1, lab.clock() + 3600), {}, ()))
    lab.refused("status_stale", NotPermitted, lab.by(grant, status=site))


# Between check and release.


def _take_back(lab: Lab, grant: Path) -> None:
    revoke(grant)


def _withdraw(lab: Lab, grant: Path) -> None:
    cameo.withdraw(lab.double, keys=ADA)


def _erase(lab: Lab, grant: Path) -> None:
    cameo.erase(lab.double, keys=ADA)


@pytest.mark.parametrize("take", [_take_back, _withdraw, _erase], ids=["revoke", "withdraw", "erase"])
@pytest.mark.parametrize("ask", ["release", "recheck", "end"])
def test_revocation_between_check_and_release(lab: Lab, take: Callable[[Lab, Path], None], ask: str) -> None:
    """What was opened rightly does not leave once it was taken back; the receipt says so."""
    grant = lab.grant()
    after = []
    with pytest.raises(NotPermitted) as caught, unlock(lab.double, USE, borrowed=lab.by(grant)) as opened:
        take(lab, grant)
        if ask == "release":
            opened.release("ab" * 32)
        elif ask == "recheck":
            opened.recheck()
        after.append("left")
    assert caught.value.code in ("revoked", "withdrawn", "erased")
    assert after == (["left"] if ask == "end" else [])
    assert not opened.released
    assert lab.decisions() == [("allow", ""), ("withheld", caught.value.code)]


def test_revocation_between_check_and_release_seen_in_the_published_list(lab: Lab) -> None:
    grant = lab.grant()
    site = publish(lab)
    with pytest.raises(NotPermitted) as caught, unlock(lab.double, USE, borrowed=lab.by(grant, status=site)) as opened:
        opened.recheck()
        revoke(grant)
        publish(lab)
    assert caught.value.code == "revoked"
    assert lab.decisions() == [("allow", ""), ("withheld", "revoked")]


def test_silence_between_check_and_release(lab: Lab) -> None:
    """A long run under a cut line ends without its output when the grace is over."""
    grant = lab.grant()
    site = publish(lab)
    with pytest.raises(NotPermitted) as caught, unlock(lab.double, USE, borrowed=lab.by(grant, status=site)):
        silence(lab)
        lab.clock.offset = 302
    assert caught.value.code == "status_stale"


def test_grant_that_ends_between_check_and_release(lab: Lab) -> None:
    """An output that was not done in time does not leave."""
    grant = lab.grant(expires_s=60)
    with pytest.raises(NotPermitted) as caught, unlock(lab.double, USE, borrowed=lab.by(grant)):
        lab.clock.offset = 61
    assert caught.value.code == "expired"
    assert lab.decisions() == [("allow", ""), ("withheld", "expired")]


def test_owner_who_withdraws_while_they_cast_themselves(lab: Lab) -> None:
    enrolled(lab, lab.double)
    with pytest.raises(NotPermitted) as caught, unlock(lab.double, USE, keys=ADA):
        cameo.withdraw(lab.double, keys=ADA)
    assert caught.value.code == "withdrawn"
    assert lab.decisions(ADA) == [("allow", ""), ("withheld", "withdrawn")]
