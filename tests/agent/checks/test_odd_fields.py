"""Fields of the wrong type, anywhere in any incident: no check breaks on them. Deterministic."""

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from agent.checks import run
from tests.agent.builders import topology
from tests.agent.checks.cases import CASES, SERIES

ODD: tuple[Any, ...] = (None, "", 5, -1, [], {}, [None], [5], ["x"], {"a": 5}, True, {"name": None}, [{"name": 5}], 3.5, [[]])
# what the reader of snapshots vouches for, and no API server gives otherwise
GIVEN = {("kind",), ("apiVersion",), ("metadata",), ("metadata", "name"), ("metadata", "namespace"), ("spec",), ("status",)}


def places(value: Any, so_far: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inside:
        yield (*so_far, key)
        yield from places(below, (*so_far, key))


def spoil(one: dict[str, Any], dice: random.Random) -> None:
    found = [place for place in places(one) if place not in GIVEN and not {"labels", "annotations"} & set(place)]
    *way, last = dice.choice(found or [("extra",)])
    target: Any = one
    for part in way:
        target = target[part]
    target[last] = copy.deepcopy(dice.choice(ODD))


@pytest.mark.parametrize("seed", range(6))
def test_odd_fields_break_no_check(seed):
    dice = random.Random(seed)
    for cause in dice.sample(sorted(CASES), 40):
        objects, logs = CASES[cause][1]()
        objects = copy.deepcopy(objects)
        for _ in range(3):
            spoil(dice.choice(objects), dice)
        run(topology(*objects, logs=logs, series=list(SERIES[cause])))
