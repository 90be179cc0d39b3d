"""Sealing a double and verifying it, beside signing and verifying the same files with OpenSSF's model-signing.

    python -m benchmarks.signing [--megabytes 100] [--turns 5] [--out FILE.json]

Both get an adapter of that size and what belongs to it, as safetensors. model-signing hashes the files of a folder
(SHA-256) and signs the list with a key (P-256: it takes no Ed25519), as its documentation does; the files stay where
they are, readable by all. cameo reads the same bytes, encrypts them, has the consent and the list signed, and writes
one file, on the disk. They take turns, and a ratio is taken within a turn, of processor time: model-signing hashes in
several threads. Opening, which only cameo does, is told apart.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import model_signing  # type: ignore[import-not-found, unused-ignore]
import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from safetensors.numpy import save

from benchmarks.results import write_result
from cameo.crypto.keys import Keys
from cameo.grants.guard import list_digest
from cameo.seal.bundle import Bundle, Part, seal_bundle
from cameo.seal.consent import agree
from cameo.seal.terms import parse_terms, resolve_terms
from cameo.seal.unlock import unlock_as_owner

OURS, PEER = "cameo", "model-signing"
GENERATOR, BASE = "wan", "ab" * 32
RANK, WIDTH = 32, 1536
_CONSENT = '[[purposes]]\nid = "birthday"'

Times = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Adapter:
    """Hold a folder of safetensors: the adapter of a face, and the identity that goes with it."""

    folder: Path
    size: int

    @classmethod
    def made(cls, folder: Path, megabytes: int) -> Adapter:
        """Write LoRA matrices of chance numbers, as many as make `megabytes`."""
        folder.mkdir()
        random = np.random.default_rng(0)
        layers = max(1, round(megabytes * 1e6 / (2 * RANK * WIDTH * 2)))
        tensors = {
            f"transformer.blocks.{k}.attn1.to_q.lora_{side}.weight": random.standard_normal(shape).astype(np.float16)
            for k in range(layers)
            for side, shape in (("A", (RANK, WIDTH)), ("B", (WIDTH, RANK)))
        }
        (folder / f"adapter.{GENERATOR}.face").write_bytes(save(tensors))
        tokens = {"tokens": random.standard_normal((8, WIDTH)).astype(np.float32)}
        (folder / f"identity.{GENERATOR}.face").write_bytes(save(tokens))
        return cls(folder, sum(path.stat().st_size for path in folder.iterdir()))

    def parts(self) -> list[Part]:
        """Read the files as what is sealed."""
        return [Part(path.name, "face", path.read_bytes(), GENERATOR, BASE) for path in sorted(self.folder.iterdir())]


class WithCameo:
    """Seal, verify and open."""

    def __init__(self, adapter: Adapter, folder: Path) -> None:
        self.adapter, self.path, self.keys = adapter, folder / "ada.cameo", Keys.generate()
        self.terms = resolve_terms(parse_terms(_CONSENT), [GENERATOR], datetime.date.today(), list_digest())

    def seal(self) -> None:
        """Encrypt and sign, into one file."""
        seal_bundle(self.path, self.keys, agree(self.terms, "api"), self.adapter.parts())

    def verify(self) -> None:
        """Check the signature and the digest of every part."""
        Bundle.open(self.path).verify(self.keys.public)

    def open(self) -> None:
        """Verify, and decrypt every part."""
        verified = Bundle.open(self.path).verify(self.keys.public)
        content = unlock_as_owner(verified, self.keys)
        for part in verified.manifest.parts:
            verified.read_part(part.name, content)


class WithModelSigning:
    """Sign and verify a folder with a key, as the README of model-signing does."""

    def __init__(self, adapter: Adapter, folder: Path) -> None:
        self.adapter, self.signature = adapter, folder / "model.sig"
        self.private, self.public = folder / "key.pem", folder / "key.pub"
        key = ec.generate_private_key(ec.SECP256R1())
        kinds = serialization.PrivateFormat.PKCS8, serialization.PublicFormat.SubjectPublicKeyInfo
        plain, pem = serialization.NoEncryption(), serialization.Encoding.PEM
        self.private.write_bytes(key.private_bytes(pem, kinds[0], plain))
        self.public.write_bytes(key.public_key().public_bytes(pem, kinds[1]))

    def sign(self) -> None:
        """Hash the files, and sign the list of digests."""
        config = model_signing.signing.Config().use_elliptic_key_signer(private_key=self.private)
        config.sign(self.adapter.folder, self.signature)

    def verify(self) -> None:
        """Check the signature, and hash the files again."""
        config = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=self.public)
        config.verify(self.adapter.folder, self.signature)


def refuses_change(ours: WithCameo, theirs: WithModelSigning) -> dict[str, bool]:
    """Flip one bit of what each has signed, and see that both notice; everything is put back."""
    return {
        OURS: _notices(ours.path, ours.verify),
        PEER: _notices(theirs.adapter.folder / f"adapter.{GENERATOR}.face", theirs.verify),
    }


def _notices(path: Path, verify: Callable[[], None]) -> bool:
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    try:
        verify()
    except Exception:  # noqa: BLE001  each has errors of its own
        return True
    finally:
        path.write_bytes(whole)
    return False


def measure(megabytes: int, turns: int) -> dict[str, Any]:
    """Let both take turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        adapter = Adapter.made(folder / "adapter", megabytes)
        ours, theirs = WithCameo(adapter, folder), WithModelSigning(adapter, folder)
        steps: dict[str, dict[str, Callable[[], None]]] = {
            OURS: {"seal": ours.seal, "verify": ours.verify, "open": ours.open},
            PEER: {"sign": theirs.sign, "verify": theirs.verify},
        }
        processor: dict[str, Times] = {who: {step: [] for step in some} for who, some in steps.items()}
        wall: dict[str, Times] = {who: {step: [] for step in some} for who, some in steps.items()}
        for counts in (False, *[True] * turns):  # the first turn does not count
            for who, some in steps.items():
                for step, work in some.items():
                    began, spent = time.perf_counter(), time.process_time()
                    work()
                    if counts:
                        processor[who][step].append(time.process_time() - spent)
                        wall[who][step].append(time.perf_counter() - began)
        added = {OURS: ours.path.stat().st_size - adapter.size, PEER: theirs.signature.stat().st_size}
        return {**processor, "wall_s": wall, "size": adapter.size, "added": added,
                "notices_a_bit": refuses_change(ours, theirs)}  # fmt: skip


def print_table(found: dict[str, Any]) -> None:
    """Print one line for each step."""
    print(f"an adapter of {found['size'] / 1e6:.0f} MB\n\n| | processor time | wall time |\n|---|---|---|")
    for who in (OURS, PEER):
        for step, values in found[who].items():
            walls = found["wall_s"][who][step]
            spread = f"{min(values):.3f} to {max(values):.3f}"
            print(
                f"| {who}: {step} | {statistics.median(values):.3f} s ({spread}) | {statistics.median(walls):.3f} s |"
            )
    print(
        f"\nbytes added: {json.dumps(found['added'])}; a changed bit is noticed: {json.dumps(found['notices_a_bit'])}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100, help="size of the adapter (100)")
    parser.add_argument("--turns", type=int, default=5, help="how often everything takes its turn (5)")
    parser.add_argument("--out", type=Path, help="write everything as JSON")
    args = parser.parse_args()
    found = measure(args.megabytes, args.turns)
    print_table(found)
    if args.out:
        write_result(args.out, found, {"turns": args.turns, "bytes": found["size"]})


if __name__ == "__main__":
    main()
