"""Incidents that others had, asked about in their words: the cause is named, and what must not be said is not."""

import pytest

from agent.domain.incident import Incident
from agent.ports.cluster import Observed
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import NOW
from tests.agent.wild import strange_controllers, strange_networks, strange_programs, strange_starts
from tests.agent.wild.strangers import TALES, cluster

assert strange_starts
assert strange_networks
assert strange_controllers
assert strange_programs


@pytest.mark.parametrize("name", sorted(TALES))
def test_the_answer_fits_the_tale(name):
    tale = TALES[name]
    world = cluster(whole=tale.whole)
    tale.make(world)
    seen = Observed(now=NOW, objects=tuple(world.objects), logs=tuple(world.logs), gaps=())

    found = OfflineReasoner().diagnose(Incident(id="i", cluster="c", opened_at=NOW, question=tale.asks), seen)

    causes = [one.finding for one in found.causes]
    said = " ".join((found.statement, *(one.statement for one in causes)))
    assert not tale.outcome or found.outcome == tale.outcome, said
    if tale.causes:
        assert causes, said
        assert causes[0].cause in tale.causes, said
        kind, _, path = tale.who.partition("/")
        assert f"{causes[0].subject.kind} {causes[0].subject}".count(kind), said
        assert str(causes[0].subject).endswith(path), said
    assert set(tale.also) <= {one.cause for one in causes}, said
    assert all(words in said for words in tale.mention), said
    assert not any(words in said or words in {one.cause for one in causes} for words in tale.never), said
