"""Say what a reader of scores must know about how they were come by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cameo.fidelity.voice import LEAST_S
from cameo.records import CONSISTENCY_ONLY
from cameo.scores import CURRICULAR, FIRST

if TYPE_CHECKING:
    from cameo.scores import Fidelity

_WELL_HELD = 0.7  # of the speech of clips: pieces are brought to their length within as much; see `fidelity.voice`
FEW_PEOPLE = 5  # with fewer, a bootstrap over people is too narrow. Source: chosen; 5 people give 126 different draws


def notes_on(made: Fidelity, assurance: str, damaged: Sequence[str], blind: Sequence[str]) -> tuple[str, ...]:
    """List what to know, in sentences.

    Args:
        made: the measurement.
        assurance: of the first recogniser.
        damaged: clips of which fewer frames could be decoded than were asked for.
        blind: recognisers and people in whose reference they found no face.
    """
    return (*_on_numbers(made, assurance), *_on_people(made), *_on_clips(made, damaged, blind), *_on_voices(made))


def _on_numbers(made: Fidelity, assurance: str) -> Iterator[str]:
    first = made.measures[0]
    if assurance == CONSISTENCY_ONLY:
        yield (
            f"{first.encoder} does not tell who somebody is: its scores compare clips here, and say nothing beside "
            "published ones."
        )
    elif not first.published:
        why = (
            f"these are by {first.encoder}"
            if made.as_published
            else "the published script was not followed slip by slip"
        )
        yield (
            "Published FaceSim-Arc is by buffalo_l, looked at in one particular way; "
            f"{why}: compare systems here, not with papers."
        )
    if any(measure.key == CURRICULAR for measure in made.measures):
        yield "Whether the CurricularFace weights are the published ones cannot be told from an exported file."


def _on_people(made: Fidelity) -> Iterator[str]:
    count = max(len(system.people) for system in made.systems)
    if count == 1:
        yield "There is one person: intervals cover their clips only, and there is no floor without somebody else."
    elif count < FEW_PEOPLE:
        yield f"There are {count} people: intervals over so few are too narrow."
    without = sorted({real.person for real in made.real if not real.ceiling[FIRST]})
    if without:
        yield f"No ceiling, for lack of held-out real frames: {', '.join(without)}."
    larger = sorted(
        {f"{real.person} in {real.system}" for real in made.real if _is_enlarged(made, real.person, real.system)}
    )
    if larger:
        yield f"Real faces are smaller than generated ones, and were left as they are: {', '.join(larger)}."


def _is_enlarged(made: Fidelity, person: str, system: str) -> bool:
    """Whether generated faces are much larger than real ones, so that the ceiling is too low."""
    real = next(one for one in made.real if (one.person, one.system) == (person, system))
    sizes = sorted(c.eyes_px for c in made.clips if (c.person, c.system) == (person, system) and c.eyes_px > 0)
    return bool(sizes) and sizes[len(sizes) // 2] > 1.5 * real.eyes_px


def _on_clips(made: Fidelity, damaged: Sequence[str], blind: Sequence[str]) -> Iterator[str]:
    if blind:
        yield f"No face was found in a reference, so nothing is said by or of: {', '.join(blind)}."
    for system in made.systems:
        if system.faceless:
            yield f"{system.system}: no face in any frame of {system.faceless} of {system.clips} clips, which score 0."
    if damaged:
        yield f"Damaged, so that fewer frames were looked at: {', '.join(damaged)}."
    if made.skipped:
        yield f"Left out: {len(made.skipped)} file{'s' if len(made.skipped) > 1 else ''}; see the list."


def _on_voices(made: Fidelity) -> Iterator[str]:
    basis = made.voice
    if basis is None:
        return
    if not basis.people:
        yield "No voice was compared: no clip has sound."
        return
    if basis.assurance == CONSISTENCY_ONLY:
        yield (
            f"{basis.encoder} tells voices apart too badly to say whose one is: its scores compare clips here, and say "
            "nothing beside others."
        )
    shown = {clip.person for clip in made.clips if clip.voice is not None}
    mute = [one.person for one in basis.people if not one.speech_s and one.person in shown]
    if mute:
        yield f"No voice was compared, for lack of speech in the reference: {', '.join(mute)}."
    without = [one.person for one in basis.people if one.speech_s and one.held_s < LEAST_S and one.person in shown]
    if without:
        yield f"No ceiling for the voice, for lack of held-out speech: {', '.join(without)}."
    short = [one.person for one in basis.people if LEAST_S <= one.held_s < _WELL_HELD * _longest_s(made, one.person)]
    if short:
        yield f"Held-out speech is shorter than clips, so that the ceiling of the voice is too low: {', '.join(short)}."
    for system in made.systems:
        silent = sorted({c.person for c in made.clips if c.system == system.system and c.voice is None})
        count = system.clips - (system.voice.clips if system.voice else 0)
        if count:
            yield (
                f"{system.system}: {count} of {system.clips} clips have no speech, and no part in what is said of "
                f"voices: of {', '.join(silent)}."
            )


def _longest_s(made: Fidelity, person: str) -> float:
    """Seconds of speech in the clip of somebody that has most of it."""
    return max((clip.voice.speech_s for clip in made.clips if clip.person == person and clip.voice), default=0.0)
