"""WORKFLOW: recognise a person who enrols: was this face here before, and does one voice say all of it?

What is looked through is the registry of this machine. The encoders decide how much an answer is worth: one that is
`consistency-only` can warn, and never refuses anybody.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cameo.capture.liveness import free_speech, spoken_answer, weigh_voice
from cameo.capture.pose_answer import watch_turns
from cameo.embed.calibration import find_calibration
from cameo.embed.gallery import Gallery, pack_vector, search_limit, turn_for_search, unpack_vector
from cameo.errors import NotPermitted
from cameo.records import MATCHED, Check, Earlier, Precedents
from cameo.registry.gallery import TurnedVector
from cameo.registry.store import Registry

if TYPE_CHECKING:
    from cameo import config
    from cameo.capture.challenge import Challenge
    from cameo.embed.template import PosedTemplate
    from cameo.embed.voice import VoiceEncoder
    from cameo.records import Clip, EncoderInfo, Evidence, FaceTrack, Speech, Template

_LEAST_S = 1.0  # of speech on either side, or the voices are not compared; the encoders need as much
_WEAK = "; this encoder is weak at telling people apart, so it is only a warning"


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Hold the turned templates of a person who enrols; none where nothing is looked for.

    Attributes:
        owner: fingerprint of their key.
        among: "all", "own" or "off"; see `config.gallery`.
        templates: of face and voice.
    """

    owner: str
    among: config.Gallery
    templates: tuple[PosedTemplate, ...] = field(default=(), repr=False)

    @property
    def vectors(self) -> tuple[TurnedVector, ...]:
        """What the registry keeps of them."""
        return tuple(_vector(template) for template in self.templates)


def turn_newcomer(owner: str, templates: tuple[Template, ...], among: config.Gallery) -> Newcomer:
    """Turn the templates of a person by the key of this machine's registry.

    Raises:
        CameoError: the registry or its secret cannot be read or made.
    """
    if among == "off":
        return Newcomer(owner, among)
    with closing(Registry()) as registry:
        key = registry.gallery_key()
    return Newcomer(owner, among, tuple(turn_for_search(template, key) for template in templates))


def find_precedents(newcomer: Newcomer) -> Precedents:
    """Look for a person among the doubles that were enrolled on this machine.

    Raises:
        CameoError: the registry cannot be read.
    """
    checks: list[Check] = []
    earlier: tuple[Earlier, ...] = ()
    compared = 0
    if not newcomer.templates:
        return Precedents(newcomer.among)
    with closing(Registry()) as registry:
        for template in newcomer.templates:
            kept = registry.turned_vectors(_vector(template))
            own = [vector for vector in kept if vector.owner == newcomer.owner]
            others = [vector for vector in kept if vector.owner != newcomer.owner] if newcomer.among == "all" else []
            if template.encoder.modality == "face":
                compared = len(own) + len(others)
                earlier = _earlier(registry, template, own)
            checks += [*_own_check(template, own), *_others_check(template, others)]
        living = registry.living(newcomer.owner)
    to_compare = sum(living) if newcomer.among == "all" else living[0]
    return Precedents(newcomer.among, tuple(checks), earlier, max(0, to_compare - compared))


def require_first(precedents: Precedents, allow_duplicate: bool) -> None:
    """Refuse a face that another owner has enrolled.

    Raises:
        NotPermitted: "enrolled_by_another", unless it is allowed.
    """
    if precedents.duplicate and not allow_duplicate:
        hint = "if both keys are yours, hand the old double over: cameo rekey; else say so: --allow-duplicate"
        raise NotPermitted("another owner has enrolled this face on this machine", hint, "enrolled_by_another")


