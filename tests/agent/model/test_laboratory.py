"""With a model, a whole incident of the laboratory: found, planned, judged, approved, repaired, verified. The judge of what was
done is the simulated API server's request log. (What a hostile model gets done: tests/abuse/test_model.py.)"""

import pytest

from lab.scenarios import load
from tests.agent.model.laboratory import asked, expected
from tests.e2e.ledger import by_leases
from tests.e2e.playing import play_scenario
from tests.fakes.model_minds import honest
from tests.fakes.model_server import Calls, Talk

pytestmark = pytest.mark.timeout(180)


def curious(talk: Talk):
    """Honest, and asks what is used just now, which is read through the sidecar."""
    said = honest(talk)
    return said if talk.turn else Calls([*said.calls, ("top", {})])


async def test_an_incident_is_repaired_with_a_model_as_without(tmp_path):
    """Of a model that answers whole; the hijacked one of tests/abuse answers in a stream, and its incident is repaired too."""
    scenario = load("memory-limit")
    with asked(curious, stream=False) as (server, kind):
        played = await play_scenario(scenario, tmp_path, kind=kind)
    told = played.report.diagnosis.assessment
    used = server.talks[-1].results()[-1]

    assert (played.account["outcome"], played.account["cause"]) == (scenario.truth.outcome, scenario.truth.cause)
    assert (told.outcome, told.agrees) == ("answered", True), told
    assert "top pods\nPod " in used  # asked through the gateway, and let through
    assert "memory" in used
    assert not any('"stream":true' in raw.replace(" ", "") for raw in server.raw)
    assert sorted(by_leases(played.log)) == expected(scenario)
    assert played.account["leftovers"] == []
