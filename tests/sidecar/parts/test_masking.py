"""Masking: what it keeps in memory of what it has seen."""

import tracemalloc

from sidecar.execution import masked
from sidecar.reading.shapes import names_a_credential

LONG = 200_000


def test_names_of_any_length_that_a_plan_makes_up_do_not_stay_in_memory():
    tracemalloc.start()
    try:
        for number in range(40):
            name = f"{number}-" + "token" * (LONG // 5)
            assert str(masked({"data": {name: "v"}})).count("hidden") == 1
            assert str(masked({"env": [{"name": name, "value": "v"}]})).count("hidden") == 1
            assert not names_a_credential(name)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 5 * LONG