def hear_answer(
    clip: Clip, speech: Speech, challenge: Challenge | None, encoder: VoiceEncoder, track: FaceTrack | None = None
) -> tuple[Evidence, ...]:
    """Compare the voice that says the digits of a challenge with the rest of the speech.

    Args:
        clip: the recording.
        speech: what was found of speech in it.
        challenge: what was asked, if anything.
        encoder: of the voice.
        track: the main face, whose turns tell when the challenge begins; without it, at once.

    Returns:
        The evidence; none without a challenge, or where there is less than a second of either.
    """
    if challenge is None:
        return ()
    begins_s = watch_turns(track, clip.times_s, challenge).begins_s if track is not None else 0.0
    said = [part(clip, speech, challenge, begins_s) for part in (spoken_answer, free_speech)]
    if min(len(samples) for samples in said) < _LEAST_S * clip.rate_hz:
        return ()
    answer, rest = (encoder.embed(samples) for samples in said)
    return (weigh_voice(float(answer @ rest), encoder.info.threshold),)


def _vector(template: PosedTemplate) -> TurnedVector:
    encoder = template.encoder
    return TurnedVector(encoder.modality, encoder.id, encoder.digest, template.rotation, pack_vector(template))


def _gallery(template: PosedTemplate, vectors: list[TurnedVector]) -> Gallery:
    encoder = template.encoder
    rows = np.array([unpack_vector(vector.data, encoder) for vector in vectors], np.float32)
    names = [vector.bundle_id for vector in vectors]
    return Gallery(encoder, template.rotation, names, rows.reshape(len(names), encoder.dimension))


def _earlier(registry: Registry, face: PosedTemplate, own: list[TurnedVector]) -> tuple[Earlier, ...]:
    """Name the owner's own doubles that show this face."""
    hits = [hit for hit in _gallery(face, own).search(face, len(own)) if hit.score >= face.encoder.threshold]
    known = [(registry.get(hit.name), hit.score) for hit in hits]
    return tuple(Earlier(double.bundle_id, double.created, str(double.path), score) for double, score in known)


def _own_check(template: PosedTemplate, own: list[TurnedVector]) -> list[Check]:
    """Compare with the owner's earlier doubles: one key, one person."""
    encoder = template.encoder
    # A weak encoder takes a quarter of voices for another's in another recording: its word would say nothing.
    if not own or (encoder.modality == "voice" and encoder.assurance != MATCHED):
        return []
    best = _gallery(template, own).search(template)[0].score
    return [
        Check(
            name=f"own_{encoder.modality}",
            title=f"Same {encoder.modality} as your earlier doubles",
            value=best,
            unit="",
            limit=f"at least {encoder.threshold:.2f} to the likest of {_doubles(len(own))} of yours",
            level="ok" if best >= encoder.threshold else "warn",
            source=encoder.threshold_source,
            advice="a key is for one person; if this is somebody else, enrol them under a key of their own"
            + _caution(encoder),
        )
    ]


def _others_check(template: PosedTemplate, others: list[TurnedVector]) -> list[Check]:
    """Compare with the doubles of other owners: one person, one owner."""
    if not others:
        return []
    encoder, calibration = template.encoder, find_calibration(template.encoder)
    best, limit = _gallery(template, others).search(template)[0].score, search_limit(encoder, len(others), calibration)
    # A voice alone refuses nobody: the face is what a double shows.
    level = "fail" if encoder.assurance == MATCHED and encoder.modality == "face" else "warn"
    seems = "has" if encoder.assurance == MATCHED else "may have"
    measured = calibration.source if calibration else encoder.threshold_source
    return [
        Check(
            name=f"others_{encoder.modality}",
            title=f"{encoder.modality.capitalize()} that no other owner has enrolled",
            value=best,
            unit="",
            limit=f"below {limit:.2f} to the likest of {_doubles(len(others))} of others",
            level=level if best >= limit else "ok",
            source=f"{measured}; raised so that at most 1 % of searches among so many find somebody wrongly",
            advice=f"another owner {seems} enrolled this {encoder.modality} on this machine{_caution(encoder)}",
        )
    ]


def _doubles(count: int) -> str:
    return f"{count} double{'' if count == 1 else 's'}"


def _caution(encoder: EncoderInfo) -> str:
    return "" if encoder.assurance == MATCHED else _WEAK
