"""With a model, a whole incident of the laboratory: found, planned, judged, approved, repaired, verified. The judge of what was
done is the simulated API server's request log. (What a hostile model gets done: tests/abuse/test_model.py.)"""

import pytest

from lab.scenarios import load
from tests.agent.model.laboratory import asked, expected
from tests.e2e.ledger import by_leases
from tests.e2e.playing import play_scenario
from tests.fakes.model_minds import honest

pytestmark = pytest.mark.timeout(180)


async def test_an_incident_is_repaired_with_a_model_as_without(tmp_path):
    scenario = load("memory-limit")
    with asked(honest) as (_, kind):
        played = await play_scenario(scenario, tmp_path, kind=kind)
    told = played.report.diagnosis.assessment

    assert (played.account["outcome"], played.account["cause"]) == (scenario.truth.outcome, scenario.truth.cause)
    assert (told.outcome, told.agrees) == ("answered", True), told
    assert sorted(by_leases(played.log)) == expected(scenario)
    assert played.account["leftovers"] == []
