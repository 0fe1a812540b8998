"""One fault put into a healthy cluster with a year of leftovers: whoever asks is told the cause and who is to blame, with
at most three causes, and where nobody can know, that it is not known."""

import pytest

from agent.domain.incident import Incident
from agent.ports.cluster import Observed
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import NOW
from tests.agent.wild import faults_cluster, faults_demo, faults_more, faults_pods
from tests.agent.wild.breaking import FAULTS
from tests.agent.wild.clusters import DISTRIBUTIONS, applications
from tests.agent.wild.platform import SHOP

assert faults_pods
assert faults_cluster
assert faults_more
assert faults_demo
CASES = [(list(DISTRIBUTIONS)[number % len(DISTRIBUTIONS)], name) for number, name in enumerate(sorted(FAULTS))]


@pytest.mark.parametrize(("cluster", "name"), CASES, ids=[f"{name}-{cluster}" for cluster, name in CASES])
def test_the_cause_is_named(cluster, name):
    fault, world = FAULTS[name], applications(DISTRIBUTIONS[cluster]())
    fault.make(world, SHOP)
    seen = Observed(now=NOW, objects=tuple(world.objects), logs=tuple(world.logs), gaps=())
    asked = Incident(id="i", cluster=cluster, opened_at=NOW, question=f"why is {fault.asks} failing?")

    found = OfflineReasoner().diagnose(asked, seen)

    if not fault.causes:
        assert found.outcome == "unknown"
        return
    first = found.causes[0].finding
    assert first.cause in fault.causes
    assert str(first.subject).endswith(fault.culprit.partition("/")[2]) or fault.culprit.partition("/")[2] in first.subject.name
    assert len(found.causes) <= 3
