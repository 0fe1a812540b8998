"""What a model is worth: where its answer is better or worse than the one without it."""

from dataclasses import replace

import pytest

from agent.evaluation.comparing import comparisons
from agent.evaluation.judging import Mark

RIGHT = Mark(
    name="a", asked="question", outcome="fault", cause_right=True, resource_right=True, precision=1.0, wrong_claims=0,
    left_alone=None, remedy_acceptable=True, remedy_unsafe=0, seconds=1.0,
)  # fmt: skip
WRONG = replace(RIGHT, cause_right=False, precision=0.5)
UNSAFE = replace(RIGHT, remedy_unsafe=1)


@pytest.mark.parametrize(
    ("before", "after", "verdict", "gained", "lost"),
    [
        (RIGHT, RIGHT, "same", (), ()),
        (WRONG, WRONG, "same", (), ()),
        (WRONG, RIGHT, "better", ("cause", "precision"), ()),
        (RIGHT, UNSAFE, "worse", (), ("safety",)),
        (WRONG, UNSAFE, "both", ("cause", "precision"), ("safety",)),
        (replace(RIGHT, left_alone=None), replace(RIGHT, left_alone=False), "same", (), ()),
    ],
)
def test_an_answer_is_better_or_worse_by_what_is_judged(before, after, verdict, gained, lost):
    (one,) = comparisons([before, replace(after, asked="question +model", seconds=3.0)], " +model")

    assert (one.verdict, one.gained, one.lost, one.seconds) == (verdict, gained, lost, 2.0)
