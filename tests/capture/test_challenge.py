"""A challenge is drawn at random, read strictly, taken once and in time."""

from __future__ import annotations

import contextlib
import datetime
import json
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameo.capture.challenge import (
    DIGITS,
    LIMIT,
    TURNS,
    Challenge,
    ChallengeBook,
    draw_challenge,
    prompts,
    read_challenge,
    require_current,
    write_challenge,
)
from cameo.errors import CameoError, NotPermitted, NotVerified, OutputError, UsageError

NOW = datetime.datetime(2026, 11, 26, 12, 0, tzinfo=datetime.UTC)
_ANY = draw_challenge(NOW)
SOON, LATE = NOW + datetime.timedelta(seconds=30), NOW + datetime.timedelta(seconds=601)


@pytest.fixture
def book(tmp_path: Path) -> ChallengeBook:
    return ChallengeBook(tmp_path / "challenges")


def test_a_challenge_asks_for_six_digits_and_four_turns() -> None:
    for _ in range(50):
        challenge = draw_challenge(NOW)
        assert len(challenge.digits) == DIGITS and len(challenge.turns) == TURNS
        assert challenge.turns[0] != "centre"
        assert all(a != b for a, b in zip(challenge.turns, challenge.turns[1:], strict=False))
        assert challenge.seconds < 30  # what is read of a clip


def test_challenges_differ() -> None:
    drawn = [draw_challenge(NOW) for _ in range(40)]
    assert len({challenge.nonce for challenge in drawn}) == 40
    assert len({challenge.steps for challenge in drawn}) == 40
    asked = {step for challenge in drawn for step in challenge.steps}
    assert asked == {*map(str, range(10)), "left", "right", "centre"}


def test_prompts_follow_one_another() -> None:
    challenge = draw_challenge(NOW)
    laid = prompts(challenge)
    assert laid[0].start_s == challenge.lead_s and laid[-1].end_s == challenge.seconds
    assert all(a.end_s == b.start_s for a, b in zip(laid, laid[1:], strict=False))
    assert {p.text for p in laid if p.step == "left"} <= {"turn your head to your left"}
    assert all(p.step in p.text for p in laid if p.step.isdigit())


def test_a_challenge_survives_its_file() -> None:
    challenge = draw_challenge(NOW)
    raw = write_challenge(challenge)
    assert read_challenge(raw) == challenge and write_challenge(read_challenge(raw)) == raw
    assert len(challenge.digest) == 64 and challenge.digest != draw_challenge(NOW).digest


def test_the_digest_covers_every_field() -> None:
    challenge = draw_challenge(NOW)
    later = msgspec.structs.replace(challenge, expires=challenge.expires + datetime.timedelta(seconds=1))
    assert later.digest != challenge.digest


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 2},
        {"kind": "cameo-grant"},
        {"nonce": "A" * 32},
        {"nonce": "../../../../etc/passwd"},
        {"steps": ["1", "2", "3", "4", "5", "6", "left", "up", "left", "right"]},
        {"steps": ["1", "2", "3", "4", "5", "6"]},
        {"steps": ["1", "left", "right", "left", "right", "left"]},
        {"steps": ["1", "2", "3", "4", "5", "6", "centre", "centre", "centre", "centre"]},
        {"steps": []},
        {"slot_s": 0.01},
        {"slot_s": 60},
        {"lead_s": -1},
        {"expires": "2026-11-26T11:59:59Z"},
        {"expires": "2027-11-26T12:00:00Z"},
        {"issued": "2026-11-26T12:00:00"},
        {"note": "unknown member"},
    ],
)
def test_what_is_not_a_challenge_is_refused(changed: dict[str, object]) -> None:
    members = json.loads(write_challenge(draw_challenge(NOW))) | changed
    with pytest.raises(NotVerified) as refused:
        read_challenge(json.dumps(members).encode())
    assert refused.value.code == "malformed"


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"nonce": NaN}', b" " * (LIMIT + 1)])
def test_bytes_of_any_kind_raise_only_our_errors(raw: bytes) -> None:
    with pytest.raises(CameoError):
        read_challenge(raw)


@given(st.data())
def test_a_file_with_a_byte_changed_raises_only_our_errors(data: st.DataObject) -> None:
    raw = bytearray(write_challenge(_ANY))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(NotVerified):
        changed = read_challenge(bytes(raw))
        assert changed == _ANY or changed.digest != _ANY.digest


def test_a_challenge_ends(book: ChallengeBook) -> None:
    challenge = book.issue(NOW)
    require_current(challenge, SOON)
    with pytest.raises(NotPermitted) as refused:
        book.take(challenge, LATE)
    assert refused.value.code == "expired"
    with pytest.raises(NotPermitted) as early:
        require_current(challenge, NOW - datetime.timedelta(hours=1))
    assert early.value.code == "not_yet"


def test_a_challenge_is_taken_once(book: ChallengeBook) -> None:
    challenge = book.issue(NOW)
    book.take(challenge, SOON)
    with pytest.raises(NotPermitted) as refused:
        book.take(challenge, SOON)
    assert refused.value.code == "replayed" and "before" in refused.value.message


def test_a_challenge_of_somebody_else_is_not_taken(book: ChallengeBook) -> None:
    with pytest.raises(NotPermitted) as refused:
        book.take(draw_challenge(NOW), SOON)
    assert refused.value.code == "replayed" and "not issued here" in refused.value.message


def test_a_challenge_that_was_changed_is_not_taken(book: ChallengeBook) -> None:
    issued = book.issue(NOW)
    easier = msgspec.structs.replace(issued, steps=("1",) * 6 + ("left", "right", "left", "right"))
    longer = msgspec.structs.replace(issued, expires=issued.expires + datetime.timedelta(hours=1))
    for changed in (easier, longer):
        with pytest.raises(NotVerified) as refused:
            book.take(changed, SOON)
        assert refused.value.code == "spliced"
    book.take(issued, SOON)  # and the true one still can be


def test_of_two_answers_at_once_one_is_taken(book: ChallengeBook) -> None:
    challenge, outcomes = book.issue(NOW), list[str]()
    gate = threading.Barrier(8)

    def answer() -> None:
        gate.wait()
        try:
            book.take(challenge, SOON)
            outcomes.append("taken")
        except NotPermitted as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=answer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["replayed"] * 7 + ["taken"]


def test_pruning_removes_only_what_has_expired(book: ChallengeBook) -> None:
    old, answered = book.issue(NOW), book.issue(NOW)
    book.take(answered, SOON)
    new = book.issue(LATE)
    stranger = book.folder / "open" / "notes.json"
    stranger.write_text("mine")
    assert book.prune(LATE) == 2
    assert stranger.exists()
    book.take(new, LATE)
    with pytest.raises(NotPermitted):
        book.take(old, SOON)


def test_a_time_without_a_zone_is_no_time(book: ChallengeBook) -> None:
    bare = datetime.datetime(2026, 11, 26, 12, 0)
    with pytest.raises(UsageError):
        book.issue(bare)
    with pytest.raises(UsageError):
        require_current(draw_challenge(NOW), bare)
    for lifetime_s in (0, -1, 1e9, float("nan")):
        with pytest.raises(UsageError):
            draw_challenge(NOW, lifetime_s)


def test_a_book_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        ChallengeBook(tmp_path / "file").issue(NOW)


def test_a_challenge_cannot_be_changed() -> None:
    challenge: Challenge = draw_challenge(NOW)
    with pytest.raises(AttributeError):
        challenge.nonce = "0" * 32  # type: ignore[misc]
