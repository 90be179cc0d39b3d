"""Receipts: their one spelling, their chain, and what an export cannot hide."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature

from cameo.crypto.encoding import encode_json, sha256_hex
from cameo.crypto.envelope import sign_envelope
from cameo.crypto.keys import Keys
from cameo.errors import NotVerified
from cameo.grants import ledger, ledger_schema, standing
from cameo.grants.receipt import (
    LINE_LIMIT,
    PAYLOAD_TYPE,
    TEXT_LIMIT,
    Entry,
    Link,
    Receipt,
    cleaned,
    read_receipt,
    verify_receipts,
    write_receipt,
)
from tests.docs.markdown import ROOT, blocks, codes, rows, section
from tests.grants.conftest import HOST, NOON, keys_of

PAGE = ROOT / "docs" / "reference" / "ledger-format.md"

ADA, DOUBLE, OTHER = "a" * 64, "c" * 32, "d" * 32


def chain(*doubles: str, host: Keys = HOST) -> list[bytes]:
    """Write the whole chain of a host, one refusal for each double named."""
    last, of_double, lines = "", dict.fromkeys(doubles, (0, "")), []
    for seq, double in enumerate(doubles, 1):
        number, before = of_double[double]
        link = Link(seq, last, number + 1 if double else 0, before if double else "")
        _, line, last = write_receipt(Entry("deny", "expired", bundle_id=double), link, NOON, host)
        of_double[double] = (number + 1, last)
        lines.append(line)
    return lines


def payload_of(line: bytes) -> bytes:
    return base64.b64decode(json.loads(line)["payload"])


def resigned(line: bytes, change: Callable[[dict[str, Any]], object], host: Keys = HOST) -> bytes:
    """Change a receipt and sign it again, as the host could."""
    members = json.loads(payload_of(line))
    change(members)
    return encode_json(sign_envelope(PAYLOAD_TYPE, encode_json(members), [host]))


def refused(lines: Sequence[bytes], match: str | None = None) -> None:
    with pytest.raises(NotVerified, match=match) as caught:
        verify_receipts(lines, HOST.public)
    assert caught.value.code == "bad_receipt"
    assert caught.value.hint
    assert "\n" not in caught.value.message


WHOLE = chain(DOUBLE, "", OTHER, DOUBLE, DOUBLE, OTHER)
OF_DOUBLE = [WHOLE[0], WHOLE[3], WHOLE[4]]


# The page about them.


def test_members_on_the_page() -> None:
    told = [name for row in rows(section(PAGE, "## Receipts")) for name in codes(row[0])]
    assert told == [field.name for field in msgspec.structs.fields(Receipt)]
    text = PAGE.read_text("utf-8")
    assert f"at most {LINE_LIMIT} of them, of type `{PAYLOAD_TYPE}`" in text
    assert f"at most {TEXT_LIMIT} characters" in text


def test_numbers_and_tables_on_the_page() -> None:
    database = section(PAGE, "## The database")
    assert [codes(row[0])[0] for row in rows(database)] == list(ledger_schema.metadata.tables)
    for words in (
        f"until {ledger.NONCE_LIFE_S:.0f} s after",
        f"good for {standing.GRACE_S:.0f} s",
        f"more than\n  {standing.SKEW_S:.0f} s in the future",
        f"more than {ledger.CLOCK_TOLERANCE_S:.0f} s behind",
    ):
        assert words in database


@pytest.mark.parametrize(
    "lines", [WHOLE, WHOLE[2:], OF_DOUBLE, OF_DOUBLE[1:], [WHOLE[2], WHOLE[5]], [WHOLE[1]], []], ids=len
)
def test_the_reader_of_the_page_takes_what_we_take(lines: list[bytes]) -> None:
    read = page_reader()(lines, HOST.public.sign_bytes, HOST.public.decrypt_bytes)
    assert read == [msgspec.to_builtins(receipt) for receipt in verify_receipts(lines, HOST.public)]


def test_the_reader_of_the_page_refuses_what_we_refuse() -> None:
    read = page_reader()
    for left_out in range(1, 5):
        lines = [line for place, line in enumerate(WHOLE) if place != left_out]
        refused(lines)
        with pytest.raises(ValueError, match=r"missing|follow"):
            read(lines, HOST.public.sign_bytes, HOST.public.decrypt_bytes)
    for wrong in ([OF_DOUBLE[0], OF_DOUBLE[2]], WHOLE[::-1], [WHOLE[1], WHOLE[3]], [WHOLE[0], WHOLE[2], WHOLE[3]]):
        refused(wrong)
        with pytest.raises(ValueError, match=r"missing|follow|order"):
            read(wrong, HOST.public.sign_bytes, HOST.public.decrypt_bytes)
    with pytest.raises(ValueError, match="not a receipt of this host"):
        read(WHOLE, HOST.public.sign_bytes, keys_of(2).public.decrypt_bytes)
    with pytest.raises(InvalidSignature):
        read(WHOLE, keys_of(2).public.sign_bytes, HOST.public.decrypt_bytes)


def page_reader() -> Callable[..., list[dict[str, Any]]]:
    (block,) = [block for block in blocks(PAGE) if block.runs]
    names: dict[str, Any] = {"__name__": "docs"}
    exec(compile(block.code, PAGE.name, "exec"), names)
    return names["check_export"]


# The bytes.


def test_the_bytes_of_a_receipt() -> None:
    entry = Entry("allow", bundle_id=DOUBLE, owner=ADA, purpose="birthday", seconds=4.0)
    receipt, line, digest = write_receipt(entry, Link(1, "", 1, ""), 1_800_000_000.9, HOST)
    payload = payload_of(line)
    assert payload == (
        b'{"version":1,"seq":1,"previous_sha256":"","double_seq":1,"double_previous_sha256":"","at":1800000000,"host":"'
        + HOST.public.fingerprint.encode()
        + b'","decision":"allow","code":"","rule":"","bundle_id":"' + DOUBLE.encode() + b'","owner":"' + ADA.encode()
        + b'","consent_sha256":"","grant":"","delegation":"","holder":"","purpose":"birthday","action":"",'
        b'"generator":"","request_sha256":"","output_sha256":"","seconds":4.0}'
    )  # fmt: skip
    assert digest == sha256_hex(payload)
    assert read_receipt(line) == receipt
    assert json.loads(line)["payloadType"] == PAYLOAD_TYPE


def test_an_entry_is_a_receipt_without_its_place() -> None:
    names = [field.name for field in msgspec.structs.fields(Receipt)]
    assert names[names.index("decision") :] == [field.name for field in fields(Entry)]
    assert not {"prompt", "name", "path"} & set(names)


def test_the_longest_receipt_fits_its_line() -> None:
    texts = dict.fromkeys(("code", "rule", "purpose", "action", "generator"), '"\\' * 32)
    texts_wide = dict.fromkeys(("code", "rule", "purpose", "action", "generator"), "😀" * 64)
    ids = dict.fromkeys(("bundle_id", "grant", "delegation"), "f" * 32)
    digests = dict.fromkeys(("owner", "consent_sha256", "holder", "request_sha256", "output_sha256"), "f" * 64)
    for some in (texts, texts_wide):
        entry = cleaned(Entry("released", **some, **ids, **digests, seconds=1e9))
        _, line, _ = write_receipt(entry, Link(2**53, "f" * 64, 2**53, "f" * 64), 253_402_300_799, HOST)
        assert len(line) < LINE_LIMIT / 2


# The chain.


def test_a_whole_chain_and_any_stretch_of_it() -> None:
    receipts = verify_receipts(WHOLE, HOST.public)
    assert [r.seq for r in receipts] == [1, 2, 3, 4, 5, 6]
    assert verify_receipts([line + b"\n" for line in WHOLE], HOST.public) == receipts
    for first in range(6):
        for end in range(first, 7):
            assert verify_receipts(WHOLE[first:end], HOST.public) == receipts[first:end]


def test_all_receipts_of_one_double_and_any_stretch_of_them() -> None:
    assert [r.seq for r in verify_receipts(OF_DOUBLE, HOST.public)] == [1, 4, 5]
    assert [r.seq for r in verify_receipts(OF_DOUBLE[1:], HOST.public)] == [4, 5]


@pytest.mark.parametrize(
    ("kept", "match"),
    [
        ((0, 1, 2, 4, 5), "receipts 4 to 4 are missing"),
        ((0, 1, 3, 4), "receipts 3 to 3 are missing"),
        ((0, 4), "does not follow from number 1 of its double"),
        ((0, 3, 5), "are missing"),
        ((0, 2, 3), "are missing"),
        ((1, 3), "are missing"),
        ((1, 0), "receipt 1 stands after receipt 2"),
        ((0, 0), "receipt 1 stands after receipt 1"),
        ((0, 3, 3), "receipt 4 stands after receipt 4"),
        ((0, 3, 1), "receipt 2 stands after receipt 4"),
        ((3, 4, 5, 0), "receipt 1 stands after"),
    ],
)
def test_receipts_left_out_or_moved(kept: tuple[int, ...], match: str) -> None:
    refused([WHOLE[place] for place in kept], match)


def test_a_history_that_forks() -> None:
    other = chain(OTHER, "", OTHER, DOUBLE, DOUBLE, OTHER)
    refused([*WHOLE[:3], *other[3:]], "does not follow from receipt 3")
    refused([OF_DOUBLE[0], chain(DOUBLE, "", "", DOUBLE)[3][:-9] + OF_DOUBLE[1][-9:]])
    refused([OF_DOUBLE[0], chain(OTHER, DOUBLE, "", DOUBLE)[3]], "does not follow from number 1 of its double")


def test_a_host_that_drops_a_receipt_of_a_double_and_signs_its_chain_again() -> None:
    link = Link(4, sha256_hex(payload_of(WHOLE[2])), 3, "f" * 64)
    _, line, _ = write_receipt(Entry("deny", bundle_id=DOUBLE), link, NOON, HOST)
    refused([*WHOLE[:3], line], "does not follow from number 1 of its double")
    link = Link(3, sha256_hex(payload_of(WHOLE[1])), 2, "f" * 64)
    _, line, _ = write_receipt(Entry("deny", bundle_id=OTHER), link, NOON, HOST)
    refused([*WHOLE[:2], line], "is number 2 of its double, the others are missing")


def test_the_chain_of_another_host() -> None:
    mallory = keys_of(9)
    refused(chain(DOUBLE, host=mallory), "is of another host")
    claims_ours = resigned(WHOLE[0], lambda members: None, mallory)
    refused([claims_ours], "is not signed by the key you trust")
    with pytest.raises(NotVerified):
        verify_receipts(WHOLE, mallory.public)


def test_two_signatures_are_not_one() -> None:
    both = encode_json(sign_envelope(PAYLOAD_TYPE, payload_of(WHOLE[0]), [HOST, keys_of(9)]))
    refused([both])


def test_another_kind_of_document_is_no_receipt() -> None:
    refused([encode_json(sign_envelope("application/vnd.cameo.manifest.v1+json", payload_of(WHOLE[0]), [HOST]))])


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(version=2),
        lambda m: m.update(seq=0),
        lambda m: m.update(seq=1.0),
        lambda m: m.update(seq=2),
        lambda m: m.update(previous_sha256="0" * 64),
        lambda m: m.update(double_seq=0),
        lambda m: m.update(double_seq=2),
        lambda m: m.update(double_previous_sha256="0" * 64),
        lambda m: m.update(bundle_id=""),
        lambda m: m.update(bundle_id="C" * 32),
        lambda m: m.update(bundle_id="c" * 32 + "\n"),
        lambda m: m.update(owner="a" * 63),
        lambda m: m.update(decision="maybe"),
        lambda m: m.update(at=-1),
        lambda m: m.update(seconds=-1.0),
        lambda m: m.update(seconds=4),
        lambda m: m.update(purpose="x" * 65),
        lambda m: m.update(prompt="a secret"),
        lambda m: m.pop("rule"),
        lambda m: m.update(version=m.pop("version")),
    ],
)
def test_a_receipt_the_host_signed_but_no_receipt(change: Callable[[dict[str, Any]], object]) -> None:
    refused([resigned(WHOLE[0], change)])


@pytest.mark.parametrize("line", [b"", b"\n", b"{}", b"[]", b"\xff", b'{"a":' * 5000, b"x" * (LINE_LIMIT + 1)])
def test_what_is_no_line(line: bytes) -> None:
    refused([line])
    with pytest.raises(NotVerified) as caught:
        read_receipt(line)
    assert caught.value.code == "bad_receipt"


def test_no_bit_of_a_line_can_be_changed() -> None:
    chance = random.Random(5)
    for _ in range(400):
        line = bytearray(WHOLE[0])
        line[chance.randrange(len(line))] ^= 1 << chance.randrange(8)
        refused([bytes(line)])
