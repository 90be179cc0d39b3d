"""Group lists: edited by their owner, and only by them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cameo.crypto.encoding import encode_base64
from cameo.crypto.fullkeys import FullKeys
from cameo.crypto.jws import sign_token
from cameo.crypto.keys import Keys, PublicKeys
from cameo.errors import NotVerified, UsageError
from cameo.grants import group as groups
from cameo.grants.group import Group

ADA, EVE = Keys.generate(), Keys.generate()
BOB, CLEO, DAN = (Keys.generate().public for _ in range(3))
NOW = 1_800_000_000


@pytest.fixture
def band() -> Group:
    return groups.new_group(ADA.public, "the band", [BOB, CLEO])


def refused(token: str, code: str) -> None:
    with pytest.raises(NotVerified) as caught:
        groups.read_group(token, ADA.public)
    assert caught.value.code == code


def signed(made: Group, **changed: Any) -> str:
    return sign_token(groups.GROUP, msgspec.structs.replace(made, **changed), ADA)


def test_a_group_comes_back(band: Group) -> None:
    read = groups.read_group(groups.sign_group(band, ADA, NOW + 0.5), ADA.public)
    assert read == msgspec.structs.replace(band, iat=NOW)
    assert (read.iss, read.name, read.seq) == (ADA.public.fingerprint, "the band", 1)
    assert {member.load("a member") for member in read.members} == {BOB, CLEO}
    assert read.holds(BOB.fingerprint)
    assert not read.holds(DAN.fingerprint)


def test_two_groups_have_two_ids() -> None:
    first, second = (groups.new_group(ADA.public, "the band", []) for _ in range(2))
    assert first.sub != second.sub


def test_an_edit_keeps_the_id_and_raises_seq(band: Group) -> None:
    edited = groups.edit_group(band, [DAN], [BOB.fingerprint])
    assert (edited.sub, edited.seq, edited.name) == (band.sub, 2, band.name)
    assert {member.load("a member") for member in edited.members} == {CLEO, DAN}
    assert groups.read_group(groups.sign_group(edited, ADA, NOW), ADA.public).holds(DAN.fingerprint)
    assert {member.load("a member") for member in band.members} == {BOB, CLEO}, "the old list is untouched"


def test_somebody_can_be_replaced_by_themselves(band: Group) -> None:
    assert groups.edit_group(band, [BOB], [BOB.fingerprint]).members == band.members


@pytest.mark.parametrize(
    ("add", "remove"), [([BOB], []), ([DAN, DAN], []), ([], [DAN.fingerprint]), ([], [BOB.fingerprint] * 2)]
)
def test_edits_that_make_no_sense(band: Group, add: list[PublicKeys], remove: list[str]) -> None:
    with pytest.raises(UsageError):
        groups.edit_group(band, add, remove)


def test_too_many_members(band: Group) -> None:
    many = tuple(FullKeys("A" * 43 + "=", "A" * 43 + "=", f"{i:064x}") for i in range(groups.MAX_MEMBERS))
    full = msgspec.structs.replace(band, members=many)
    with pytest.raises(UsageError, match="4096 members at most"):
        groups.edit_group(full, [DAN], [])
    one_more = (*many, FullKeys("A" * 43 + "=", "A" * 43 + "=", "f" * 64))
    refused(signed(band, members=one_more), "malformed")


def test_a_large_group_can_be_read() -> None:
    members = [Keys.generate().public for _ in range(1500)]
    made = groups.new_group(ADA.public, "everybody I know", members)
    assert len(groups.read_group(groups.sign_group(made, ADA, NOW), ADA.public).members) == 1500


def test_members_twice_or_out_of_order(band: Group) -> None:
    first, second = band.members
    refused(signed(band, members=(second, first)), "malformed")
    refused(signed(band, members=(first, first)), "malformed")


def test_weak_keys_and_wrong_fingerprints(band: Group) -> None:
    member = band.members[0]
    small = encode_base64(b"\1" + bytes(31))
    for weak in ({"sign": small}, {"decrypt": small}):
        refused(signed(band, members=(msgspec.structs.replace(member, **weak),)), "weak_key")
    other = msgspec.structs.replace(member, fingerprint=DAN.fingerprint)
    refused(signed(band, members=(other,)), "malformed")
    spelled = msgspec.structs.replace(member, sign=member.sign[:-2] + "\n=")
    refused(signed(band, members=(spelled,)), "malformed")


@pytest.mark.parametrize(
    "changed", [{"name": ""}, {"name": "x" * 65}, {"seq": -1}, {"sub": "0" * 31}, {"sub": "../" + "0" * 29}]
)
def test_claims_out_of_bounds(band: Group, changed: dict[str, Any]) -> None:
    refused(signed(band, **changed), "malformed")
    with pytest.raises(UsageError):
        groups.sign_group(msgspec.structs.replace(band, **changed), ADA, NOW)


def test_groups_of_others(band: Group) -> None:
    refused(sign_token(groups.GROUP, band, EVE), "wrong_list")
    refused(signed(band, iss=EVE.public.fingerprint), "wrong_list")
    refused(sign_token("statuslist+jwt", band, ADA), "bad_header")
    head, _, _ = signed(band).split(".")
    refused(".".join([head, *sign_token(groups.GROUP, band, EVE).split(".")[1:]]), "bad_signature")
    refused("A" * (groups.TOKEN_LIMIT + 1), "oversize")
    with pytest.raises(UsageError):
        groups.sign_group(band, EVE, NOW)
