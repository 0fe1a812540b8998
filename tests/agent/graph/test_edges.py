"""Every edge of the graph, on fakes: where a run goes, what it leaves in the world, and what it says."""

import pytest

from agent.graph import Bounds
from tests.fakes.agent_runs import play
from tests.fakes.agent_world import HEALS, TOO_LOW, Script


def reason(op: str, **fix: object) -> dict[str, object]:
    return {"rule": "bounds", "step": "step-1", "message": "not so", "fix": {"op": op, "text": "do it otherwise", **fix}}


async def test_a_fault_is_repaired_with_an_approval_and_the_lease_is_settled(tmp_path):
    run = await play(tmp_path)

    assert run.report.outcome == "repaired"
    assert run.ends == ["helped"]
    assert run.world.writes == ["lease-1 step-1 64Mi->256Mi"]
    assert run.world.settlements() == ["helped"]
    assert [answer.person for answer in run.report.rounds[0].status.answers] == ["ada"]


async def test_the_plan_cites_evidence_that_is_in_the_report(tmp_path):
    run = await play(tmp_path)

    cited = {(piece.id, piece.sha256) for piece in run.report.rounds[0].plan.cited}
    assert cited
    assert cited == {(piece.id, piece.sha256) for piece in run.report.evidence}


async def test_what_policy_allows_outright_waits_for_nobody(tmp_path):
    run = await play(tmp_path, Script(review=False, answer="never"))

    assert run.report.outcome == "repaired"


async def test_a_healthy_cluster_is_an_answer_and_nothing_is_proposed(tmp_path):
    run = await play(tmp_path, memory=HEALS)

    assert run.report.outcome == "healthy"
    assert run.report.rounds == ()
    assert "submit" not in run.world.calls


async def test_without_a_sidecar_there_is_a_diagnosis_only(tmp_path):
    run = await play(tmp_path, governed=False)

    assert run.report.outcome == "diagnosed"
    assert run.world.writes == []


async def test_a_sidecar_that_is_down_leaves_the_diagnosis_and_changes_nothing(tmp_path):
    run = await play(tmp_path, Script(down=("all",)))

    assert run.report.outcome == "ungoverned"
    assert run.world.writes == []
    assert run.report.diagnosis.causes[0].finding.cause == "oom-killed"


async def test_what_did_not_help_is_undone_and_the_next_remedy_is_tried(tmp_path):
    run = await play(tmp_path, Script(remedies=("96Mi", HEALS)))

    assert run.report.outcome == "repaired"
    assert run.ends == ["did-not-help", "helped"]
    assert run.world.writes == ["lease-1 step-1 64Mi->96Mi", "lease-1 undo step-1 96Mi->64Mi", "lease-2 step-1 64Mi->256Mi"]
    assert run.world.settlements() == ["undone", "helped"]


async def test_what_was_undone_is_given_the_time_to_fail_again_before_the_next_remedy_is_tried(tmp_path):
    run = await play(tmp_path, Script(remedies=("96Mi", HEALS), starts_for=45.0))

    assert run.report.outcome == "repaired"
    assert run.ends == ["did-not-help", "helped"]


async def test_what_does_not_fail_again_after_it_was_undone_is_not_repaired_any_further(tmp_path):
    run = await play(tmp_path, Script(remedies=("96Mi", HEALS), starts_for=86400.0))

    assert run.ends == ["did-not-help"]
    assert run.report.outcome == "not-repaired"


async def test_when_no_remedy_helped_the_cluster_is_as_it_was(tmp_path):
    run = await play(tmp_path, Script(remedies=("96Mi", "80Mi")))

    assert run.report.outcome == "not-repaired"
    assert run.world.memory == TOO_LOW
    assert run.world.open_leases == []


async def test_no_more_remedies_are_tried_than_the_bound_says(tmp_path):
    bounds = Bounds(rounds=2, poll_seconds=5, approval_wait_seconds=0)

    run = await play(tmp_path, Script(remedies=("70Mi", "80Mi", "90Mi", HEALS)), bounds=bounds)

    assert run.ends == ["did-not-help", "did-not-help"]
    assert run.report.outcome == "not-repaired"


async def test_a_denial_with_a_replacement_is_proposed_again_with_it(tmp_path):
    fix = reason("replace", path="/steps/0/action/changes/0/after", value=HEALS)

    run = await play(tmp_path, Script(remedies=("9999Mi",), deny={1: [fix]}))

    assert run.ends == ["denied", "helped"]
    assert run.world.memory == HEALS
    assert run.report.rounds[1].remedy == run.report.rounds[0].remedy


async def test_a_fix_that_does_not_fit_the_plan_leads_to_the_next_remedy(tmp_path):
    fix = reason("replace", path="/steps/7/action/replicas", value=3)

    run = await play(tmp_path, Script(remedies=("9999Mi", HEALS), deny={1: [fix]}))

    assert run.ends == ["denied", "helped"]
    assert run.report.rounds[1].remedy != run.report.rounds[0].remedy


async def test_dropping_the_only_step_leaves_no_plan(tmp_path):
    run = await play(tmp_path, Script(deny={1: [reason("drop")]}))

    assert run.report.outcome == "denied"
    assert run.world.writes == []


async def test_a_denial_without_a_fix_is_reported_and_nothing_is_touched(tmp_path):
    run = await play(tmp_path, Script(deny={1: [{"rule": "freeze", "step": "", "message": "production is frozen", "fix": None}]}))

    assert run.report.outcome == "denied"
    assert run.world.writes == []
    assert any("production is frozen" in entry.text for entry in run.report.timeline)


