"""The status list and revocation statements: what is signed comes back, and nothing else is taken."""

from __future__ import annotations

import random
import re
import zlib
from typing import Any

import msgspec
import pytest

from cameo.crypto.encoding import encode_base64url
from cameo.crypto.jws import sign_token
from cameo.crypto.keys import Keys, PublicKeys
from cameo.errors import NotVerified, UsageError
from cameo.grants import fetch, publish, status
from cameo.grants import group as groups
from cameo.grants.status import Revocation, StatusBits, StatusClaims, StatusSnapshot
from tests.docs.markdown import ROOT, blocks, rows

ADA, EVE = Keys.generate(), Keys.generate()
OWNER = ADA.public.fingerprint
NOW = 1_800_000_000

# draft-ietf-oauth-status-list-21, section 4.2: one bit an entry, entries 0..15.
DRAFT_STATUSES = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
DRAFT_LST = "eNrbuRgAAhcBXQ"
# The same, appendix C.1: 2**20 entries, these set.
DRAFT_LARGE = [0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345]
DRAFT_LARGE_LST = (
    "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA7KpLAAAAAAAAAAAAAAAAAAAAAJsLCQAAAAAAAAAAADjelAAA"
    "AAAAAAAAKjDMAQAAAACAZC8L2AEb"
)


def entries(bits: bytes) -> list[int]:
    """Which entries are set, read by the draft's own rule: bits of a byte from the least significant one."""
    return [8 * place + bit for place, byte in enumerate(bits) for bit in range(8) if f"{byte:08b}"[7 - bit] == "1"]


def claims(**changed: Any) -> StatusClaims:
    bits = changed.pop("lst", encode_base64url(zlib.compress(bytes(16))))
    made = StatusClaims(OWNER, status.status_uri(OWNER), NOW, NOW + 60, 10, 3, StatusBits(1, bits))
    return msgspec.structs.replace(made, **changed)


def refused(token: str, code: str, owner: Keys = ADA) -> None:
    with pytest.raises(NotVerified) as caught:
        status.read_status(token, owner.public)
    assert caught.value.code == code
    assert caught.value.hint


def test_what_is_signed_comes_back() -> None:
    revoked = random.Random(1).sample(range(1000), 100)
    snapshot = status.read_status(status.sign_status(ADA, 1000, revoked, 7, NOW + 0.9), ADA.public)
    assert snapshot == StatusSnapshot(f"urn:cameo:status:{OWNER}", 7, NOW, NOW + 86400, 10, snapshot.bits)
    assert entries(snapshot.bits) == sorted(revoked)
    assert (snapshot.size, snapshot.revoked) == (1000, 100)
    assert [snapshot.bits[i >> 3] >> (i & 7) & 1 for i in range(1000)] == [int(i in revoked) for i in range(1000)]


def test_the_drafts_examples_are_read() -> None:
    assert entries(status.unpack_bits(DRAFT_LST)) == [i for i, bit in enumerate(DRAFT_STATUSES) if bit]
    assert entries(status.unpack_bits(DRAFT_LARGE_LST)) == DRAFT_LARGE
    assert len(status.unpack_bits(DRAFT_LARGE_LST)) == 2**20 // 8


def test_the_drafts_examples_are_written() -> None:
    assert status.pack_bits(16, [i for i, bit in enumerate(DRAFT_STATUSES) if bit]) == bytes([0xB9, 0xA3])
    assert status.pack_bits(2**20, DRAFT_LARGE) == status.unpack_bits(DRAFT_LARGE_LST)
    token = status.sign_status(ADA, 16, [i for i, bit in enumerate(DRAFT_STATUSES) if bit], 1, NOW)
    assert zlib.decompress(zlib.compress(status.read_status(token, ADA.public).bits, 9)) == bytes([0xB9, 0xA3])


def test_a_list_that_is_full_of_revocations() -> None:
    revoked = random.Random(2).sample(range(2**20), 2**19)
    snapshot = status.read_status(status.sign_status(ADA, 2**20, revoked, 1, NOW), ADA.public)
    assert snapshot.revoked == 2**19


@pytest.mark.parametrize(("size", "revoked"), [(0, []), (-8, []), (2**24 + 1, []), (16, [16]), (16, [-1])])
def test_lists_that_cannot_be(size: int, revoked: list[int]) -> None:
    with pytest.raises(UsageError):
        status.pack_bits(size, revoked)


