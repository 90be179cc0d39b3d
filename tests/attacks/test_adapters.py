"""Adapters that are no adapters: pickles, and safetensors that would hurt whoever loads them.

The owner of such a double is the attacker: everything is signed, encrypted and granted as it should be, past the checks
of `cameo enroll`. The bytes reach nobody, and no pickle is ever loaded.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest

from cameo.errors import NotVerified, UsageError
from cameo.seal import bundle as bundle_module
from cameo.seal.bundle import Part, seal_bundle
from cameo.unlocking import unlock
from tests.attacks.conftest import ADA, STUDIO, USE, Lab, agreement
from tests.seal.conftest import ENCODER, some_parts

NAME = "adapter.reference.face"


class Payload:
    """Leave a trace if anybody unpickles it."""

    def __init__(self, trace: str) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.trace,)


def tensors(header: Any, body: bytes = b"", length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + body


def one(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8), **more: Any) -> dict[str, Any]:
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}}


EIGHT = struct.pack("<2f", 0.5, 1.5)
TWICE = b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
BAD = {
    "empty": b"",
    "short": b"\0\0\0",
    "header longer than the file": tensors(one(), EIGHT, length=2**40),
    "header of 2^64 - 1": tensors(one(), EIGHT, length=2**64 - 1),
    "header larger than allowed": tensors(b"{" + b" " * (1024 * 1024) + b"}"),
    "header is a list": tensors([], b""),
    "header nested": tensors(b'{"x":' + b"[" * 50_000),
    "header not UTF-8": tensors(b'{"\xff":1}'),
    "duplicate names": tensors(TWICE, EIGHT),
    "overlap": tensors({**one(), "y": one()["x"]}, EIGHT),
    "gap": tensors(one(offsets=(8, 16)), EIGHT * 2),
    "bytes behind": tensors(one(), EIGHT + b"MZ"),
    "offsets outside": tensors(one(offsets=(0, 2**40)), EIGHT),
    "offsets backwards": tensors(one(offsets=(8, 0)), EIGHT),
    "negative shape": tensors(one(shape=(-2,)), EIGHT),
    "shape that overflows": tensors(one(shape=(2**32, 2**32)), EIGHT),
    "shape of floats": tensors(b'{"x":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}', EIGHT),
    "unknown type": tensors(one("O"), EIGHT),
    "another member": tensors(one(code="import os"), EIGHT),
    "metadata that is no text": tensors({**one(), "__metadata__": {"x": 1}}, EIGHT),
    "infinity": tensors(one(), struct.pack("<2f", 1.0, float("inf"))),
    "not a number": tensors(one(), struct.pack("<2f", float("nan"), 1.0)),
    "infinity in half precision": tensors(one("BF16", (4,)), struct.pack("<4H", 1, 2, 3, 0x7F80)),
    "too many tensors": tensors({f"{n}": one(shape=(0,), offsets=(0, 0))["x"] for n in range(8193)}),
}


def seal_anything(lab: Lab, data: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seal a double whose adapter is `data`, as an owner does who has changed their cameo."""
    path = lab.file("cameo")
    parts = [Part(NAME, "face", data, "reference", "ab" * 32) if p.name == NAME else p for p in some_parts()]
    with monkeypatch.context() as patch:
        patch.setattr(bundle_module, "check_parts", lambda _: None)
        seal_bundle(path, ADA, agreement(), parts, [ENCODER])
    return path


def shut(lab: Lab, path: Path) -> None:
    """Demand that the host gets no part at all, and says why in its ledger."""
    lab.double = path
    grant = lab.grant()
    before = len(lab.receipts())
    with pytest.raises(NotVerified) as caught, unlock(path, USE, borrowed=lab.by(grant)):
        raise AssertionError("open")
    assert caught.value.code == "malformed"
    assert [(r.decision, r.code) for r in lab.receipts(STUDIO)[before:]] == [("allow", ""), ("withheld", "malformed")]


@pytest.mark.parametrize("defect", BAD)
def test_malformed_safetensors_as_adapter(lab: Lab, defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shut(lab, seal_anything(lab, BAD[defect], monkeypatch))
    with pytest.raises(UsageError):
        seal_bundle(lab.file("cameo"), ADA, agreement(), [Part(NAME, "face", BAD[defect], "reference", "ab" * 32)])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_as_adapter(lab: Lab, protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = lab.folder / "unpickled"
    shut(lab, seal_anything(lab, pickle.dumps(Payload(str(trace)), protocol), monkeypatch))
    assert not trace.exists()


def test_pickle_behind_a_safetensors_header(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks like one to a reader of the beginning, and like a pickle to a reader of the end."""
    trace = lab.folder / "unpickled"
    code = pickle.dumps(Payload(str(trace)))
    shut(lab, seal_anything(lab, tensors(one(), EIGHT) + code, monkeypatch))
    # As a tensor of bytes it is allowed, and stays one: nothing here looks into tensors.
    lab.double = seal_anything(lab, tensors(one("U8", (len(code),), (0, len(code))), code), monkeypatch)
    assert lab.open(lab.by(lab.grant()))[NAME].endswith(code)
    assert not trace.exists()


def test_an_adapter_sealed_the_same_way_opens(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.double = seal_anything(lab, tensors(one(), EIGHT), monkeypatch)
    assert lab.open(lab.by(lab.grant()))[NAME] == tensors(one(), EIGHT)
