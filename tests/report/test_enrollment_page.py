"""The whole page: complete, self-contained, safe against what it shows, and written whole or not at all."""

from __future__ import annotations

import datetime
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import cameo.report
from cameo.errors import OutputError
from cameo.records import MATCHED, Earlier, Precedents, TuningStep
from cameo.report.enrollment_page import render_report
from cameo.weights import RESEARCH_ONLY
from tests.report.conftest import CHECKS, REJECTED
from tests.report.markup import Page

if TYPE_CHECKING:
    from pathlib import Path

    from cameo.records import Enrollment

HOSTILE = '"><script>alert(1)</script><img src=https://evil.example/x onerror=alert(2)>'
LARGEST_BYTES = 2_500_000


@pytest.fixture(scope="module")
def html(enrollment: Enrollment) -> str:
    return render_report(enrollment)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def long_clip(enrollment: Enrollment, times: int) -> Enrollment:
    """Repeat a recording `times` times."""
    clip, track, quality = enrollment.clip, enrollment.track, enrollment.quality
    count = times * len(clip.frames)
    frames = np.concatenate([clip.frames] * times)
    repeated = {name: np.concatenate([getattr(track, name)] * times) for name in track.__slots__}
    return replace(
        enrollment,
        clip=replace(clip, frames=frames, times_s=np.arange(count) / 25.0),
        track=replace(track, **repeated),
        quality=replace(
            quality, frame_scores=np.tile(quality.frame_scores, times), reasons=quality.reasons * times
        ),
        frame_likeness=np.tile(enrollment.frame_likeness, times),
        frames_used=np.tile(enrollment.frames_used, times),
        window_likeness=np.tile(enrollment.window_likeness, times),
    )  # fmt: skip


def test_the_important_comes_first(page: Page) -> None:
    text = page.text
    order = ["ada.cameo is ready", "not encrypted", "consistency-only", "What a new recording", "What the generator",
             "One person from start to end?", "Frames", "Quality of the recording", "Tuning", "What was agreed to",
             "Details"]  # fmt: skip
    places = [text.index(part) for part in order[:4]]
    headings = [text.index(part, places[-1]) for part in order[4:]]
    assert places + headings == sorted(places + headings)


def test_it_says_what_was_made_from_what_for_whom(page: Page, enrollment: Enrollment) -> None:
    assert f"A double of the face and voice in {enrollment.clip.source.name} ." in page.text
    assert f"Only the holder of the owner's key, {enrollment.sealed.owner[:16]}…" in page.text


def test_a_voice_from_elsewhere_is_said(enrollment: Enrollment) -> None:
    source = replace(enrollment.clip.source, voice_name="voice.wav")
    page = Page(render_report(replace(enrollment, clip=replace(enrollment.clip, source=source))))
    assert f"A double of the face in {source.name} and the voice in voice.wav ." in page.text


def test_the_assurance_is_explained(enrollment: Enrollment, page: Page) -> None:
    assert "Assurance: consistency-only. The likeness scores tell whether a clip is one person and whether" in page.text
    assert "not who somebody is" in page.text
    matched = Page(render_report(replace(enrollment, sealed=replace(enrollment.sealed, assurance=MATCHED))))
    assert "whether two recordings show one person" in matched.text
    assert "moved towards them" not in matched.text


def test_who_was_enrolled_before_is_shown(enrollment: Enrollment) -> None:
    created = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
    check = replace(CHECKS[0], name="others_face", title="Face of nobody else", value=0.71, level="fail", advice="look")
    precedents = Precedents("all", (check,), (Earlier("0e" * 16, created, "/home/<b>/old.cameo", 0.934),), 2)
    encoder = replace(enrollment.face.encoder, id="insightface:a+b", licence=RESEARCH_ONLY)
    face = replace(enrollment.face, encoder=encoder)
    page = Page(render_report(replace(enrollment, precedents=precedents, face=face)))
    assert "on 2026-03-01, likeness 0.93: /home/<b>/old.cameo" in page.text
    assert "0e" * 16 in page.text and "Not compared: 2" in page.text
    assert "Face of nobody else" in page.text and "speaks against" in page.text
    assert "Licence: insightface:a+b is for non-commercial research only" in page.text


