"""Several people in LTX-2, where the picture hears a sound that is in no place of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cameo.condition.plug import plug
from cameo.condition.regions import Region, masks_for, plug_together
from cameo.errors import UsageError
from cameo.generators.base import Direction, Performance
from cameo.generators.together import SharedGenerator
from tests.condition.test_plug_pipelines import same, state, unchanged
from tests.generators.lora_parts import random_parts
from tests.generators.test_wan import overheard
from tests.generators.tiny_pipelines import tiny_ltx2_generator

GRID = (4, 12)
APART = [Region((0, 0, 1 / 3, 1), 0.0), Region((2 / 3, 0, 1, 1), 0.0)]
NOBODY = 2
# Whose a token is: of a picture of two times, of what is told, of the copies of a sound of five tokens.
WHOSE = {
    "picture": torch.tensor([0, NOBODY, 1]).repeat_interleave(4).repeat(2 * 4),
    "told": torch.tensor([NOBODY, NOBODY, 0, 1]).repeat_interleave(8),
    "heard": torch.tensor([0, 1, NOBODY]).repeat_interleave(5),
}
DIRECTION = Direction(9, 3, "a person dancing", (96, 32), 1)
Parts = dict[str, bytes]
Call = Callable[[], dict[str, Tensor]]


@pytest.fixture(scope="module", params=["2.0", "2.3"])
def generator(request: pytest.FixtureRequest) -> Any:
    return tiny_ltx2_generator(request.param)


@pytest.fixture(scope="module")
def whole(generator: Any) -> list[Parts]:
    """All parts of two people."""
    return [random_parts(generator, seed=seed) for seed in (5, 6)]


@pytest.fixture(scope="module")
def pair(whole: list[Parts]) -> list[Parts]:
    """Their faces."""
    return [{name: data for name, data in parts.items() if name.endswith(".face")} for parts in whole]


@pytest.fixture(scope="module")
def masks(generator: Any) -> Tensor:
    assert isinstance(generator, SharedGenerator)
    assert generator.cells(generator.settle_together(DIRECTION, 2)) == GRID
    return masks_for(APART, GRID)


def drawn(generator: Any, people: Any, masks: Tensor, **asked: Any) -> Performance:
    made = generator.perform_together(people, masks, generator.settle_together(DIRECTION, 2), **asked)
    assert isinstance(made, Performance)
    return made


def layers(generator: Any, pattern: str) -> dict[str, Any]:
    """Modules of the transformer by name."""
    return {name: layer for name, layer in generator.denoiser.named_modules() if re.fullmatch(pattern, name)}


def alone(generator: Any, pair: list[Parts], call: Call) -> list[dict[str, Tensor]]:
    """What is answered with the first person plugged in alone, with the second, and with nobody."""
    made = []
    for parts in pair:
        with plug(generator, parts):
            made.append(call())
    return [*made, call()]


def shared_out(answers: list[Tensor], whose: Tensor) -> Tensor:
    """Put together `[B, L, C]` of the answers of each, every token from whose it is."""
    return torch.stack(answers)[whose, :, torch.arange(len(whose))].transpose(0, 1)


@torch.no_grad()
def test_an_adapter_acts_on_its_persons_tokens_only(generator: Any, pair: list[Parts], masks: Tensor) -> None:
    """Every adapted layer by itself, given the same: to the last bit a token is treated as by its person alone."""
    torch.manual_seed(1)
    adapted, known = generator.lora_targets("face"), generator.token_layers
    kinds = {
        name: "told" if re.fullmatch(known.told, name) else "heard" if re.fullmatch(known.heard, name) else "picture"
        for name in layers(generator, adapted)
    }
    assert sorted(kinds.values()) == ["heard"] * 4 + ["picture"] * 16 + ["told"] * 4
    given = {
        name: torch.randn(2, len(WHOSE[kinds[name]]), layer.in_features)
        for name, layer in layers(generator, adapted).items()
    }

    def answered() -> dict[str, Tensor]:
        return {name: layer(given[name]) for name, layer in layers(generator, adapted).items()}

    answers = alone(generator, pair, answered)
    for order in ((0, 1), (1, 0)):
        with plug_together(generator, [pair[k] for k in order], masks) as people:
            drawn(generator, people, masks)  # only then it is known how long what is told is
            together = answered()
        for name, kind in kinds.items():
            expected = shared_out([answers[k][name] for k in (*order, NOBODY)], WHOSE[kind])
            assert torch.equal(together[name], expected), name
            assert not torch.equal(answers[0][name], answers[1][name])


@torch.no_grad()
def test_a_place_hears_as_its_person_does_alone(generator: Any, pair: list[Parts], masks: Tensor) -> None:
    """The attention to the sound as a whole, given what it is given in all passes of guidance."""
    hearing, calls = generator.token_layers.hearing, list[tuple[str, Any, dict[str, Any]]]()

    def keep(name: str) -> Callable[[Any, Any, dict[str, Any]], None]:
        return lambda _module, args, named: calls.append((name, args, named))

    hooks = [
        attention.register_forward_pre_hook(keep(name), with_kwargs=True)
        for name, attention in layers(generator, hearing).items()
    ]
    drawn(generator, [None], masks)
    for hook in hooks:
        hook.remove()
    late = generator.denoiser.prompt_modulation
    assert [len(args[0]) for _, args, _ in calls] == ([2, 2, 1, 1] if late else [2, 2]), "two blocks, one or two passes"
    assert all(named["key_rotary_emb"] is not None for _, _, named in calls)

    def answered() -> dict[str, Tensor]:
        attentions = layers(generator, hearing)
        return {f"{k} {name}": attentions[name](*args, **named) for k, (name, args, named) in enumerate(calls)}

    answers = alone(generator, pair, answered)
    for order in ((0, 1), (1, 0)):
        with plug_together(generator, [pair[k] for k in order], masks):
            together = answered()
        for key in together:
            expected = shared_out([answers[k][key] for k in (*order, NOBODY)], WHOSE["picture"])
            torch.testing.assert_close(together[key], expected)
            assert (answers[0][key] - answers[1][key]).abs().max() > 1e-3


def test_a_mask_of_the_sound_holds_for_every_copy(generator: Any, pair: list[Parts], masks: Tensor) -> None:
    (attention, *_) = layers(generator, generator.token_layers.hearing).values()
    torch.manual_seed(2)
    asks, sound = torch.randn(2, 96, 16), torch.randn(2, 5, 8)
    hidden = torch.zeros(2, 1, 5)
    hidden[..., 3:] = -10_000.0
    with torch.no_grad(), plug_together(generator, pair, masks):
        some = attention(asks, encoder_hidden_states=sound[:, :3])
        masked = attention(asks, encoder_hidden_states=sound, attention_mask=hidden)
    torch.testing.assert_close(masked, some)


def test_tokens_are_asked_from_their_region_and_by_what_is_wanted(
    generator: Any, pair: list[Parts], masks: Tensor
) -> None:
    given: list[Tensor] = []
    with plug_together(generator, pair, masks) as people, overheard(generator) as calls:
        for attention in layers(generator, generator.token_layers.asking).values():
            attention.register_forward_pre_hook(
                lambda _m, args, named: given.append(named.get("attention_mask", args[2] if len(args) > 2 else None)),
                with_kwargs=True,
            )
        drawn(generator, people, masks)
        for attention in layers(generator, generator.token_layers.asking).values():
            attention._forward_pre_hooks.popitem()
    assert len(given) == 2 * len(calls), "two blocks"
    for call in calls:
        assert call["encoder_hidden_states"].shape[1] == call["encoder_attention_mask"].shape[1] == 16 + 16
        assert call["audio_encoder_hidden_states"].shape[1] == call["audio_encoder_attention_mask"].shape[1] == 16
    for bias in given:
        assert bias.shape[1:] == (2 * 48, 16 + 16)
        assert torch.all(bias[:, :, :16] == 0)
        asked = bias[-1, :, 16:].isfinite()
        for person, tokens in ((0, slice(8)), (1, slice(8, 16))):
            own = WHOSE["picture"] == person
            assert torch.all(asked[own, tokens]) and not torch.any(asked[~own, tokens])
        assert torch.all(bias[-1, :, 16:][asked] == 0)
        if len(bias) == 2:
            assert torch.all(bias[0, :, 16:] <= -10_000), "by what is not wanted, nobody's"
    assert {len(bias) for bias in given} == {len(call["hidden_states"]) for call in calls}


def test_what_is_drawn_depends_on_who_is_where_and_nothing_is_left(
    generator: Any, pair: list[Parts], masks: Tensor
) -> None:
    assert generator.plan.start, "the text encoder notes things at its first use"
    base, before, clips = drawn(generator, [None], masks), state(generator), []
    for people in (pair, pair, pair[::-1]):
        with plug_together(generator, people, masks) as identities:
            with pytest.raises(UsageError, match="while a double is plugged in"):
                generator.pipe.fuse_lora()
            clips.append(drawn(generator, identities, masks))
    assert same(clips[0], clips[1])
    assert not np.array_equal(clips[0].frames, clips[2].frames)
    assert not np.array_equal(clips[0].frames, base.frames)

    def midway(_share: float) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), plug_together(generator, pair, masks) as identities:
        drawn(generator, identities, masks, pulse=midway)
    assert unchanged(before, state(generator))
    assert same(base, drawn(generator, [None], masks))


def test_nobody_brings_a_voice(generator: Any, whole: list[Parts], pair: list[Parts], masks: Tensor) -> None:
    before = state(generator)
    with (
        pytest.raises(UsageError, match="nobody's voice") as caught,
        plug_together(generator, [pair[0], whole[1]], masks),
    ):
        pytest.fail("plugged in")
    assert "faces alone" in caught.value.hint
    assert unchanged(before, state(generator))


def test_in_bfloat16_as_on_a_card(pair: list[Parts], masks: Tensor, generator: Any) -> None:
    half = tiny_ltx2_generator("2.3" if generator.denoiser.prompt_modulation else "2.0")
    half.pipe.to(torch.bfloat16)
    half.pipe.vae.to(torch.float32)
    base = drawn(half, [None], masks)
    with plug_together(half, pair, masks) as people:
        made = drawn(half, people, masks)
    assert made.frames.std() > 0
    assert not np.array_equal(made.frames, base.frames)
    assert same(base, drawn(half, [None], masks))
