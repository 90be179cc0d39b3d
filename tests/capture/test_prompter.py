"""What is shown when: the challenge's own prompts at their own times."""

from __future__ import annotations

from cameo.capture.challenge import prompts
from cameo.capture.prompter import challenge_script, free_script, prompt_at
from tests.capture.answering import fixed_challenge


def test_a_challenge_is_shown_at_its_times() -> None:
    challenge = fixed_challenge()
    script = challenge_script(challenge, 30)
    assert script[1:-1] == prompts(challenge)
    assert (script[0].step, script[0].start_s, script[0].end_s) == ("ready", 0, 1)
    assert (script[-1].start_s, script[-1].end_s) == (challenge.seconds, 30)
    assert challenge_script(challenge, challenge.seconds)[-1].step == "2"
    for prompt in prompts(challenge):
        assert prompt_at(script, prompt.start_s) == prompt == prompt_at(script, prompt.end_s - 1e-6)


def test_without_one_there_are_turns_to_both_sides() -> None:
    script = free_script(15)
    assert [prompt.step for prompt in script] == ["talk", "left", "right", "centre"]
    assert script[0].start_s == 0 and abs(script[-1].end_s - 15) < 1e-9
    assert all(a.end_s == b.start_s for a, b in zip(script, script[1:], strict=False))
    assert prompt_at(script, 99).step == "centre"
