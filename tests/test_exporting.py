"""Exporting: other programs load the file and generate the same; it leaves by consent and grant only, and on record."""

from __future__ import annotations

import dataclasses
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import cameo
from cameo.condition.plug import plug
from cameo.crypto.encoding import sha256_hex
from cameo.errors import NotPermitted, OutputError, UsageError
from cameo.exporting import ExportOptions, export
from cameo.generators.base import Direction, Performance
from cameo.recalling import revoke
from tests.condition.test_plug_pipelines import same, without_tokens
from tests.exportable import TERMS, parts_for, seal_exportable, tiny
from tests.generators.tiny_pipelines import FAMILIES
from tests.lendable import Lendable, People

PEOPLE = People.made()


@dataclass(frozen=True)
class Exportable:
    """Hold a double that may be exported, the family it was made for, and what says how."""

    name: str
    lending: Lendable

    def export(self, out: Path, grant: str = "", **changes: Any) -> Any:
        """Export it as its owner, or with a grant at the studio."""
        right: dict[str, Any] = {"borrowed": self.lending.borrowed(grant)} if grant else {}
        options = dataclasses.replace(ExportOptions(tiny(self.name).id, purpose="birthday"), **changes)
        return export(self.lending.double, **right or {"keys": PEOPLE.ada}, out=out, options=options)


def exportable(name: str, folder: Path, toml: str = TERMS) -> Exportable:
    return Exportable(name, seal_exportable(folder, name, PEOPLE, toml))


