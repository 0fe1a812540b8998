"""What a run on a cluster is held to: the scenario's truth, by what can be seen there."""

import json
from collections.abc import Sequence

from tests.cluster.audited import Asked
from tests.cluster.playing import Played, Touched
from tests.e2e.ledger import Write, by_leases, is_refused_after, strangers


def assert_true_to(played: Played, log: Sequence[Asked] | None = None) -> None:
    """`log`: the API server's own, where it can be had. It knows more than the objects do: a field that was removed has no
    owner, and what somebody wrote since has another."""
    assert_outcome_and_cause(played)
    if log is None:
        assert_written_as_true(played)
    else:
        assert_audit_agrees(played, log)
    assert_leases_are_over(played)
    if played.account["outcome"] == "repaired":
        assert played.healed
    assert played.audit_ok is (True if played.scenario.governance.sidecar == "up" else None)


def assert_outcome_and_cause(played: Played) -> None:
    truth, account = played.scenario.truth, played.account
    assert account["outcome"] == truth.outcome, account["headline"]
    assert account["cause"] == truth.cause
    if truth.resource:
        wanted = {"kind": truth.resource.kind, "namespace": truth.resource.namespace, "name": truth.resource.name}
        assert account["resource"] == wanted
    page = json.dumps(account["headline"]) + played.page.read_text()
    assert all(word in page for word in truth.must_mention)
    rules = [rule for round_ in account["rounds"] for rule in round_["rules"]]
    assert not truth.denied_rule or truth.denied_rule in rules
    # There is no Prometheus: the report says so wherever a measurement would have counted.
    assert not played.report.rounds or "no Prometheus is configured" in played.page.read_text() or not _asked_metrics(played)


def _asked_metrics(played: Played) -> bool:
    return any(check.promql for round_ in played.report.rounds if round_.lease for check in round_.plan.verification)


def assert_written_as_true(played: Played) -> None:
    """Steps of this run's leases have fields of exactly the true objects, and of nothing else."""
    expected = {Touched(write.resource, write.namespace, write.name) for write in played.scenario.truth.writes}
    assert set(played.touched) == expected, f"{sorted(played.touched)} and not {sorted(expected)}"
    assert set().union(*played.touched.values()) <= played.leases


def assert_leases_are_over(played: Played) -> None:
    assert played.leftovers == []
    assert len(played.settlements) == len(played.leases)
    for settlement in played.settlements:
        assert settlement.state == "settled"
        assert settlement.refusal in ("401", "403")
        assert settlement.refused_after_ms is not None


def assert_audit_agrees(played: Played, log: Sequence[Asked]) -> None:
    """By the API server's audit log: leases wrote what is true and nothing else, nobody else wrote, and their tokens are dead."""
    truth = [Write(write.verb, write.resource, write.namespace, write.name) for write in played.scenario.truth.writes]
    assert sorted(by_leases(log)) == sorted(truth)
    assert strangers(log) == []
    assert is_refused_after(log)