def test_every_check_is_in_the_table(page: Page) -> None:
    for check in CHECKS:
        assert check.title in page.text
        assert check.limit in page.text
        assert check.source in page.text
        assert (check.advice in page.text) == (check.level != "ok")
    assert "1,278" in page.text
    assert page.text.count("✓\xa0 good") + page.text.count("✓ good") == 3


def test_every_reason_and_its_count_are_shown(page: Page) -> None:
    for reason, frames in REJECTED.items():
        assert f"{reason} {len(frames)} frame" in page.text
    assert "Used for the face: 86 frames" in page.text
    assert "Left out: 14 frames" in page.text


def test_pictures_and_plots_are_all_there(page: Page) -> None:
    # A pair, three views of six moments, sixteen used and twelve rejected frames, three views of four mistakes.
    assert len(page.all("img")) == 2 + 3 * 6 + 16 + 12 + 3 * 4
    assert len(page.all("svg")) == 5
    labels = [div["aria-label"] for div in page.all("div") if div.get("role") == "img"]
    assert len(labels) == 5
    assert any("86 of 86 used frames reach 0.35" in label for label in labels)


def test_consent_sizes_times_versions_and_digests_are_shown(page: Page, enrollment: Enrollment) -> None:
    sealed, adapter = enrollment.sealed, enrollment.adapter
    digests = [sealed.sha256, sealed.bundle_id, sealed.owner, enrollment.clip.source.sha256, adapter.base_digest,
               enrollment.face.encoder.digest, enrollment.voice.encoder.digest]  # fmt: skip
    names = [*sealed.parts, *enrollment.seconds, *enrollment.versions, *enrollment.versions.values()]
    sizes = ["401 kB", "180 kB", "14.3 kB", "at most 4 MB", "✓ 581 kB", "612,480 bytes", "1 min 0 s", "56.4 s"]
    consent = ["I am 18 or older.", "It may be used:", "only the owner: clips of themselves, until 2027-11-25"]
    for expected in (*digests, *names, *sizes, *consent):
        assert expected in page.text


def test_nothing_is_fetched_and_nothing_runs(page: Page, html: str) -> None:
    loads = page.values("src", "href", "xlink:href", "srcset", "action", "data", "poster", "background")
    assert loads
    assert all(value.startswith(("data:image/jpeg;base64,", "#")) for value in loads)
    styles = "".join(page.styles) + " ".join(page.values("style", "clip-path", "fill", "filter", "mask"))
    assert set(re.findall(r"url\(\s*['\"]?(.)", styles)) <= {"#"}
    assert "@import" not in styles
    assert not {tag for tag, _ in page.elements} & {"script", "iframe", "object", "embed", "link", "base", "form"}
    assert "<script" not in html.lower()
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")


