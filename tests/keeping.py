"""A double that keeps the recording it was made from, and stand-ins for the slow steps of adapting it."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cameo.generators import shelf
from cameo.records import Adapter, Enrollment, Observed, RecordedFile
from cameo.registry.store import Double, Registry
from cameo.seal.bundle import Part, seal_bundle
from cameo.seal.captures import CAPTURES, pack_captures
from tests import second
from tests.lendable import Lendable, People, agreed

TERMS = '[[purposes]]\nid = "birthday"\n[retention]\ncaptures = true\n'
# What its owner allows when it is adapted: the second generator as well.
BOTH = TERMS.replace("[retention]", 'generators = ["reference", "second"]\n[retention]')


def shelve_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the second generator be found by its name."""
    monkeypatch.setitem(shelf._SHIPPED, "second", second.PLACE)


def seal_kept(
    folder: Path, people: People, made: Enrollment, parts: list[Part], recording: Path | None, toml: str = TERMS
) -> Lendable:
    """Seal an enrolled person anew, with the recording if there is one, and register the double."""
    path = folder / "ada.cameo"
    if recording is not None:
        captures = pack_captures(RecordedFile(recording.name, recording.read_bytes()))
        parts = [*parts, Part(CAPTURES, CAPTURES, captures)]
    sealed = seal_bundle(path, people.ada, agreed(toml), parts, [made.face.encoder, made.voice.encoder])
    double = Double(sealed.bundle_id, sealed.owner, path.resolve(), "0" * 64, sealed.created, (), sealed.assurance)
    with closing(Registry()) as registry:
        registry.register(double)
    return Lendable(folder, path, sealed.bundle_id, people)


def second_adapter(made: Enrollment, mark: str = "") -> Adapter:
    """Pass what was tuned for the reference generator off as tuned for the second; it is never loaded."""
    parts = {name.replace("reference", "second"): data for name, data in made.adapter.parts.items()}
    base = second.load_second().base_digest
    return dataclasses.replace(made.adapter, generator="second", base_digest=base, parts=parts, facts={"mark": mark})


def observed(made: Enrollment, **changes: Any) -> Observed:
    """Take what an enrolment observed, as if it had been observed again."""
    members = {field.name: getattr(made, field.name) for field in dataclasses.fields(Observed)}
    return Observed(**members | changes)


def stand_in(monkeypatch: pytest.MonkeyPatch, made: Enrollment, **changes: Any) -> list[Any]:
    """Replace observing and tuning; return what was given to be observed, in turn."""
    sources: list[Any] = []

    def observe(source: Any, *_given: Any) -> Observed:
        sources.append(source)
        return observed(made, **changes)

    monkeypatch.setattr("cameo.readapting.observe", observe)
    monkeypatch.setattr("cameo.learning.tune", lambda *_given: second_adapter(made))
    return sources
