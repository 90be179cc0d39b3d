"""Write the report of an enrolment: one HTML file without scripts and without anything fetched."""

from __future__ import annotations

import os

from jinja2 import Environment, PackageLoader, StrictUndefined

from cameo.files import atomic_write
from cameo.records import Enrollment
from cameo.report import pictures, plots, wording

_MODE = 0o600  # the page shows the person and is not encrypted


def write_report(path: str | os.PathLike[str], enrollment: Enrollment) -> None:
    """Write the report of an enrolment to `path`, readable by its owner only.

    Raises:
        OutputError: the file cannot be written; what stood there before is untouched.
    """
    # A file name need not be text: what is not becomes a question mark.
    atomic_write(path, render_report(enrollment).encode("utf-8", "replace"), _MODE)


def render_report(enrollment: Enrollment) -> str:
    """Render the report as an HTML document; the same enrolment gives the same text."""
    face, voice = enrollment.face, enrollment.voice
    return _environment().get_template("page.html.j2").render(
        enrollment=enrollment,
        sealed=enrollment.sealed,
        source=enrollment.clip.source,
        adapter=enrollment.adapter,
        conclusion=wording.conclude(enrollment),
        figures=wording.key_figures(enrollment),
        assurance=wording.ASSURANCE.get(enrollment.sealed.assurance, ""),
        used=pictures.show_used(enrollment),
        rejected=pictures.show_rejected(enrollment),
        stills=pictures.show_stills(enrollment.adapter),
        faces_plot=plots.plot_faces(enrollment),
        faces_agree=wording.agreement(wording.used_likeness(enrollment), face.encoder.threshold, "used frames"),
        voices_plot=plots.plot_voices(enrollment),
        voices_agree=wording.agreement(enrollment.window_likeness, voice.encoder.threshold, "windows of speech"),
        loss_plot=plots.plot_loss(enrollment.adapter),
        likeness_plot=plots.plot_likeness(enrollment.adapter),
    )  # fmt: skip


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cameo.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": wording.number, "size": wording.size, "duration": wording.duration}
    return environment
