"""`cameo models`: what is known, what is here, and how it is fetched."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from cameo import weights
from cameo.downloads import Progress, RemoteFile
from cameo.errors import MissingWeights
from cameo.weights import PACKS, Pack, Pulled

from .conftest import Cli, run_process

DATA = {"det.onnx": b"detector", "rec.onnx": b"recogniser"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import huggingface_hub.constants

    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "user")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    files = tuple(RemoteFile(n, len(d), hashlib.sha256(d).hexdigest()) for n, d in DATA.items())
    files += (RemoteFile("2d106det.onnx", 5, "0" * 64, required=False),)
    made = Pack("tiny", "face", "insightface", weights.RESEARCH_ONLY, "https://example.org", files, None)
    monkeypatch.setitem(PACKS, "tiny", made)
    return tmp_path / "home"


def place(home: Path, **changed: bytes) -> Path:
    folder = home / "models" / "tiny"
    folder.mkdir(parents=True)
    for name, data in (DATA | changed).items():
        (folder / name).write_bytes(data)
    return folder


def test_the_list_says_what_is_here_and_under_which_licence(cli: Cli, home: Path) -> None:
    folder = place(home)
    shown = cli("models", "list")
    assert shown.status == 0
    lines = {line.split()[0]: line for line in shown.out.splitlines()}
    assert set(lines) == {"pack", *PACKS}
    assert str(folder) in lines["tiny"]
    assert lines["buffalo_l"].endswith("no")
    assert "non-commercial research" in lines["buffalo_l"]
    assert "Apache-2.0" in lines["spkrec-ecapa-voxceleb"]
    value = {pack["pack"]: pack for pack in json.loads(cli("models", "list", "--json").out)["packs"]}
    assert value["tiny"]["folder"] == str(folder)
    assert value["buffalo_l"]["folder"] is None
    assert value["buffalo_l"]["model"] == "insightface:buffalo_l"
    assert value["spkrec-ecapa-voxceleb"]["commercial"] is True


def test_a_pack_that_is_here_is_verified(cli: Cli, home: Path) -> None:
    folder = place(home)
    shown = cli("models", "verify", "tiny")
    assert shown.status == 0
    assert hashlib.sha256(b"detector").hexdigest() in shown.out
    assert "not here, and not needed" in shown.out
    value = json.loads(cli("models", "verify", "--json").out)
    assert value["verified"] is True
    assert [pack["pack"] for pack in value["packs"]] == ["tiny"]
    (folder / "rec.onnx").write_bytes(b"RECOGNISER")
    for words in (["verify"], ["verify", "tiny"], ["path", "tiny"]):
        wrong = cli("models", *words)
        assert (wrong.status, wrong.out) == (5, "")
        assert "rec.onnx is not the file of tiny" in wrong.err
        assert "hint: get it anew with: cameo models pull tiny" in wrong.err


def test_nothing_here_is_no_error_unless_it_is_asked_for(cli: Cli, home: Path) -> None:
    assert not home.exists()
    assert cli("models", "verify").out == "there is no known pack on this machine\n"
    missing = cli("models", "verify", "tiny")
    assert missing.status == 5
    assert "hint: get it with: cameo models pull tiny" in missing.err
    assert not home.exists(), "looking makes nothing"


def test_path_prints_the_folder_alone(cli: Cli, home: Path) -> None:
    folder = place(home)
    shown = cli("models", "path", "tiny")
    assert shown.out == f"{folder}\n"
    assert "non-commercial research only" in shown.err


def test_pull_tells_the_licence_and_what_nobody_vouches_for(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pull(pack: Pack, at: Path, progress: Progress) -> Pulled:
        progress("downloading tiny.zip", 1.0)
        return Pulled(at / "models" / pack.name, {"det.onnx": "a" * 64}, ("det.onnx",))

    monkeypatch.setattr(weights, "pull_pack", pull)
    shown = cli("models", "pull", "tiny")
    assert shown.status == 0
    assert shown.err.splitlines() == [
        "warning: tiny is for non-commercial research only; whether your use is that is yours to judge",
        "downloading tiny.zip",
        f"warning: det.onnx: unknown digest, recorded as {'a' * 64}",
    ]
    assert "use it with: --face-model insightface:tiny" in shown.out
    value = json.loads(cli("models", "pull", "tiny", "--json").out)
    assert value["unvouched"] == ["det.onnx"]
    assert "non-commercial" in value["licence"]
    monkeypatch.setitem(PACKS, "tiny", replace(PACKS["tiny"], licence="Apache-2.0"))
    assert "commercial" not in cli("models", "pull", "tiny").err


def test_a_download_that_fails(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pull(*_: object) -> Pulled:
        raise MissingWeights("cannot download it", "try again")

    monkeypatch.setattr(weights, "pull_pack", pull)
    assert cli("models", "pull", "tiny").status == 5


@pytest.mark.parametrize(
    "words", [[], ["fetch"], ["pull"], ["path"], ["list", "tiny"], ["pull", "none"], ["verify", ""]]
)
def test_nonsense_is_refused(cli: Cli, home: Path, words: list[str]) -> None:
    shown = cli("models", *words)
    assert (shown.status, shown.out) == (2, "")
    assert len(shown.err.splitlines()) == 2
    assert not home.exists()


def test_listing_loads_no_tensor_library(tmp_path: Path) -> None:
    code = "import sys; from cameo.cli import main; main(sys.argv[1:]); "
    code += "print({'torch', 'onnxruntime', 'cv2'} & set(sys.modules))"
    done = run_process("models", "list", code=code, CAMEO_HOME=str(tmp_path))
    assert done.stdout.endswith("set()\n"), done.stderr
