"""Hold the pages against the code: links, code blocks, command lines."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

import cameo
from cameo.cli import VERBS, Verb, main
from cameo.cli.arguments import VerbParser
from cameo.cli.bench import BENCHES
from cameo.cli.status import _PARTS
from cameo.errors import UsageError
from tests.docs.markdown import ROOT, Block, anchors, blocks, codes, links, pages, rows, section
from tests.seal.conftest import sealed as sealed  # noqa: F401  a double to read

DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = pages()
BLOCKS = [block for page in PAGES for block in blocks(page)]
PYTHON = [block for block in BLOCKS if block.language == "python"]


def _name(value: Any) -> str:
    if isinstance(value, Block):
        return f"{value.page.relative_to(ROOT)}-{BLOCKS.index(value)}"
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


# Pages.


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        assert target.is_relative_to(ROOT), f"{link} leaves the repository"
        if anchor:
            assert anchor in anchors(target), f"{link}: no such heading"


def test_the_map_shows_every_page() -> None:
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links(DOCS / "README.md")}
    missing = [page for page in DOCS.rglob("*.md") if page not in linked and page != DOCS / "README.md"]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_fences_are_closed(page: Path) -> None:
    fences = [line for line in page.read_text("utf-8").splitlines() if line.startswith("```")]
    assert len(fences) == 2 * len(blocks(page))


# Code blocks.


@pytest.mark.parametrize("block", PYTHON, ids=_name)
def test_python_compiles(block: Block) -> None:
    compile(block.code, str(block.page), "exec")


@pytest.mark.parametrize("block", PYTHON, ids=_name)
def test_python_uses_names_of_the_front_door(block: Block) -> None:
    for name in re.findall(r"\bcameo\.([A-Za-z_]+)\b", re.sub(r'"[^"\n]*"', '""', block.code)):
        if not re.search(rf"^\s*(from|import) cameo\.{name}\b", block.code, re.MULTILINE):
            assert name in cameo.__all__, f"cameo.{name}"


@pytest.mark.parametrize("block", [block for block in PYTHON if block.runs], ids=_name)
def test_marked_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block.code, str(block.page), "exec"), {"__name__": "docs"})


# Command lines.


def _is_there(verb: Verb) -> bool:
    return find_spec(verb.target.partition(":")[0]) is not None


class _Parsed(Exception):
    """Stop a verb once its words are understood."""


@cache
def _stop_after_parsing() -> Any:
    parse = VerbParser.parse_args

    def stop(self: VerbParser, words: Sequence[str] | None = None, namespace: Any = None) -> Any:
        raise _Parsed(self, parse(self, words, namespace))

    return stop


def _parse(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> VerbParser:
    """Let a verb parse its words and return its parser."""
    module, function = VERBS[words[0]].target.split(":")
    run = getattr(import_module(module), function)
    monkeypatch.setattr(VerbParser, "parse_args", _stop_after_parsing())
    with pytest.raises(_Parsed) as stopped:
        run(list(words[1:]))
    return stopped.value.args[0]


def _command_lines() -> Iterator[tuple[str, str]]:
    """Every `cameo …` line of the fenced blocks, with its page."""
    for block in BLOCKS:
        if block.language in ("python", "toml", "json"):
            continue
        for line in block.code.replace("\\\n", " ").splitlines():
            bare = re.sub(r"^\s*(\$ |[A-Z_]+=\S+ )*", "", line)
            if re.match(r"(\.venv/bin/)?cameo\s+[a-z-]", bare) and " VERB" not in bare:
                yield str(block.page.relative_to(ROOT)), bare


@pytest.mark.parametrize(("page", "line"), list(_command_lines()))
def test_command_lines_parse(page: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(line, comments=True)[1:]
    if words[0] in ("--help", "--version"):
        return
    if words[0] == "--traceback":
        words = words[1:]
    assert words[0] in VERBS, f"{page}: {line}"
    if words[1:] == ["--help"]:
        return
    try:
        _parse(words, monkeypatch)
    except UsageError as error:
        pytest.fail(f"{page}: {line}\n{error.message}")


# `cameo status` and `cameo bench` are several verbs in one.
PARTS = [f"status {part}" for part in _PARTS] + [f"bench {name}" for name in BENCHES if _is_there(BENCHES[name])]
CALLS = [verb for verb in VERBS if verb not in ("status", "bench")] + PARTS


def _section(call: str) -> str:
    return section(REFERENCE / "cli.md", f"{'###' if call in PARTS else '##'} `cameo {call}`")


def _whole_call(call: str, monkeypatch: pytest.MonkeyPatch) -> VerbParser:
    """Get a verb's parser by way of the first command line shown for it."""
    shown = [shlex.split(line, comments=True)[1:] for _, line in _command_lines()]
    mine = (words for words in shown if words[: len(call.split())] == call.split() and "--help" not in words)
    return _parse(next(mine), monkeypatch)


@pytest.mark.parametrize("verb", VERBS)
def test_the_reference_has_each_verb(verb: str) -> None:
    page = REFERENCE / "cli.md"
    assert section(page, f"## `cameo {verb}`").strip()
    assert f"[`{verb}`](#cameo-{verb})" in page.read_text("utf-8")


@pytest.mark.parametrize("call", CALLS)
def test_the_reference_lists_each_option(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = _section(call)
    told = {word.split()[0] for row in rows(text) for word in codes(row[0]) if word.startswith("--")}
    actions = _whole_call(call, monkeypatch)._actions
    real = {option for a in actions for option in a.option_strings if option.startswith("--")} - {"--help"}
    assert told == real
    for action in actions:
        if not action.option_strings:
            assert f"`{action.metavar}`" in text


def json_members(call: str) -> set[str]:
    """What the reference says that `--json` prints: the first word in backticks of each item."""
    listed = re.search(r"^`--json`: (.+?)(?:\n\n|\Z)", _section(call), re.MULTILINE | re.DOTALL)
    assert listed, f"cameo {call}: --json is not described"
    text = re.sub(r"\]\([^()\s]*\)", "]", listed[1].replace("\n", " "))
    return set(codes(re.sub(r"\([^()]*\)", "", text)))


@pytest.mark.parametrize("words", [["verify"], ["verify", "--owner"], ["inspect"], ["inspect", "--owner"]])
def test_json_of_a_double(words: list[str], sealed: Any, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    pub = sealed.path.with_suffix(".pub")
    pub.write_bytes(sealed.keys.public.to_bytes())
    owner = [*words[1:], str(pub)] if len(words) > 1 else []
    assert main([words[0], str(sealed.path), *owner, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == json_members(words[0])


def test_json_of_keygen(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_PASSPHRASE", "a passphrase for tests")
    assert main(["keygen", "--out", str(tmp_path / "ada.key"), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == json_members("keygen")


def test_json_of_enroll_and_cast() -> None:
    from cameo.cli.enroll import _value
    from cameo.records import CastClip, ExportedLora, TuningStep
    from cameo.scores import Fidelity
    from cameo.screenplay import Film

    made = MagicMock()
    made.adapter.curve, made.adapter.best_step = (TuningStep(0, 0.5, 0.5, 0.1, 0.0),), 0
    made.sealed.parts, made.seconds, made.quality.checks = {}, {}, ()
    assert set(_value(made, None)) == json_members("enroll")
    assert {field.name for field in fields(CastClip)} == json_members("cast")
    assert {field.name for field in fields(ExportedLora)} == json_members("export")
    assert {field.name for field in fields(Fidelity)} - {"shown"} | {"format"} == json_members("bench fidelity")
    assert {field.name for field in fields(Film)} == json_members("film")
