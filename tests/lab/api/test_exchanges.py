"""The simulated API server answers what a real one answered: every recorded exchange is tried; those not served are
listed, with the reason.
"""

from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.lab.api.recording import exchanges, groups, shared
from tests.lab.api.replay import Replay

NOT_SERVED: dict[str, list[str]] = yaml.safe_load((Path(__file__).parent / "not_served.yaml").read_text(encoding="utf-8")) or {}
REASONS = {exchange_id: reason for reason, ids in NOT_SERVED.items() for exchange_id in ids}

pytestmark = pytest.mark.skipif(
    shared() is None, reason="the shared recordings are not beside this checkout (see LESTRADE_SHARED)"
)


@cache
def replayed(group: str) -> dict[str, list[str]]:
    return Replay(group).run()


@pytest.mark.parametrize("exchange", exchanges(), ids=lambda e: e["id"])
def test_the_recorded_answer_is_given(exchange):
    differences = replayed(exchange["group"]).get(exchange["id"])

    assert differences is not None, "not tried"
    if exchange["id"] in REASONS:
        assert differences, f"listed as not served ({REASONS[exchange['id']]}), but it agrees: take it off the list"
    else:
        assert not differences, "\n".join(differences[:20])


@pytest.mark.parametrize("group", groups())
def test_no_request_breaks_the_server(group):
    assert replayed(group).get("faults", []) == []


def test_every_listed_exchange_exists():
    assert set(REASONS) <= {e["id"] for e in exchanges()}