def test_another_owners_list() -> None:
    refused(status.sign_status(EVE, 64, [], 1, NOW), "wrong_list")
    refused(status.sign_status(ADA, 64, [], 1, NOW), "wrong_list", EVE)
    refused(sign_token(status.STATUS_LIST, claims(iss=EVE.public.fingerprint), ADA), "wrong_list")
    refused(sign_token(status.STATUS_LIST, claims(sub=status.status_uri(EVE.public.fingerprint)), ADA), "wrong_list")
    refused(sign_token(status.STATUS_LIST, claims(sub="urn:cameo:status:"), ADA), "wrong_list")


def test_a_signature_by_another_key_in_the_owners_name() -> None:
    head, _, _ = status.sign_status(ADA, 64, [], 1, NOW).split(".")
    _, body, signature = status.sign_status(EVE, 64, [], 1, NOW).split(".")
    refused(f"{head}.{body}.{signature}", "bad_signature")


def test_another_kind_of_token() -> None:
    refused(sign_token("cameo-grant+jwt", claims(), ADA), "bad_header")
    refused(status.sign_revocation(statement(), ADA), "bad_header")


@pytest.mark.parametrize(
    "changed",
    [
        {"ttl": 11},
        {"ttl": 0},
        {"seq": -1},
        {"seq": 2**53},
        {"exp": NOW},
        {"exp": NOW - 1},
        {"exp": NOW + 86401},
        {"iat": -1},
        {"status_list": StatusBits(2, DRAFT_LST)},  # type: ignore[arg-type]
    ],
)
def test_claims_out_of_bounds(changed: dict[str, Any]) -> None:
    refused(sign_token(status.STATUS_LIST, claims(**changed), ADA), "malformed")


def test_unknown_and_missing_claims() -> None:
    class More(StatusClaims, frozen=True):
        extra: int = 1

    class Fewer(msgspec.Struct):
        iss: str = OWNER

    refused(sign_token(status.STATUS_LIST, More(*msgspec.structs.astuple(claims())), ADA), "malformed")
    refused(sign_token(status.STATUS_LIST, Fewer(), ADA), "malformed")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        bytes(64),
        zlib.compress(b""),
        zlib.compress(bytes(100))[:-1],
        zlib.compress(bytes(100)) + b"\0",
        zlib.compress(bytes(100)) * 2,
        zlib.compress(bytes(100))[:-4] + bytes(4),
        zlib.compress(bytes(100))[2:-4],
    ],
    ids=["nothing", "a byte", "no stream", "empty", "cut off", "a byte after", "twice", "bad checksum", "raw deflate"],
)
def test_streams_that_are_not_one_whole_list(data: bytes) -> None:
    refused(sign_token(status.STATUS_LIST, claims(lst=encode_base64url(data)), ADA), "malformed")


def test_a_preset_dictionary() -> None:
    squeezer = zlib.compressobj(zdict=b"cameo" * 10)
    data = squeezer.compress(bytes(100)) + squeezer.flush()
    refused(sign_token(status.STATUS_LIST, claims(lst=encode_base64url(data)), ADA), "malformed")


@pytest.mark.parametrize("lst", [DRAFT_LST + "=", DRAFT_LST + "==", DRAFT_LST[:-1] + "R", DRAFT_LST + "\n", "é"])
def test_base64_in_another_spelling(lst: str) -> None:
    refused(sign_token(status.STATUS_LIST, claims(lst=lst), ADA), "malformed")


def test_a_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zlib.compress(bytes(200_000_000), 1)
    bomb_token = sign_token(status.STATUS_LIST, claims(lst=encode_base64url(bomb)), ADA)
    made: list[int] = []
    inflate = zlib.decompressobj

    class Watched:
        def __init__(self) -> None:
            self.inner = inflate()

        def decompress(self, data: bytes, limit: int) -> bytes:
            out = self.inner.decompress(data, limit)
            made.append(len(out))
            return out

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    refused(bomb_token, "oversize")
    assert made == [2**21 + 1]


def test_the_largest_list_and_one_byte_more() -> None:
    assert len(status.unpack_bits(encode_base64url(zlib.compress(bytes(2**21))))) == 2**21
    with pytest.raises(NotVerified) as caught:
        status.unpack_bits(encode_base64url(zlib.compress(bytes(2**21 + 1))))
    assert caught.value.code == "oversize"


