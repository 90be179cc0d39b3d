"""Write the report of an enrolment: one HTML file without scripts and without anything fetched."""

from __future__ import annotations

import os
from typing import Any

from cameo.files import atomic_write
from cameo.records import Enrollment
from cameo.report import parts, pictures, plots, wording
from cameo.report.templates import environment

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
    values = _headline(enrollment) | _findings(enrollment) | _tuning(enrollment)
    return environment().get_template("page.html.j2").render(
        enrollment=enrollment,
        sealed=enrollment.sealed,
        source=enrollment.clip.source,
        adapter=enrollment.adapter,
        consent=wording.consent_paragraphs(enrollment.consent),
        parts=parts.list_parts(enrollment.sealed),
        tuned_size=parts.tuned_size(enrollment.sealed),
        tuned_limit=parts.TUNED_LIMIT,
        **values,
    )  # fmt: skip


def _headline(enrollment: Enrollment) -> dict[str, Any]:
    return {
        "conclusion": wording.conclude(enrollment),
        "figures": wording.key_figures(enrollment),
        "assurance": wording.explain_assurance(enrollment.sealed.assurance),
        "licences": wording.licence_notices(enrollment),
        "pair": pictures.show_pair(enrollment.adapter),
    }


def _findings(enrollment: Enrollment) -> dict[str, Any]:
    face, voice = enrollment.face.encoder, enrollment.voice.encoder
    return {
        "checks": wording.checks_by_urgency(enrollment.quality.checks),
        "alive": wording.conclude_liveness(enrollment.liveness),
        "before": wording.conclude_precedents(enrollment.precedents),
        "used": pictures.show_used(enrollment),
        "rejected": pictures.show_rejected(enrollment),
        "faces_plot": plots.plot_faces(enrollment),
        "faces_agree": wording.agreement(
            wording.used_likeness(enrollment), face.threshold, "used frame", "used frames"
        ),
        "voices_plot": plots.plot_voices(enrollment),
        "voices_agree": wording.agreement(
            enrollment.window_likeness, voice.threshold, "piece of speech", "pieces of speech"
        ),
    }  # fmt: skip


def _tuning(enrollment: Enrollment) -> dict[str, Any]:
    adapter = enrollment.adapter
    return {
        "stills": pictures.show_stills(adapter),
        "tuned": wording.tuning_summary(adapter),
        "loss_plot": plots.plot_loss(adapter),
        "likeness_plot": plots.plot_likeness(adapter),
        "copying_plot": plots.plot_copying(adapter),
        "mistakes": pictures.show_mistakes(adapter),
    }
