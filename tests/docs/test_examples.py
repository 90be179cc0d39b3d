"""Run the examples."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

import cameo
from tests.docs.markdown import ROOT, links
from tests.seal.conftest import sealed as sealed  # noqa: F401  a double to read

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def load_example(path: Path) -> Any:
    """Import an example as a module."""
    spec = spec_from_file_location(f"examples_{path.stem}", path)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_example_is_listed_and_explains_itself(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert path.name in links(ROOT / "examples" / "README.md")
    with pytest.raises(SystemExit) as stopped:
        load_example(path).main(["--help"])
    assert stopped.value.code == 0
    assert path.name in capsys.readouterr().out


def test_the_example_that_verifies(sealed: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    main = load_example(ROOT / "examples" / "verify_a_double.py").main
    owner, stranger = tmp_path / "ada.pub", tmp_path / "bea.pub"
    owner.write_bytes(sealed.keys.public.to_bytes())
    stranger.write_bytes(cameo.Keys.generate().public.to_bytes())
    assert main([str(sealed.path), str(owner)]) == 0
    assert "birthday" in capsys.readouterr().out
    assert main([str(sealed.path), str(stranger)]) == cameo.NotVerified.exit_code


@pytest.mark.slow
def test_the_examples_that_enrol_cast_and_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home"))
    folder = tmp_path / "demo"
    words = [str(folder), "--seconds", "5", "--steps", "0"]
    assert load_example(ROOT / "examples" / "enrol_and_cast.py").main(words) == 0
    assert (folder / "clip.mp4").stat().st_size > 0
    assert load_example(ROOT / "examples" / "enrol_and_cast.py").main(words) == cameo.OutputError.exit_code
    clips = [str(folder / name) for name in ("selfie.mp4", "clip.mp4")]
    assert load_example(ROOT / "examples" / "compare_two_clips.py").main(clips) == 0
    assert "consistency-only" in capsys.readouterr().out


@pytest.mark.slow
def test_the_example_that_lends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home"))
    folder = tmp_path / "lent"
    words = [str(folder), "--seconds", "5", "--frames", "8"]
    assert load_example(ROOT / "examples" / "lend_and_revoke.py").main(words) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said if line.startswith("refused")] == [
        "refused  wrong_holder",
        "refused  uses_exhausted",
        "refused  revoked",
    ]
    assert sorted(path.name for path in folder.glob("*.mp4")) == ["by-bob.mp4", "by-tool.mp4", "selfie.mp4"]
    decisions = [line.split()[2:] for line in said if line.startswith("receipt")]
    cast = [["allow"], ["released"]]
    assert decisions == [
        *cast,
        ["deny", "wrong_holder"],
        *cast,
        ["deny", "uses_exhausted"],
        ["deny", "revoked"],
    ]