def test_an_oversize_token_is_not_read() -> None:
    refused("A" * (status.TOKEN_LIMIT + 1), "oversize")


def test_every_bit_flip_is_refused() -> None:
    token = status.sign_status(ADA, 64, [3], 1, NOW).encode()
    for place in range(0, len(token), 7):
        flipped = bytearray(token)
        flipped[place] ^= 1
        with pytest.raises(NotVerified):
            status.read_status(flipped.decode("latin-1"), ADA.public)


# Statements.


def statement(**changed: Any) -> Revocation:
    made = Revocation(OWNER, "1" * 32, NOW, 4, "2" * 32, "3" * 32, (17,), "we fell out")
    return msgspec.structs.replace(made, **changed)


@pytest.mark.parametrize("changed", [{}, {"grant": "", "index": ()}, {"grant": "", "index": (1, 5, 2**24 - 1)}])
def test_a_statement_comes_back(changed: dict[str, Any]) -> None:
    made = statement(**changed)
    assert status.read_revocation(status.sign_revocation(made, ADA), ADA.public) == made


@pytest.mark.parametrize(
    "changed",
    [
        {"index": ()},
        {"index": (1, 2)},
        {"index": (2**24,)},
        {"index": (-1,)},
        {"grant": "", "index": (2, 1)},
        {"grant": "", "index": (2, 2)},
        {"grant": "3" * 31},
        {"grant": "3" * 32 + "\n"},
        {"jti": ""},
        {"bundle_id": "A" * 32},
        {"reason": "x" * 257},
        {"seq": -1},
    ],
)
def test_statements_that_contradict_themselves(changed: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        status.sign_revocation(statement(**changed), ADA)
    with pytest.raises(NotVerified) as caught:
        status.read_revocation(sign_token(status.REVOCATION, statement(**changed), ADA), ADA.public)
    assert caught.value.code == "malformed"


def test_statements_of_others() -> None:
    token = sign_token(status.REVOCATION, statement(), EVE)
    for made in (token, sign_token(status.REVOCATION, statement(iss=EVE.public.fingerprint), ADA)):
        with pytest.raises(NotVerified) as caught:
            status.read_revocation(made, ADA.public)
        assert caught.value.code == "wrong_list"
    with pytest.raises(UsageError):
        status.sign_revocation(statement(), EVE)


def test_a_withdrawal_of_very_many_grants() -> None:
    made = statement(grant="", index=tuple(range(2**18)))
    assert status.read_revocation(status.sign_revocation(made, ADA), ADA.public) == made


# The page that describes them.


def test_the_worked_examples_of_the_page() -> None:
    shown = blocks(ROOT / "docs" / "reference" / "status-list.md")
    owner = PublicKeys.from_bytes(next(block.code for block in shown if block.language == "json").encode())
    tokens = ["".join(block.code.split()) for block in shown if block.code.startswith("eyJ")]
    snapshot = status.read_status(tokens[0], owner)
    assert entries(snapshot.bits) == [i for i, bit in enumerate(DRAFT_STATUSES) if bit]
    assert (snapshot.seq, snapshot.iat) == (7, 1_800_000_000)
    said = status.read_revocation(tokens[1], owner)
    assert (said.seq, said.index) == (7, (13,))
    assert len(groups.read_group(tokens[2], owner).members) == 1
    assert len(tokens) == 3


def test_the_limits_on_the_page() -> None:
    text = (ROOT / "docs" / "reference" / "status-list.md").read_text("utf-8")
    told = {row[1].strip("`"): int(row[2]) for row in rows(text) if row[-1].isdigit()}
    assert told == {
        status.STATUS_LIST: status.TOKEN_LIMIT,
        status.REVOCATION: status.TOKEN_LIMIT,
        groups.GROUP: groups.TOKEN_LIMIT,
    }
    limits = (status.MAX_ENTRIES, status.MAX_ENTRIES // 8, status.MAX_INDICES, status.REASON_LIMIT, status.LIFE_S)
    for limit in (*limits, groups.MAX_MEMBERS, fetch.STATEMENTS_LIMIT, publish.MAX_CONNECTIONS):
        assert re.search(rf"\b{limit}\b", text), limit
    for kind in (status.StatusClaims, Revocation, groups.Group):
        for name in kind.__struct_fields__:
            assert f"| `{name}` |" in text
