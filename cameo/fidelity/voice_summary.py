"""Sum the voices of a system's clips up: per person, and for the system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cameo.fidelity.intervals import estimate, estimate_closed, mean_of_known
from cameo.scores import ClipVoice, Lips, PersonVoice, SystemVoice

if TYPE_CHECKING:
    from cameo.records import Float64
    from cameo.scores import ClipScore, VoiceReference


def sum_voices(clips: Sequence[ClipScore], references: Sequence[VoiceReference]) -> SystemVoice | None:
    """Sum the clips of one system up; None where none has speech.

    Args:
        clips: all of them.
        references: for lips of real clips.
    """
    spoken: dict[str, list[ClipVoice]] = {}
    for clip in clips:
        if clip.voice is not None:
            spoken.setdefault(clip.person, []).append(clip.voice)
    if not spoken:
        return None
    people = sorted(spoken)
    real = {one.person: one.lips for one in references}
    own, floor, ceiling = (_per_person(people, spoken, name) for name in ("likeness", "floor", "ceiling"))
    lips = {person: [voice.lips for voice in spoken[person] if voice.lips] for person in people}
    return SystemVoice(
        people=tuple(_person(person, spoken[person]) for person in people),
        clips=sum(map(len, spoken.values())),
        likeness=estimate(own),
        ceiling=estimate(ceiling),
        floor=estimate(floor),
        closed=estimate_closed(own, floor, ceiling),
        sync=estimate(_per_person(people, lips, "sync")),
        chance=estimate(_per_person(people, lips, "chance")),
        real_sync=estimate(_per_person(people, real, "sync")),
        real_chance=estimate(_per_person(people, real, "chance")),
    )


def _per_person(
    people: Sequence[str], found: Mapping[str, Sequence[ClipVoice] | Sequence[Lips]], name: str
) -> list[Float64]:
    """By person, a value of each of their clips."""
    return [np.array([getattr(one, name) for one in found.get(person, ())], np.float64) for person in people]


def _person(person: str, voices: Sequence[ClipVoice]) -> PersonVoice:
    lips = [voice.lips for voice in voices if voice.lips]
    return PersonVoice(
        person=person,
        clips=len(voices),
        speech_s=mean_of_known([voice.speech_s for voice in voices]),
        likeness=mean_of_known([voice.likeness for voice in voices]),
        ceiling=mean_of_known([voice.ceiling for voice in voices]),
        floor=mean_of_known([voice.floor for voice in voices]),
        sync=mean_of_known([one.sync for one in lips]),
        chance=mean_of_known([one.chance for one in lips]),
    )