def test_a_screen_reader_finds_its_way(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert all(image.get("alt", "").strip() for image in page.all("img"))
    assert all(cell.get("scope") in ("row", "col") for cell in page.all("th"))
    assert len(page.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    ids = page.values("id")
    assert len(ids) == len(set(ids))


def test_it_has_a_dark_and_a_narrow_form(page: Page) -> None:
    css = "".join(page.styles)
    assert "@media (prefers-color-scheme: dark)" in css
    assert "@media (max-width: 720px)" in css
    colours = [set(re.findall(r"(--[a-z]+):", block)) for block in re.findall(r":root \{([^}]*)\}", css)]
    assert len(colours) == 2
    assert colours[0] == colours[1]
    used = set(re.findall(r"var\((--[a-z]+)\)", css + " ".join(page.values("style"))))
    assert used - {"--moments"} <= colours[0]


FIELDS = ("path", "name", "voice", "container", "consent", "reason", "version", "step", "part")


@pytest.mark.parametrize("field", FIELDS)
def test_what_comes_from_outside_is_escaped(enrollment: Enrollment, field: str) -> None:
    sealed, clip, quality = enrollment.sealed, enrollment.clip, enrollment.quality
    evil = {
        "path": lambda: replace(enrollment, sealed=replace(sealed, path=HOSTILE)),
        "name": lambda: replace(enrollment, clip=replace(clip, source=replace(clip.source, name=HOSTILE))),
        "voice": lambda: replace(enrollment, clip=replace(clip, source=replace(clip.source, voice_name=HOSTILE))),
        "container": lambda: replace(enrollment, clip=replace(clip, source=replace(clip.source, container=HOSTILE))),
        "consent": lambda: replace(enrollment, consent=(HOSTILE, f"  - {HOSTILE}")),
        "reason": lambda: replace(enrollment, quality=replace(quality, reasons=(HOSTILE,) * len(quality.reasons))),
        "version": lambda: replace(enrollment, versions={HOSTILE: HOSTILE}),
        "step": lambda: replace(enrollment, seconds={HOSTILE: 1.0}),
        "part": lambda: replace(enrollment, sealed=replace(sealed, parts={f"adapter.{HOSTILE}.face": 1})),
    }[field]()
    page = Page(render_report(evil))
    assert not page.all("script")
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert "alert(1)" in page.text


def test_names_that_are_not_text_are_written(enrollment: Enrollment, tmp_path: Path) -> None:
    source = replace(enrollment.clip.source, name="caf\udce9.mp4")
    cameo.report.write_report(tmp_path / "r.html", replace(enrollment, clip=replace(enrollment.clip, source=source)))
    assert "caf?.mp4" in (tmp_path / "r.html").read_text("utf-8")


def test_step_0_is_said_at_the_top_and_in_the_tuning(enrollment: Enrollment) -> None:
    adapter = replace(enrollment.adapter, best_step=0, after=enrollment.adapter.before)
    text = Page(render_report(replace(enrollment, adapter=adapter))).text
    assert text.count("Tuning did not help, so nothing of it was kept (step 0)") == 2
    assert "kept: step 0, untuned" in text
    assert "as sealed: tuning changed nothing" in text


def test_a_recording_with_nothing_to_say(enrollment: Enrollment) -> None:
    count = len(enrollment.clip.frames)
    none = np.zeros((0, 64, 64, 3), np.uint8)
    bare = replace(
        enrollment,
        quality=replace(enrollment.quality, checks=(), reasons=("",) * count),
        frames_used=np.zeros(count, bool),
        frame_likeness=np.full(count, math.nan, np.float32),
        window_likeness=np.zeros(0, np.float32),
        adapter=replace(
            enrollment.adapter, curve=(TuningStep(0, math.nan, math.nan, math.nan, 0.0),), best_step=0,
            before=none, after=none, real=none, mistakes=(),
        ),
        sealed=replace(enrollment.sealed, parts={}),
        consent=(),
        seconds={},
        versions={},
    )  # fmt: skip
    page = Page(render_report(bare))
    assert not page.all("img")
    assert not re.search(r"\b(nan|inf|None|Undefined)\b", page.text)
    assert "What a new recording" not in page.text
    assert "Left out: none" in page.text


def test_many_frames_keep_the_page_small(enrollment: Enrollment, tmp_path: Path) -> None:
    cameo.report.write_report(tmp_path / "r.html", long_clip(enrollment, 30))
    assert 100_000 < (tmp_path / "r.html").stat().st_size < LARGEST_BYTES


def test_the_file_is_for_its_owner_and_replaces_the_old_one(enrollment: Enrollment, html: str, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    cameo.report.write_report(target, enrollment)
    assert target.read_text("utf-8") == html  # so the same enrolment gives the same page
    assert target.stat().st_mode & 0o077 == 0
    assert len(html) < LARGEST_BYTES
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("place", ["missing/report.html", "a-folder", "a-file/report.html"])
def test_where_nothing_can_be_written_nothing_is(enrollment: Enrollment, tmp_path: Path, place: str) -> None:
    (tmp_path / "a-folder").mkdir()
    (tmp_path / "a-file").write_text("as it was")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError) as caught:
        cameo.report.write_report(tmp_path / place, enrollment)
    assert caught.value.hint
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "a-file").read_text() == "as it was"


def test_a_disk_that_fills_up_leaves_the_old_report(
    enrollment: Enrollment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")

    def full(_: Path, __: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OutputError, match="no space left"):
        cameo.report.write_report(target, enrollment)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
