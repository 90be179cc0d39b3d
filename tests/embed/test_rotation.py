"""Turned templates compare as before under one key, and tell nothing of each other under two."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cameo.embed.rotation import rotate_template, rotate_vectors, rotation_id
from cameo.embed.template import (
    PosedTemplate,
    compare,
    compare_views,
    pack_template,
    pool,
    pool_views,
    unpack_template,
)
from cameo.errors import EncoderMismatch, UsageError
from tests.embed.test_template import FACE, VOICE, rows

GOLDEN = [0.506642, -0.241661, -0.739220, -0.372112]
GOLDEN_ID = "2d64c3050d91b8dc"
WIDE = dataclasses.replace(FACE, dimension=64)


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def faces(person: int, recording: int) -> PosedTemplate:
    """A template of a person with three views; another recording of them is another draw around the same directions."""
    yaw = np.repeat([0.0, -25.0, 25.0], 8)
    random = np.random.default_rng((person, recording))
    centre = np.random.default_rng(person).standard_normal(64)
    sides = 0.5 * np.random.default_rng((person, 99)).standard_normal((3, 64))
    x = centre + np.repeat(sides, 8, axis=0) + 0.3 * random.standard_normal((24, 64))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return pool_views(x.astype(np.float32), None, yaw.astype(np.float32), WIDE)


@pytest.mark.parametrize("size", [1, 2, 3, 16, 257])
def test_a_rotation_keeps_lengths_and_angles(size: int) -> None:
    encoder = dataclasses.replace(FACE, dimension=size)
    turned = rotate_vectors(np.eye(size, dtype=np.float32), key(1), encoder)
    np.testing.assert_allclose(turned @ turned.T, np.eye(size), atol=1e-5)


def test_the_rotation_is_what_it_was() -> None:
    """Doubles are kept for years: another machine, or a later numpy, must turn as this one did."""
    encoder = dataclasses.replace(FACE, dimension=4, digest="ab" * 32)
    turned = rotate_vectors(np.eye(4, dtype=np.float32)[:1], key(1), encoder)[0]
    np.testing.assert_allclose(turned, GOLDEN, atol=1e-5)
    assert rotation_id(key(1), encoder) == GOLDEN_ID


def test_rotations_are_even_over_the_sphere() -> None:
    """The mean of where one vector goes under many keys is nowhere, and no axis is preferred."""
    encoder = dataclasses.replace(FACE, dimension=5)
    start = np.eye(5, dtype=np.float32)[:1]
    ends = np.concatenate([rotate_vectors(start, key(i), encoder) for i in range(2000)])
    assert np.abs(ends.mean(0)).max() < 4 / np.sqrt(5 * 2000)
    np.testing.assert_allclose(ends.T @ ends / 2000, np.eye(5) / 5, atol=4 * 0.17 / np.sqrt(2000))


def test_comparison_within_a_double_is_unchanged() -> None:
    a, b = faces(1, 1), faces(1, 2)
    turned_a, turned_b = rotate_template(a, key(7)), rotate_template(b, key(7))
    assert compare(turned_a, turned_b) == pytest.approx(compare(a, b), abs=1e-5)
    before, after = compare_views(a, b), compare_views(turned_a, turned_b)
    assert set(after) == {"frontal", "left", "right"}
    assert after == pytest.approx(before, abs=1e-5)


def test_a_probe_is_turned_as_the_template_is() -> None:
    template, probe = faces(1, 1), faces(1, 2).vector
    turned = rotate_template(template, key(7))
    assert rotate_vectors(probe[None], key(7), WIDE)[0] @ turned.vector == pytest.approx(
        float(probe @ template.vector), abs=1e-5
    )


def auc(genuine: np.ndarray, impostor: np.ndarray) -> float:
    return float((genuine[:, None] > impostor[None]).mean() + 0.5 * (genuine[:, None] == impostor[None]).mean())


def test_two_doubles_of_one_person_cannot_be_linked() -> None:
    """Scores of one person's templates under two keys are those of strangers: AUC .5; unturned it is 1."""
    people = 200
    first, second = [faces(p, 1) for p in range(people)], [faces(p, 2) for p in range(people)]
    plain = np.array([[a.vector @ b.vector for b in second[:40]] for a in first[:40]])
    off = ~np.eye(40, dtype=bool)
    assert auc(plain.diagonal(), plain[off]) > 0.99
    one = np.stack([rotate_template(t, key(1000 + i)).vector for i, t in enumerate(first)])
    two = np.stack([rotate_template(t, key(5000 + i)).vector for i, t in enumerate(second)])
    scores = one @ two.T
    found = auc(scores.diagonal(), scores[~np.eye(people, dtype=bool)])
    assert abs(found - 0.5) < 3 * np.sqrt(1 / 12 / people), found
    assert abs(np.mean(np.abs(scores.diagonal())) - np.sqrt(2 / np.pi / 64)) < 0.02


def test_angles_between_views_do_not_link_either() -> None:
    """One recording sealed twice keeps no angle between its views, which a common rotation would."""
    template = faces(3, 1)

    def angles(t: PosedTemplate) -> np.ndarray:
        vectors = np.stack([t.vector, *(view.vector for view in t.views)])
        return np.asarray((vectors @ vectors.T)[np.triu_indices(4, 1)])

    one, two = rotate_template(template, key(1)), rotate_template(template, key(2))
    assert (angles(template) > 0.5).all()
    assert np.abs(angles(one)).max() < 0.5
    assert not np.allclose(angles(one), angles(two), atol=0.05)


def test_what_stays_beside_the_vectors_is_coarse() -> None:
    turned = rotate_template(faces(3, 1), key(1))
    assert len(turned.scores) == 0
    assert turned.count % 12 == 0
    assert turned.spread == pytest.approx(round(turned.spread, 1))
    assert turned.rotation != rotate_template(faces(3, 1), key(2)).rotation


def test_turned_templates_are_packed_and_come_back() -> None:
    for template in (rotate_template(faces(3, 1), key(1)), rotate_template(pool(rows(6, 0.2), None, VOICE), key(1))):
        back = unpack_template(pack_template(template))
        assert isinstance(back, PosedTemplate)
        assert back.rotation == template.rotation
        assert [view.name for view in back.views] == [view.name for view in template.views]
        assert compare(back, template) == pytest.approx(1, abs=1e-5)


def test_templates_of_two_keys_do_not_compare() -> None:
    template = faces(3, 1)
    one, two = rotate_template(template, key(1)), rotate_template(template, key(2))
    for other in (two, template):
        for kind in (compare, compare_views):
            with pytest.raises(EncoderMismatch, match="turned by the keys"):
                kind(one, other)


def test_what_is_refused() -> None:
    template = faces(3, 1)
    with pytest.raises(UsageError, match="a key of 16 bytes"):
        rotate_template(template, bytes(16))
    with pytest.raises(UsageError, match="turned already"):
        rotate_template(rotate_template(template, key(1)), key(1))
    with pytest.raises(EncoderMismatch):
        rotate_vectors(np.ones((2, 8), np.float32), key(1), WIDE)
