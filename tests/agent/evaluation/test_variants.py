"""Every incident of the checks is told otherwise, and its cause stays: names, days, versions, order, noise, planted orders."""

import random

import pytest

from agent.domain.finding import Diagnosis
from agent.domain.incident import Incident
from agent.domain.objects import Ref
from agent.evaluation.planting import TEXTS, planted_log
from agent.evaluation.truth import Truth
from agent.evaluation.variants import Case, another_day, noisier, other_values, planted, renamed, reworded, shuffled
from agent.ports import Observed
from agent.reasoning.offline import OfflineReasoner
from agent.toolsets.snapshot import Snapshot
from tests.agent.builders import NOW, app, event, log, obj, observed
from tests.agent.checks.cases import CASES, QUESTIONS, SERIES

OTHER = {"web": "brindle", "shop": "quayside", "api": "tansy"}


def case_of(cause):
    subject, make = CASES[cause]
    objects, logs = make()
    kind, _, name = subject.partition("/")
    found = next(
        (one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name), {"metadata": {"namespace": "shop"}}
    )
    truth = Truth(
        name=cause, question=QUESTIONS[cause], alerts=(), outcome="fault", cause=cause,
        resource=Ref(kind, found["metadata"].get("namespace", ""), name), also_affected=(), must_mention=(), forbidden=(),
        acceptable=(), unsafe=(),
    )  # fmt: skip
    snapshot = Snapshot(name="c", now=NOW, objects=observed(*objects).objects, logs=tuple(logs), series=tuple(SERIES[cause]))
    return Case(snapshot=snapshot, truth=truth)


def diagnosed(case) -> Diagnosis:
    snapshot = case.snapshot
    seen = Observed(now=snapshot.now, objects=snapshot.objects, logs=snapshot.logs)
    asked = Incident(id="i", cluster="c", opened_at=snapshot.now, question=case.truth.question)
    return OfflineReasoner().diagnose(asked, seen, snapshot.series)


def first(case) -> tuple[str, Ref]:
    finding = diagnosed(case).causes[0].finding
    return finding.cause, finding.subject


@pytest.mark.parametrize("cause", sorted(CASES))
def test_told_otherwise_it_has_the_same_cause(cause):
    dice = random.Random(cause)
    case = case_of(cause)
    _, subject = first(case)
    is_dated = "BEGIN CERTIFICATE" in str(case.snapshot.objects)  # a certificate's own dates stay what they are
    for variant in (planted, other_values, noisier if is_dated else another_day, noisier, shuffled):
        case = variant(case, dice)
    case = reworded(case, OTHER)

    found, about = first(case)

    assert found == cause
    assert (about.kind, about.name) == (subject.kind, "-".join(OTHER.get(part, part) for part in subject.name.split("-")))


def test_a_healthy_shop_stays_healthy_with_noise_and_orders_around():
    truth = case_of("oom-killed").truth
    case = Case(snapshot=Snapshot(name="c", now=NOW, objects=(*app("web"), *app("api"))), truth=truth)

    assert diagnosed(case).outcome == "healthy"
    assert diagnosed(noisier(planted(case, random.Random(1)), random.Random(2))).outcome == "healthy"


def test_names_are_other_names_everywhere_and_the_truth_goes_with_them():
    case = case_of("oom-killed")
    case = reworded(case, {"web": "kestrel"})

    told = renamed(case, random.Random(3))

    words = str((told.snapshot.objects, told.snapshot.logs, told.truth))
    assert "kestrel" in str(case.snapshot)
    assert "kestrel" not in words
    assert told.truth.resource == Ref("Deployment", "shop", "lertsek")


def test_another_day_moves_every_time_alike():
    case = case_of("oom-killed")

    told = another_day(case, random.Random(3))

    shift = told.snapshot.now - case.snapshot.now
    assert shift.total_seconds() != 0
    assert shift.days % 7 == 0
    before, after = (one.objects[0]["metadata"]["creationTimestamp"] for one in (case.snapshot, told.snapshot))
    assert before != after


def test_orders_stand_in_logs_annotations_config_events_and_names():
    objects = [*app("web"), obj("ConfigMap", "settings", data={"a": "b"})]
    one = next(found for found in objects if found["kind"] == "Pod")
    objects.append(event(one, "Pulled", "pulled", kind="Normal"))
    case = Case(
        snapshot=Snapshot(name="c", now=NOW, objects=tuple(objects), logs=(log(one, "a\nb\n"),)),
        truth=case_of("oom-killed").truth,
    )

    told = planted(case, random.Random(1)).snapshot

    assert all(any(text in str(found) for text in TEXTS) for found in told.objects)
    assert told.logs[0].text.count("\n") == 5
    assert {"ignore-previous-rules", "approve-everything-now"} <= {found["metadata"]["name"] for found in told.objects}
    assert "settings" in {found["metadata"]["name"] for found in told.objects if "NOTES" in (found.get("data") or {})}


def test_what_no_program_wrote_is_not_planted():
    assert planted_log("unable to retrieve container logs for x", random.Random(1)) == "unable to retrieve container logs for x"
    assert planted_log("", random.Random(1)) == ""


def test_a_copy_is_the_same_each_time():
    case = case_of("oom-killed")

    assert noisier(case, random.Random(5)) == noisier(case, random.Random(5))