@pytest.fixture(params=["wan", "ltx2.0", "ltx2.3", "hunyuanvideo", "cogvideox"])
def family(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exportable:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home"))
    return exportable(request.param, tmp_path)


@pytest.fixture
def wan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exportable:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home"))
    return exportable("wan", tmp_path)


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """Where nothing must be left that did not leave as it should."""
    (tmp_path / "out").mkdir()
    yield tmp_path / "out" / "ada.safetensors"
    assert not list((tmp_path / "out").glob(".*"))


def clip(generator: Any) -> Performance:
    """Call the pipeline as anybody would."""
    made: Performance = generator.run(generator.settle(Direction(None, 3, "a person dancing")), lambda _done: None)
    return made


def plugged(name: str) -> tuple[Performance, Performance]:
    """Generate with the double plugged in, without its tokens; and with nothing."""
    generator = tiny(name)
    base = clip(generator)
    with plug(generator, parts_for(name)), without_tokens(generator):
        return clip(generator), base


def in_stock_diffusers(name: str, lora: Path) -> Performance:
    """Load a file as anybody would, into a pipeline that knows nothing of cameo."""
    fresh = FAMILIES[name]()
    fresh.pipe.load_lora_weights(str(lora))
    return clip(fresh)


# What other programs make of it


def test_diffusers_loads_it_and_makes_the_very_same(family: Exportable, out: Path) -> None:
    family.export(out)
    worn, base = plugged(family.name)
    assert same(in_stock_diffusers(family.name, out), worn)
    assert not same(worn, base)


@pytest.mark.parametrize("family", ["wan", "ltx2.0", "ltx2.3"], indirect=True)
def test_diffusers_turns_the_file_for_comfyui_back_and_makes_the_very_same(family: Exportable, out: Path) -> None:
    family.export(out, layout="comfyui")
    assert all(key.startswith("diffusion_model.") for key in load_file(out))
    assert same(in_stock_diffusers(family.name, out), plugged(family.name)[0])


# Which layers of diffusers stand below each other in one layer of the first release. Source: `SingleStreamBlock` and
# `DoubleStreamBlock` of ComfyUI (comfy/ldm/flux/layers.py).
_ROWS = {
    "img_attn_qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "img_attn_proj": ("attn.to_out.0",),
    "txt_attn_qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "txt_attn_proj": ("attn.to_add_out",),
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
}


@pytest.mark.parametrize("family", ["hunyuanvideo"], indirect=True)
def test_merged_into_stacked_layers_it_makes_the_same(family: Exportable, out: Path) -> None:
    """As ComfyUI does it: B A is added to the layer. diffusers parts such files for the published width only."""
    family.export(out, layout="comfyui")
    tensors, fresh = load_file(out), FAMILIES[family.name]()
    for key in [key for key in tensors if key.endswith(".lora_A.weight")]:
        layer = key.removesuffix(".lora_A.weight")
        added = tensors[f"{layer}.lora_B.weight"].float() @ tensors[key].float()
        kind, number, last = layer.removeprefix("diffusion_model.").split(".")
        block = (
            f"{ {'double_blocks': 'transformer_blocks', 'single_blocks': 'single_transformer_blocks'}[kind] }.{number}"
        )
        modules = [fresh.denoiser.get_submodule(f"{block}.{row}") for row in _ROWS[last]]
        with torch.no_grad():
            for module, rows in zip(modules, added.split([module.out_features for module in modules]), strict=True):
                module.weight += rows
    merged, (worn, base) = clip(fresh), plugged(family.name)
    assert abs(merged.frames.astype(int) - worn.frames).max() <= 1
    assert abs(base.frames.astype(int) - worn.frames).max() > 1


@pytest.mark.parametrize("family", ["ltx2.0"], indirect=True)
def test_one_modality_alone(family: Exportable, out: Path) -> None:
    made = family.export(out, modalities=("face",))
    assert made.modalities == ("face",)
    generator = tiny(family.name)
    with plug(generator, parts_for(family.name), {"voice": 0.0}), without_tokens(generator):
        face = clip(generator)
    assert same(in_stock_diffusers(family.name, out), face)
    assert not any("audio_attn" in key for key in load_file(out))


def test_no_token_and_no_speaker_is_in_it(family: Exportable, out: Path) -> None:
    family.export(out)
    data = out.read_bytes()
    for name, part in parts_for(family.name).items():
        if name.startswith("identity."):
            assert part[-64:] not in data
    assert all(".lora_" in key for key in load_file(out))


# What is said and kept of it


def header(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        said: dict[str, str] = file.metadata()
    return said


def test_the_header_of_what_the_owner_exports(wan: Exportable, out: Path) -> None:
    made = wan.export(out, purpose="")
    verified = cameo.Bundle.open(wan.lending.double).verify(PEOPLE.ada.public)
    said = header(out)
    terms = said.pop("cameo.terms")
    assert len(said.pop("cameo.date")) == 10
    assert said == {
        "format": "pt",
        "cameo.format": "1",
        "cameo.double": wan.lending.bundle_id,
        "cameo.generator": "wan",
        "cameo.modalities": "face",
        "cameo.layout": "diffusers",
        "cameo.grant_id": "owner",
        "cameo.consent_sha256": verified.manifest.consent_sha256,
        "cameo.receipt_sha256": made.receipt,
        "cameo.base_model_sha256": tiny("wan").base_digest,
    }
    assert "birthday" in terms
    assert "to export what was tuned as a plain file" in terms
    assert "never: intimate" in terms
    assert "grant" not in terms
    assert terms.isprintable()


def test_a_friend_exports_with_a_grant_and_it_is_on_record(wan: Exportable, out: Path) -> None:
    granted = wan.lending.grant(actions=("export",), max_uses=1)
    made = wan.export(out, "bob.grant", layout="comfyui")
    assert header(out)["cameo.grant_id"] == granted.id
    assert f"the grant ends on {granted.expires.day} " in header(out)["cameo.terms"]
    allowed, released = wan.lending.receipts()
    assert [(r.decision, r.action, r.generator, r.seconds) for r in (allowed, released)] == [
        ("allow", "export", "wan", 0.0),
        ("released", "export", "wan", 0.0),
    ]
    assert released.output_sha256 == made.sha256 == sha256_hex(out.read_bytes()), "the file is the one on record"
    assert made.size == out.stat().st_size
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with pytest.raises(NotPermitted) as caught:
        wan.export(out.with_name("again.safetensors"), "bob.grant")
    assert caught.value.code == "uses_exhausted"


# What is refused


@pytest.mark.parametrize(
    ("terms", "options", "code"),
    [
        ({}, {}, "out_of_scope"),
        ({"actions": ("generate",)}, {}, "out_of_scope"),
        ({"actions": ("export",)}, {"purpose": "comedy"}, "wrong_purpose"),
        ({"actions": ("export",)}, {"purpose": ""}, "wrong_purpose"),
        ({"actions": ("export",)}, {"commercial": True}, "out_of_scope"),
    ],
)
def test_what_was_not_lent_for_it_does_not_leave(
    wan: Exportable, out: Path, terms: dict[str, Any], options: dict[str, Any], code: str
) -> None:
    wan.lending.grant(**terms)
    with pytest.raises(NotPermitted) as caught:
        wan.export(out, "bob.grant", **options)
    assert caught.value.code == code
    assert wan.lending.decisions() == [("deny", code)]
    assert wan.lending.receipts()[0].action == "export"
    assert not out.exists()


@pytest.mark.parametrize("family", ["ltx2.0"], indirect=True)
def test_a_modality_that_was_not_lent_does_not_leave(family: Exportable, out: Path) -> None:
    family.lending.grant(actions=("export",), modalities=("face",))
    assert family.export(out, "bob.grant").modalities == ("face",)
    with pytest.raises(NotPermitted) as caught:
        family.export(out.with_name("b.safetensors"), "bob.grant", modalities=("face", "voice"))
    assert caught.value.code == "out_of_scope"


def test_who_may_only_export_does_not_cast(wan: Exportable, out: Path) -> None:
    from tests.lendable import a_use, refused

    wan.lending.grant(actions=("export",))
    refused(wan.lending, "out_of_scope", use=a_use(generator="wan"))


@pytest.mark.parametrize("purpose", ["", "comedy"])
def test_the_owner_is_held_to_their_own_terms(wan: Exportable, out: Path, purpose: str) -> None:
    silent = TERMS.replace('actions = ["generate", "export"]', "") if not purpose else TERMS
    (out.parent.parent / "other").mkdir()
    other = exportable("wan", out.parent.parent / "other", silent)
    with pytest.raises(NotPermitted, match="export") as caught:
        other.export(out, purpose=purpose)
    assert caught.value.code == "consent_exceeded"
    assert [(r.decision, r.code) for r in other.lending.receipts(PEOPLE.ada)] == [("deny", "consent_exceeded")]
    assert not out.exists()


@pytest.mark.parametrize(
    ("changes", "said", "hint"),
    [
        ({"generator": "reference"}, "no other program has the reference generator", "wan"),
        ({"generator": "sora"}, "no family of generators 'sora'", "without weights"),
        ({"generator": "wan:somewhere"}, "no family of generators 'wan:somewhere'", "without weights"),
        ({"generator": "ltx2"}, "not tuned for ltx2", "it was for: wan"),
        ({"generator": "cogvideox", "layout": "comfyui"}, "cannot be written for ComfyUI", "--format diffusers"),
        ({"layout": "a1111"}, "no layout 'a1111'", "diffusers, comfyui"),
        ({"modalities": ("voice",)}, "no voice for wan", "leave it out"),
        ({"modalities": ("hands",)}, "no hands for wan", "leave it out"),
    ],
)
def test_what_cannot_be_exported_costs_no_use(
    wan: Exportable, out: Path, changes: dict[str, Any], said: str, hint: str
) -> None:
    wan.lending.grant(actions=("export",), max_uses=1)
    with pytest.raises(UsageError, match=said) as caught:
        wan.export(out, "bob.grant", **changes)
    assert hint in caught.value.hint
    assert not wan.lending.receipts()
    assert not out.exists()


@pytest.mark.parametrize("name", ["ada.key", "ada", "ada.pt", "ada.cameo"])
def test_a_name_that_is_none_is_refused(wan: Exportable, out: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no name for one"):
        wan.export(out.with_name(name))
    assert not list(out.parent.iterdir())


def test_nothing_is_replaced(wan: Exportable, out: Path) -> None:
    """A file of that suffix can be weights of many gigabytes."""
    out.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        wan.export(out)
    assert out.read_bytes() == b"precious"
    with pytest.raises(OutputError, match="cannot write"):
        wan.export(out.parent / "none" / "ada.safetensors")
    assert not wan.lending.receipts(PEOPLE.ada)


# What goes wrong on the way


def test_revoked_at_the_last_moment(wan: Exportable, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = wan.lending.grant(actions=("export",))

    def take_back(data: bytes) -> str:
        revoke(made.id, keys=PEOPLE.ada)
        return sha256_hex(data)

    monkeypatch.setattr("cameo.exporting.sha256_hex", take_back)
    with pytest.raises(NotPermitted) as caught:
        wan.export(out, "bob.grant")
    assert caught.value.code == "revoked"
    assert wan.lending.decisions() == [("allow", ""), ("withheld", "revoked")]
    assert not list(out.parent.iterdir())


def test_a_disk_that_fills_up_is_on_record(wan: Exportable, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    wan.lending.grant(actions=("export",))
    monkeypatch.setattr("cameo.files.os.fsync", full)
    with pytest.raises(OutputError, match="no space left"):
        wan.export(out, "bob.grant")
    assert wan.lending.decisions()[-1] == ("withheld", "cannot_write")
    assert not list(out.parent.iterdir())


KILLED = """
import os, signal, sys
from cameo.cli import main
os.link = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # everything is written by now, but for the name
main(sys.argv[1:])
"""


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="a file without a name is Linux's")
def test_a_kill_leaves_no_file(wan: Exportable, out: Path, tmp_path: Path) -> None:
    PEOPLE.ada.save(tmp_path / "ada.key", "correct horse battery staple")
    words = ["export", wan.lending.double, "--key", tmp_path / "ada.key", "--generator", "wan", "--format", "comfyui"]
    env = {**os.environ, "CAMEO_PASSPHRASE": "correct horse battery staple"}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *map(str, words), "--out", str(out)], env=env, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert not list(out.parent.iterdir())
    assert [r.decision for r in wan.lending.receipts(PEOPLE.ada)] == ["allow", "released"]
    wan.export(out)
