"""Hold the reference against the code: names, limits, exit codes, formats."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

import cameo
from cameo import errors
from cameo.capture.limits import RULES
from cameo.errors import CameoError
from tests.docs.markdown import ROOT, blocks, codes, rows, section
from tests.seal.conftest import sealed as sealed  # noqa: F401  a double to read

DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"


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
    for name in ("enroll", "cast", "export"):
        for parameter in inspect.signature(getattr(cameo, name)).parameters.values():
            if parameter.default is not parameter.empty:
                quoted = f"{parameter.name}={parameter.default!r}".replace("'", '"')
                assert quoted in _api_heading(name)


def test_the_number_of_checks() -> None:
    assert len(RULES) == 32
    assert "Thirty-two named checks" in (ROOT / "README.md").read_text("utf-8")


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
    found = reader["read_double"](sealed.path, public.sign_bytes, public.decrypt_bytes, sealed.keys._decrypt)
    assert found == sealed.parts


def test_the_consent_example_is_accepted(tmp_path: Path) -> None:
    (block,) = [b for b in blocks(DOCS / "how-to" / "write-consent-terms.md") if b.language == "toml"]
    (tmp_path / "consent.toml").write_text(block.code, "utf-8")
    terms = cameo.load_terms(tmp_path / "consent.toml")
    assert [purpose.id for purpose in terms.purposes] == ["birthday", "portfolio"]


def test_numbers_of_the_tuning() -> None:
    from cameo.adapt.others import COUNT
    from cameo.adapt.recipe import Recipe
    from cameo.adapt.train import GAP
    from cameo.adapt.watch import DROPPED_SHARE
    from cameo.generators.reference import STEPS
    from cameo.generators.reference_clip import OVERLAP
    from cameo.generators.reference_net import CHANNELS, CONFIG, FRAMES, SIZE
    from cameo.generators.references import REFERENCES

    recipe = Recipe()
    assert (GAP, DROPPED_SHARE, recipe.patience, REFERENCES, STEPS) == (8, 0.25, 2, 16, 1)  # written out as words
    assert (FRAMES, OVERLAP, CONFIG["num_layers"]) == (8, 4, 6)
    learned = " ".join((DOCS / "explanation" / "how-likeness-is-learned.md").read_text("utf-8").split())
    for words in (
        f"{SIZE} × {SIZE} pixels",
        f"rank {recipe.rank} ",
        f"In {recipe.drop_aids:.0%} of".replace("%", " %"),
        f"the last {recipe.held_out:.0%} of".replace("%", " %"),
        f"nearest of {COUNT} rendered",
        f"every {recipe.judge_every} steps",
    ):
        assert words in learned
    assert f"every {recipe.judge_every} steps" in (DOCS / "how-to" / "when-it-fails.md").read_text("utf-8")
    generator = (REFERENCE / "generator.md").read_text("utf-8")
    assert f"{CHANNELS} channels" in generator
    assert f"rank {recipe.rank}," in generator


def test_recipes_of_the_families() -> None:
    from cameo.adapt.recipe import Recipe

    families = [asdict(Recipe.for_generator(name)) for name in ("reference", "wan2.1", "ltx2")]
    told = {codes(name)[0]: values for name, *values, _ in rows((REFERENCE / "tuning.md").read_text("utf-8"))}
    assert told == {name: [str(family[name]) for family in families] for name in families[0]}


def test_tensors_of_the_identity_part() -> None:
    from cameo.generators.references import LAYOUT

    text = section(REFERENCE / "generator.md", "### `identity.reference.face`")
    told = {codes(name)[0]: (shape, kind) for name, shape, kind, _ in rows(text)}
    assert told == {
        name: (" × ".join("R" if n is None else str(n) for n in shape), str(kind).removeprefix("torch."))
        for name, (shape, kind) in LAYOUT.items()
    }


def test_tensors_of_the_voice_part() -> None:
    from cameo.generators.voice_conversion import LAYOUT

    text = section(REFERENCE / "generator.md", "### `adapter.reference.voice`")
    told = {codes(name)[0]: (shape, kind) for name, shape, kind, _ in rows(text)}
    assert told == {name: (" × ".join(map(str, shape)), "float32") for name, shape in LAYOUT.items()}