async def test_a_commit_asked_for_by_policy_is_in_the_report_as_a_diff(tmp_path):
    run = await play(tmp_path, Script(deny={1: [reason("commit")]}))

    commit = next(found for found in run.report.follow_ups if found.kind == "commit")
    assert "-  memory: 64Mi" in commit.diff
    assert "+  memory: 256Mi" in commit.diff


async def test_a_policy_that_always_denies_with_a_fix_ends_the_run(tmp_path):
    fixes = {n: [reason("replace", path="/steps/0/action/changes/0/after", value=f"{300 + n}Mi")] for n in range(1, 100)}

    run = await play(tmp_path, Script(deny=fixes))

    assert run.report.outcome == "denied"
    assert len(run.report.rounds) <= 9


async def test_a_person_who_says_no_ends_the_run(tmp_path):
    run = await play(tmp_path, Script(answer="deny", remedies=(HEALS, "512Mi")))

    assert run.report.outcome == "refused"
    assert run.world.writes == []
    assert len(run.report.rounds) == 1


async def test_nobody_answering_is_told_as_such(tmp_path):
    run = await play(tmp_path, Script(answer="expire"))

    assert run.report.outcome == "no-answer"
    assert "nobody answered" in run.report.headline


@pytest.mark.parametrize("where", ["changed_at_lease", "changed_at_step"])
async def test_a_changed_target_is_read_again_and_planned_again(tmp_path, where):
    run = await play(tmp_path, Script(**{where: (1,)}))

    assert run.ends == ["target-changed", "helped"]
    assert run.report.outcome == "repaired"
    assert run.world.open_leases == []


async def test_a_target_that_always_changes_ends_the_run(tmp_path):
    run = await play(tmp_path, Script(changed_at_step=tuple(range(1, 50))))

    assert run.report.outcome == "not-repaired"
    assert run.world.writes == []
    assert run.world.open_leases == []


async def test_a_step_that_the_cluster_refuses_leads_to_the_next_remedy(tmp_path):
    run = await play(tmp_path, Script(remedies=("512Mi", HEALS), failed_at_step=(1,)))

    assert run.ends == ["failed", "helped"]
    assert run.world.settlements() == ["not-performed", "helped"]


async def test_an_effect_that_cannot_be_seen_is_not_success(tmp_path):
    run = await play(tmp_path, Script(blind=True))

    assert run.ends == ["unverified"]
    assert run.report.outcome == "human-needed"
    assert run.world.settlements() == ["unknown"]
    assert any("could not be seen" in text for text in run.report.unknowns)


async def test_a_metric_that_does_not_exist_is_unknown_not_zero(tmp_path):
    run = await play(tmp_path, Script(question_of_checks="nothing_total == 0"))

    assert run.ends == ["unverified"]


async def test_a_metric_that_says_so_is_success(tmp_path):
    run = await play(tmp_path, Script(question_of_checks="kills_total == 0"))

    assert run.ends == ["helped"]


async def test_a_metric_that_says_otherwise_is_a_failure(tmp_path):
    run = await play(tmp_path, Script(remedies=("96Mi",), question_of_checks="kills_total == 0"))

    assert run.ends == ["did-not-help"]


async def test_a_remedy_for_a_person_is_left_to_a_person(tmp_path):
    run = await play(tmp_path, Script(remedies=(), human="choose a storage class"))

    assert run.report.outcome == "human-needed"
    assert [found.text for found in run.report.follow_ups] == ["choose a storage class"]


async def test_the_reasoner_gets_to_see_what_it_asks_for_but_not_forever(tmp_path):
    run = await play(tmp_path, Script(wants=("ns:payments", "ns:ledger")))

    reads = [call for call in run.world.calls if call.startswith("overview")]
    assert "overview shop,payments,ledger" in reads
    assert run.report.outcome == "repaired"


async def test_a_cluster_that_does_not_answer_is_a_failed_run_with_a_reason(tmp_path):
    run = await play(tmp_path, Script(unreachable=True))

    assert run.report.outcome == "failed"
    assert "nothing answers" in run.report.headline


async def test_a_sidecar_lost_while_settling_is_told(tmp_path):
    run = await play(tmp_path, Script(down=("settle",)))

    assert run.report.outcome == "ungoverned"
    assert any("could not be settled" in text for text in run.report.unknowns)


async def test_a_repair_beside_which_another_cause_is_left_is_not_called_repaired(tmp_path):
    run = await play(tmp_path, Script(second_cause="choose a storage class"))

    assert run.ends == ["helped"]
    assert run.report.outcome == "human-needed"
    assert "ledger" in run.report.headline
    assert "Repaired: Deployment shop/checkout" in run.report.headline
    assert [cause.finding.cause for cause in run.report.diagnosis.causes] == ["oom-killed", "storageclass-missing"]
    assert [found.kind for found in run.report.follow_ups] == ["human", "commit"]


async def test_what_was_performed_is_not_forgotten_when_the_cluster_is_lost_right_after(tmp_path):
    run = await play(tmp_path, Script(lost_after_writes=1))

    assert run.world.writes == ["lease-1 step-1 64Mi->256Mi"]
    assert [result.status for result in run.report.rounds[0].steps] == ["performed"]
    assert run.ends == ["unverified"]
    assert run.world.settlements() == ["unknown"]


async def test_a_step_without_an_answer_is_not_recorded_as_not_performed(tmp_path):
    run = await play(tmp_path, Script(down=("perform",)))

    assert run.report.outcome == "ungoverned"
    assert run.world.settlements() == ["unknown"]
