"""The shelf: which generator a name means, and that nothing is loaded but safetensors that are here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from cameo.errors import CameoError, MissingExtra, MissingWeights, UsageError
from cameo.generators import published
from cameo.generators.ltx2 import LTX2Generator
from cameo.generators.shelf import Choice, generator_for, generator_id, load_generator, read_choice
from cameo.generators.wan import WanGenerator
from tests.generators.tiny_pipelines import tiny_ltx2, tiny_wan, tiny_wan_generator


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("weights") / "wan"
    tiny_wan().save_pretrained(made)
    return made


@pytest.fixture(autouse=True)
def _no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hub's cache be empty, and every connection fail."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def refuse(*_given: object, **_named: object) -> None:
        raise AssertionError("a download")

    monkeypatch.setattr("httpx.Client.send", refuse)


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        ("reference", Choice("reference")),
        ("wan:some/folder", Choice("wan", "some/folder")),
        ("wan:./a@b", Choice("wan", "./a@b")),
        ("ltx2:org/repo@cuda", Choice("ltx2", "org/repo", "cuda")),
        ("ltx2:org/repo@cuda:1", Choice("ltx2", "org/repo", "cuda:1")),
        ("wan:/a@b/c@cuda,8bit", Choice("wan", "/a@b/c", "cuda", True)),
        ("wan:/a@8bit", Choice("wan", "/a", "", True)),
        ("wan:C:/weights@cpu", Choice("wan", "C:/weights", "cpu")),
    ],
)
def test_names_are_read(name: str, choice: Choice) -> None:
    assert read_choice(name) == choice
    assert generator_id(name) == choice.family


@pytest.mark.parametrize("name", ["wan", "wan:", "ltx2", "wan:@cuda"])
def test_a_family_alone_asks_for_its_weights(name: str) -> None:
    with pytest.raises(UsageError, match="which weights") as caught:
        read_choice(name)
    assert f"{name.partition(':')[0]}:FOLDER" in caught.value.hint


@pytest.mark.parametrize("name", ["", "sora", "sora:org/repo", "Wan:org/repo", "reference:x"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no generator") as caught:
        load_generator(name)
    assert "wan:WEIGHTS" in caught.value.hint


def test_a_folder_is_loaded_and_is_the_same_model(folder: Path) -> None:
    generator = load_generator(f"wan:{folder}@cpu")
    assert isinstance(generator, WanGenerator)
    assert generator.base_digest == tiny_wan_generator().base_digest
    assert next(generator.denoiser.parameters()).dtype == torch.float32


def test_weights_that_are_not_here_name_the_command() -> None:
    with pytest.raises(MissingWeights) as caught:
        load_generator("wan:Wan-AI/Wan2.1-T2V-1.3B-Diffusers")
    assert caught.value.hint == "get them with: hf download Wan-AI/Wan2.1-T2V-1.3B-Diffusers"


def test_a_repository_in_the_cache_is_found(folder: Path, tmp_path: Path) -> None:
    stored = tmp_path / "hub" / "models--org--tiny"
    shutil.copytree(folder, stored / "snapshots" / "abc")
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text("abc")
    assert load_generator("wan:org/tiny").id == "wan"
    shutil.rmtree(stored / "snapshots" / "abc" / "transformer")
    with pytest.raises(MissingWeights, match="not complete") as caught:
        load_generator("wan:org/tiny")
    assert caught.value.hint == "get them with: hf download org/tiny"


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        load_generator(f"wan:{tmp_path / 'none'}")


@pytest.mark.parametrize("index", [None, "{", "[]", "{}"])
def test_a_folder_of_something_else_is_said(tmp_path: Path, index: str | None) -> None:
    if index is not None:
        (tmp_path / "model_index.json").write_text(index)
    with pytest.raises(UsageError, match="no pipeline in diffusers' layout"):
        load_generator(f"wan:{tmp_path}")


def test_another_familys_weights_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="holds a WanPipeline, which is no pipeline of ltx2"):
        load_generator(f"ltx2:{folder}")


def test_pickles_are_not_read(folder: Path, tmp_path: Path) -> None:
    """Where safetensors are missing and a pickle lies in their place, nothing is loaded."""
    spoiled = tmp_path / "wan"
    shutil.copytree(folder, spoiled)
    weights = next((spoiled / "transformer").glob("*.safetensors"))
    weights.unlink()

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save(Trap(), spoiled / "transformer" / "diffusion_pytorch_model.bin")
    with pytest.raises(MissingWeights):
        load_generator(f"wan:{spoiled}")
    assert not (tmp_path / "sprung").exists()


def test_no_code_comes_with_the_weights(folder: Path, tmp_path: Path) -> None:
    """A class that the index names is taken from the family's list, not imported."""
    spoiled = tmp_path / "wan"
    shutil.copytree(folder, spoiled)
    index = json.loads((spoiled / "model_index.json").read_text())
    index["_class_name"] = "os.system"
    (spoiled / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(UsageError, match=r"holds a os\.system"):
        load_generator(f"wan:{spoiled}")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_card_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(UsageError, match="there is no cuda"):
        load_generator(f"wan:{folder}@cuda")


def test_eight_bits_need_their_package_and_a_card(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra) as caught:
        load_generator(f"wan:{folder}@cpu,8bit")
    assert "bitsandbytes" in caught.value.hint
    monkeypatch.setattr(published, "find_spec", lambda _name: object())
    with pytest.raises(UsageError, match="8 bits need a card"):
        load_generator(f"wan:{folder}@cpu,8bit")


def test_a_card_that_is_too_small_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object, **_named: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("diffusers.WanPipeline.to", full)
    with pytest.raises(CameoError, match="too little memory"):
        load_generator(f"wan:{folder}")


def test_a_pipeline_object_finds_its_family() -> None:
    assert isinstance(generator_for(tiny_wan()), WanGenerator)
    assert isinstance(generator_for(tiny_ltx2()), LTX2Generator)


@pytest.mark.parametrize("pipe", [None, "WanPipeline", torch.nn.Linear(1, 1)])
def test_other_objects_are_refused(pipe: object) -> None:
    with pytest.raises(UsageError, match="no generator takes a") as caught:
        generator_for(pipe)
    assert "WanPipeline" in caught.value.hint


def test_naming_a_generator_loads_no_library() -> None:
    program = "import sys; from cameo.generators.shelf import generator_id; generator_id('wan:x/y'); "
    program += "assert not {'torch', 'diffusers', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
