"""Every recording told otherwise, with planted orders; `make eval` tells each in every way by itself."""

import random

import pytest

from agent.domain.finding import Diagnosis
from agent.domain.incident import Incident
from agent.evaluation.truth import SNAPSHOT, TRUTH, read_truth
from agent.evaluation.variants import Case, everything, planted
from agent.ports import Observed
from agent.reasoning.offline import OfflineReasoner
from agent.toolsets.snapshot import load
from tests.recordings.place import ROOT

NAMES = sorted(path.name.removesuffix(TRUTH) for path in ROOT.glob(f"*{TRUTH}"))
pytestmark = pytest.mark.skipif(not NAMES, reason=f"no recordings at {ROOT} (set LESTRADE_SHARED)")


def diagnosed(case: Case) -> Diagnosis:
    snapshot, question = case.snapshot, case.truth.question
    seen = Observed(now=snapshot.now, objects=snapshot.objects, logs=snapshot.logs)
    return OfflineReasoner().diagnose(
        Incident(id="i", cluster="c", opened_at=snapshot.now, question=question), seen, snapshot.series
    )


@pytest.mark.parametrize("name", NAMES)
def test_told_otherwise_it_is_answered_alike(name):
    case = Case(snapshot=load(ROOT / f"{name}{SNAPSHOT}"), truth=read_truth(ROOT / f"{name}{TRUTH}"))
    dice = random.Random(name)
    told = planted(everything(case, dice), dice)

    found = diagnosed(told)

    assert found.outcome == told.truth.outcome
    if told.truth.outcome == "fault":
        assert [one.finding.cause for one in found.causes] == [told.truth.cause]
        assert [one.finding.subject for one in found.causes] == [told.truth.resource]
    said = found.statement.lower()
    assert [terms for terms in told.truth.must_mention if not any(term.lower() in said for term in terms)] == []
    assert [claim for claim in told.truth.forbidden if claim.lower() in said] == []
