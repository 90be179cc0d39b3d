"""Hold the docs against the code: links, code blocks, command lines, names, limits, exit codes, bytes."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

import cameo
from cameo import errors
from cameo.capture.limits import RULES
from cameo.cli import VERBS, main
from cameo.cli.arguments import VerbParser
from cameo.errors import CameoError, UsageError
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


def _whole_call(verb: str, monkeypatch: pytest.MonkeyPatch) -> VerbParser:
    """Get a verb's parser by way of the first command line shown for it."""
    lines = [line for _, line in _command_lines() if shlex.split(line, comments=True)[1] == verb]
    shown = [shlex.split(line, comments=True)[1:] for line in lines]
    return _parse(next(words for words in shown if "--help" not in words), monkeypatch)


@pytest.mark.parametrize("verb", VERBS)
def test_the_reference_lists_each_option(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = section(REFERENCE / "cli.md", f"## `cameo {verb}`")
    told = {word.split()[0] for row in rows(text) for word in codes(row[0]) if word.startswith("--")}
    actions = _whole_call(verb, monkeypatch)._actions
    real = {option for a in actions for option in a.option_strings if option.startswith("--")} - {"--help"}
    assert told == real
    for action in actions:
        if not action.option_strings:
            assert f"`{action.metavar}`" in text


def _json_members(verb: str) -> set[str]:
    """What the reference says that `--json` prints: the first word in backticks of each item."""
    text = section(REFERENCE / "cli.md", f"## `cameo {verb}`")
    listed = re.search(r"^`--json`: (.+?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    assert listed, f"cameo {verb}: --json is not described"
    return set(codes(re.sub(r"\([^()]*\)", "", listed[1])))


@pytest.mark.parametrize("words", [["verify"], ["verify", "--owner"], ["inspect"], ["inspect", "--owner"]])
def test_json_of_a_double(words: list[str], sealed: Any, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    pub = sealed.path.with_suffix(".pub")
    pub.write_bytes(sealed.keys.public.to_bytes())
    owner = [*words[1:], str(pub)] if len(words) > 1 else []
    assert main([words[0], str(sealed.path), *owner, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == _json_members(words[0])


def test_json_of_keygen(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_PASSPHRASE", "a passphrase for tests")
    assert main(["keygen", "--out", str(tmp_path / "ada.key"), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == _json_members("keygen")


def test_json_of_enroll_and_cast() -> None:
    from cameo.cli.enroll import _value
    from cameo.records import CastClip, TuningStep

    made = MagicMock()
    made.adapter.curve, made.adapter.best_step = (TuningStep(0, 0.5, 0.5, 0.1, 0.0),), 0
    made.sealed.parts, made.seconds, made.quality.checks = {}, {}, ()
    assert set(_value(made, None)) == _json_members("enroll")
    assert {field.name for field in fields(CastClip)} == _json_members("cast")


# Names, limits, exit codes.


def _api_heading(name: str) -> str:
    headings = re.findall(r"^(#{2,4} `.+)$", (REFERENCE / "python-api.md").read_text("utf-8"), re.MULTILINE)
    found = [heading for heading in headings if re.match(rf"#+ `{name}\b", heading)]
    assert len(found) == 1, f"{name} has {len(found)} headings"
    return str(found[0])


@pytest.mark.parametrize("name", [name for name in cameo.__all__ if name != "__version__"])
def test_the_reference_explains_each_name(name: str) -> None:
    heading, value = _api_heading(name), getattr(cameo, name)
    text = section(REFERENCE / "python-api.md", heading)
    if inspect.isfunction(value):
        told = [word.partition("=")[0].strip() for word in heading.partition("(")[2].rpartition(")")[0].split(",")]
        assert [word for word in told if word != "*"] == list(inspect.signature(value).parameters)
    elif issubclass(value, CameoError):
        assert f"Exit code {value.exit_code}." in text
    else:
        source = inspect.getsource(value)
        for member in (word for row in rows(text) for word in codes(row[0])):
            assert member.removeprefix(f"{name}.").partition("(")[0] in source, f"{name} has no {member}"


def test_defaults_of_the_workflows() -> None:
    text = section(REFERENCE / "python-api.md", _api_heading("EnrollOptions"))
    assert [codes(row[0])[0] for row in rows(text)] == [field.name for field in fields(cameo.EnrollOptions)]
    for name in ("enroll", "cast"):
        for parameter in inspect.signature(getattr(cameo, name)).parameters.values():
            if parameter.default is not parameter.empty:
                quoted = f"{parameter.name}={parameter.default!r}".replace("'", '"')
                assert quoted in _api_heading(name)


def test_quality_limits() -> None:
    page = (DOCS / "how-to" / "record-a-good-selfie.md").read_text("utf-8")
    told = {codes(row[0])[0]: row[1:] for row in rows(page) if codes(row[0])}
    assert told == {rule.name: [rule.title, rule.limit, rule.advice, rule.source] for rule in RULES.values()}
    assert len(RULES) == 18
    assert "Eighteen named checks" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("modality", ["face", "voice"])
def test_thresholds_of_the_embedded_encoders(modality: str) -> None:
    facts = json.loads((ROOT / "cameo" / "embed" / "weights" / f"{modality}.json").read_text("utf-8"))
    page = DOCS / "explanation" / "assurance.md"
    assert facts["encoder"]["id"] in codes(page.read_text("utf-8"))
    told = {row[0]: row[1] for row in rows(page.read_text("utf-8"))}
    assert float(told[modality]) == facts["threshold"]["value"]


def _families() -> dict[str, int]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CameoError)]
    return {kind.__name__: kind.exit_code for kind in kinds}


def test_exit_codes_of_each_error_family() -> None:
    page = (DOCS / "how-to" / "when-it-fails.md").read_text("utf-8")
    told = {codes(row[1])[0]: int(row[0]) for row in rows(page) if row[0].isdigit() and codes(row[1])}
    assert told == _families()


def test_exit_codes_of_the_command_line() -> None:
    told = {int(row[0]) for row in rows(section(REFERENCE / "cli.md", "## Exit codes"))}
    assert told == {0, 130, *_families().values()}


def test_environment_variables() -> None:
    read = re.findall(r'environ\.get\("([A-Z_]+)"\)', (ROOT / "cameo" / "config.py").read_text("utf-8"))
    told = {codes(row[0])[0] for row in rows(section(REFERENCE / "configuration.md", "## Environment"))}
    assert told == set(read)


# Formats.


def test_limits_of_the_bundle_format() -> None:
    from cameo.seal import consent, container, manifest

    page = REFERENCE / "bundle-format.md"
    told = dict(rows(section(page, "## The container").split("###")[0]))
    assert {name: int(value.split()[0]) for name, value in told.items()} == {
        "file": container.FILE_LIMIT,
        "entries": container.MAX_ENTRIES,
        "manifest envelope": manifest.ENVELOPE_LIMIT,
        "manifest payload": manifest.PAYLOAD_LIMIT,
        "consent record": consent.RECORD_LIMIT,
        "one consent event": 4096,
    }
    text = page.read_text("utf-8")
    assert manifest.PAYLOAD_TYPE in text
    assert consent.EVENT_TYPE in text
    assert manifest.SUITE in text


def test_members_of_the_bundle_format() -> None:
    import msgspec

    from cameo.seal.consent import ConsentRecord
    from cameo.seal.manifest import EncoderEntry, Manifest

    page = REFERENCE / "bundle-format.md"
    manifest, record = section(page, "## The manifest"), section(page, "## The consent record")
    for text, kind in ((manifest, Manifest), (record, ConsentRecord)):
        told = {name for row in rows(text) for name in codes(row[0])}
        assert told == {field.encode_name for field in msgspec.structs.fields(kind)}
    assert {field.encode_name for field in msgspec.structs.fields(EncoderEntry)} <= set(codes(manifest))


def test_the_reader_of_the_format_page_opens_a_double(sealed: Any) -> None:  # noqa: F811
    (block,) = [block for block in blocks(REFERENCE / "bundle-format.md") if block.runs]
    reader: dict[str, Any] = {"__name__": "docs"}
    exec(compile(block.code, "bundle-format.md", "exec"), reader)
    public = sealed.keys.public
    found = reader["read_double"](sealed.path, public.sign_bytes, public.decrypt_bytes, sealed.keys.decrypt_key)
    assert found == sealed.parts


def test_the_consent_example_is_accepted(tmp_path: Path) -> None:
    (block,) = [b for b in blocks(DOCS / "how-to" / "write-consent-terms.md") if b.language == "toml"]
    (tmp_path / "consent.toml").write_text(block.code, "utf-8")
    terms = cameo.load_terms(tmp_path / "consent.toml")
    assert [purpose.id for purpose in terms.purposes] == ["birthday", "portfolio"]


def test_numbers_of_the_tuning() -> None:
    from cameo.adapt.others import COUNT
    from cameo.adapt.recipe import Recipe
    from cameo.adapt.train import DROPPED_SHARE, GAP
    from cameo.generators.reference import OVERLAP, STEPS
    from cameo.generators.reference_net import CHANNELS, CONFIG, FRAMES, SIZE
    from cameo.generators.references import REFERENCES

    recipe = Recipe()
    assert (GAP, DROPPED_SHARE, recipe.patience, REFERENCES, STEPS) == (8, 0.25, 2, 16, 1)  # written out as words
    assert (FRAMES, OVERLAP, CONFIG["num_layers"]) == (8, 4, 6)
    learned = " ".join((DOCS / "explanation" / "how-likeness-is-learned.md").read_text("utf-8").split())
    for words in (
        f"{SIZE} × {SIZE} pixels",
        f"rank {recipe.rank} ",
        f"In {recipe.drop_references:.0%} of".replace("%", " %"),
        f"the last {recipe.held_out:.0%} of".replace("%", " %"),
        f"nearest of {COUNT} rendered",
        f"every {recipe.judge_every} steps",
    ):
        assert words in learned
    assert f"every {recipe.judge_every} steps" in (DOCS / "how-to" / "when-it-fails.md").read_text("utf-8")
    generator = (REFERENCE / "generator.md").read_text("utf-8")
    assert f"{CHANNELS} channels" in generator
    assert f"rank {recipe.rank}," in generator


def test_tensors_of_the_identity_part() -> None:
    from cameo.generators.references import LAYOUT

    text = section(REFERENCE / "generator.md", "### `identity.reference.face`")
    told = {codes(name)[0]: (shape, kind) for name, shape, kind, _ in rows(text)}
    assert told == {
        name: (" × ".join("R" if n is None else str(n) for n in shape), str(kind).removeprefix("torch."))
        for name, (shape, kind) in LAYOUT.items()
    }


# Examples.

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def _load(path: Path) -> Any:
    spec = spec_from_file_location(f"examples_{path.stem}", path)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", EXAMPLES, ids=_name)
def test_each_example_is_listed_and_explains_itself(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert path.name in links(ROOT / "examples" / "README.md")
    with pytest.raises(SystemExit) as stopped:
        _load(path).main(["--help"])
    assert stopped.value.code == 0
    assert path.name in capsys.readouterr().out


def test_the_example_that_verifies(sealed: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    main = _load(ROOT / "examples" / "verify_a_double.py").main
    owner, stranger = tmp_path / "ada.pub", tmp_path / "bea.pub"
    owner.write_bytes(sealed.keys.public.to_bytes())
    stranger.write_bytes(cameo.OwnerKeys.generate().public.to_bytes())
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
    assert _load(ROOT / "examples" / "enrol_and_cast.py").main(words) == 0
    assert (folder / "clip.mp4").stat().st_size > 0
    assert _load(ROOT / "examples" / "enrol_and_cast.py").main(words) == cameo.OutputError.exit_code
    clips = [str(folder / name) for name in ("selfie.mp4", "clip.mp4")]
    assert _load(ROOT / "examples" / "compare_two_clips.py").main(clips) == 0
    assert "consistency-only" in capsys.readouterr().out
