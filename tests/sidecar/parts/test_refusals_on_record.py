"""Refusals on record: the first of a kind at once, a flood as a count, nothing lost where the record was away."""

import pytest

from sidecar.errors import JournalUnavailable
from sidecar.gate.refusals import MOST_A_WINDOW, Refusal, Refusals


class Records:
    def __init__(self) -> None:
        self.kept: list[tuple[str, dict]] = []
        self.down = False

    def one(self, kind, *, actor, plan="", lease="", body) -> None:
        if self.down:
            raise JournalUnavailable("away")
        self.kept.append((kind, {**body, "actor": actor, "plan": plan}))

    def counted(self) -> int:
        return sum(body["count"] for kind, body in self.kept if kind == "refused-more")


@pytest.fixture
def records():
    return Records()


@pytest.fixture
def refusals(records):
    return Refusals(records)


def refusal(status: int = 401, code: str = "not-authenticated", **more) -> Refusal:
    return Refusal(side="agent", status=status, code=code, actor="unknown", method="GET", path="/x", **more)


def test_the_first_is_recorded_and_the_rest_is_counted(records, refusals):
    for _ in range(1000):
        refusals.note(refusal())
    assert [kind for kind, _ in records.kept] == ["refused"]
    refusals.flush(now=True)
    assert records.counted() == 999


def test_refusals_about_different_plans_have_a_record_each_but_not_without_end(records, refusals):
    for number in range(MOST_A_WINDOW + 50):
        refusals.note(refusal(409, "not-approved", plan=f"{number:064x}"))
    assert len(records.kept) == MOST_A_WINDOW
    refusals.flush(now=True)
    assert records.counted() == 50


def test_whoever_has_no_credentials_cannot_name_a_thousand_plans(records, refusals):
    for number in range(50):
        refusals.note(refusal(401, plan=f"{number:064x}"))
    assert len(records.kept) == 1


def test_what_could_not_be_recorded_is_counted_when_the_record_is_back(records, refusals):
    records.down = True
    for _ in range(3):
        refusals.note(refusal())  # raises nothing
    refusals.flush(now=True)
    records.down = False
    refusals.flush(now=True)
    assert records.counted() == 3


def test_a_no_of_the_gate_is_recorded_once_for_each_reason_and_fails_closed(records, refusals):
    def turned_away(reason: str) -> None:
        refusals.once("step-turned-away", actor="agent", plan="p", lease="l", body={"step": "step-1", "reason": reason})

    records.down = True
    with pytest.raises(JournalUnavailable):
        turned_away("not-next")
    records.down = False
    for _ in range(5):
        turned_away("not-next")
        turned_away("lease-over")
    assert [body["reason"] for _, body in records.kept] == ["not-next", "lease-over"]
    refusals.flush(now=True)
    assert records.counted() == 8


def test_a_flood_at_the_edge_drowns_no_refusal_of_the_gate(records, refusals):
    for number in range(MOST_A_WINDOW + 1):
        refusals.note(refusal(409, "not-approved", plan=f"{number:064x}"))
    refusals.once("undo-incomplete", actor="sidecar", plan="p", lease="l", body={"reason": "step-1: target-changed"})
    assert records.kept[-1][0] == "undo-incomplete"
