"""Sum scores of clips up: per person, per system, and system against system."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from cameo.fidelity.intervals import estimate, estimate_closed, estimate_difference, mean_of_known
from cameo.fidelity.looks import POSES, TURNED_DEG
from cameo.fidelity.voice_summary import sum_voices
from cameo.scores import FIRST, VOICE, ClipScore, Difference, PersonRow, PoseRow, RealScore, Row, SystemScore

if TYPE_CHECKING:
    from cameo.records import Float32, Float64
    from cameo.scores import VoiceReference


@dataclass(frozen=True, slots=True)
class Scored:
    """Hold everything that was measured of one system.

    `directions` are the mean directions of its clips by person and name, `[D]` each, of those that show a face; `real`
    is by person.
    """

    system: str
    clips: Sequence[ClipScore]
    directions: Mapping[tuple[str, str], Float32]
    real: Mapping[str, RealScore]

    @property
    def people(self) -> list[str]:
        """Everybody of whom there is a clip."""
        return sorted({clip.person for clip in self.clips})

    def per_person(self, read: Callable[[ClipScore], float]) -> list[Float64]:
        """By person, a value of each of their clips."""
        return [np.array([read(c) for c in self.clips if c.person == person], np.float64) for person in self.people]

    def per_real(self, read: Callable[[RealScore], Sequence[float]]) -> list[Float64]:
        """By person, values of their real frames; none where there are none."""
        return [np.array(read(self.real[p]) if p in self.real else (), np.float64) for p in self.people]


def summarise(scored: Scored, measures: Sequence[str], voices: Sequence[VoiceReference] = ()) -> SystemScore:
    """Sum one system up.

    Args:
        scored: what was measured.
        measures: keys of recognisers.
        voices: what is known of people's real voices.
    """
    films = consistency(scored)
    return SystemScore(
        system=scored.system,
        people=tuple(_person_row(scored, person, films.get(person, ())) for person in scored.people),
        clips=len(scored.clips),
        faceless=sum(clip.found[FIRST] == 0 for clip in scored.clips),
        rows=tuple(_row(scored, measure) for measure in measures),
        poses=tuple(_pose_row(scored, pose) for pose in POSES),
        slope_per_s=estimate(scored.per_person(lambda c: c.drift.slope_per_s if c.drift else math.nan)),
        change=estimate(scored.per_person(lambda c: c.drift.last - c.drift.first if c.drift else math.nan)),
        kept=estimate(scored.per_person(lambda c: c.drift.kept if c.drift else math.nan)),
        real_slope_per_s=estimate(scored.per_real(lambda r: r.slopes_per_s)),
        consistency=estimate([np.array(films.get(person, ())) for person in scored.people]),
        real_consistency=estimate(scored.per_real(lambda r: (r.kept,))),
        copying=estimate(scored.per_person(lambda c: c.copying)),
        voice=sum_voices(scored.clips, voices),
    )


def compare_systems(systems: Sequence[Scored], measures: Sequence[str]) -> list[Difference]:
    """Compare every two systems, the one that was named first with the later one.

    Clips are drawn in pairs for a person of whom both have clips of the same names. `VOICE` is one of the measures.
    """
    found = []
    for first, second in combinations(systems, 2):
        shared = [person for person in first.people if person in second.people]
        sides = [{p: _by_name(one.clips, p) for p in shared} for one in (first, second)]
        paired = [list(sides[0][p]) == list(sides[1][p]) for p in shared]
        for measure in measures:
            left, right = ([_scores(side[person].values(), measure) for person in shared] for side in sides)
            difference = estimate_difference(left, right, paired)
            found.append(Difference(measure, first.system, second.system, difference))
    return found


def consistency(scored: Scored) -> dict[str, tuple[float, ...]]:
    """By person, the cosine between the mean directions of every two clips of one film."""
    found: dict[str, tuple[float, ...]] = {}
    for film, person in sorted({(clip.film, clip.person) for clip in scored.clips if clip.film}):
        keys = [(c.person, c.clip) for c in scored.clips if (c.film, c.person) == (film, person)]
        shown = [scored.directions[key] for key in keys if key in scored.directions]
        if len(shown) > 1:
            rows = np.stack(shown)
            pairs = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
            found[person] = (*found.get(person, ()), *pairs.tolist())
    return found


def _scores(clips: Iterable[ClipScore], measure: str) -> Float64:
    if measure == VOICE:
        return np.array([clip.voice.likeness if clip.voice else math.nan for clip in clips], np.float64)
    return np.array([clip.score[measure] for clip in clips], np.float64)


def _by_name(clips: Sequence[ClipScore], person: str) -> dict[str, ClipScore]:
    return {clip.clip: clip for clip in sorted(clips, key=lambda c: c.clip) if clip.person == person}


def _row(scored: Scored, measure: str) -> Row:
    own = scored.per_person(lambda c: c.score[measure])
    ceiling, floor = (scored.per_real(lambda r: r.ceiling[measure]), scored.per_real(lambda r: r.floor[measure]))
    return Row(
        measure=measure,
        likeness=estimate(own),
        ceiling=estimate(ceiling),
        floor=estimate(floor),
        closed=estimate_closed(own, floor, ceiling),
        strict=estimate(scored.per_person(lambda c: c.strict[measure])),
        found=estimate(scored.per_person(lambda c: c.found[measure])),
    )


def _pose_row(scored: Scored, pose: str) -> PoseRow:
    turned = [np.abs(np.array(clip.yaw_deg)) for clip in scored.clips]
    shown = [(yaw >= TURNED_DEG) if pose == POSES[1] else (yaw < TURNED_DEG) for yaw in turned]
    return PoseRow(
        pose=pose,
        frames=sum(int(one.sum()) for one in shown),
        likeness=estimate(scored.per_person(lambda c: c.poses[pose])),
        real=estimate(scored.per_real(lambda r: (r.poses.get(pose, math.nan),))),
    )


def _person_row(scored: Scored, person: str, pairs: Sequence[float]) -> PersonRow:
    clips = [clip for clip in scored.clips if clip.person == person]
    real = scored.real.get(person)
    measures = list(clips[0].score)
    return PersonRow(
        person=person,
        clips=len(clips),
        likeness={m: mean_of_known([clip.score[m] for clip in clips]) for m in measures},
        ceiling={m: mean_of_known(real.ceiling[m] if real else ()) for m in measures},
        floor={m: mean_of_known(real.floor[m] if real else ()) for m in measures},
        found=mean_of_known([clip.found[FIRST] for clip in clips]),
        slope_per_s=mean_of_known([clip.drift.slope_per_s for clip in clips if clip.drift]),
        consistency=mean_of_known(pairs),
        copying=mean_of_known([clip.copying for clip in clips]),
    )
