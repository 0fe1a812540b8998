"""What rests on a model's word alone is proposed like anything else, and not done where policy would ask nobody."""

from dataclasses import replace

import pytest

from agent.stages.authorize import NOBODY_ASKED, authorize
from agent.stages.propose import Proposal, propose
from tests.fakes.agent_runs import INCIDENT
from tests.fakes.agent_world import Script, World, WorldClock, WorldGovernance, WorldReader, WorldReasoner, WorldRunbooks


async def silent(text, data=None):
    return None


async def authorized(folder, *, by_model: bool, review: bool):
    world = World.start(folder / "world.json", Script(review=review))
    observed = await WorldReader(world).overview(["shop"])
    diagnosis = WorldReasoner(world).diagnose(INCIDENT, observed, ())
    causes = tuple(replace(one, finding=replace(one.finding, by_model=by_model)) for one in diagnosis.causes)
    proposal = propose(INCIDENT, replace(diagnosis, causes=causes), observed, [], runbooks=WorldRunbooks(world), evidence=[])
    assert isinstance(proposal, Proposal)
    return await authorize(
        proposal.round, governance=WorldGovernance(world), clock=WorldClock(world), wait_seconds=0, tell=silent
    )


@pytest.mark.parametrize(
    ("by_model", "review", "end"), [(True, False, "denied"), (True, True, None), (False, False, None), (False, True, None)]
)
async def test_a_person_has_to_say_yes_to_what_only_a_model_says(tmp_path, by_model, review, end):
    judged = await authorized(tmp_path, by_model=by_model, review=review)

    assert judged.end == end
    assert (judged.lease is None) == (end is not None)
    assert (judged.note == NOBODY_ASKED) == (end is not None)
