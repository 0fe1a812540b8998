"""Clusters as they are found, with nothing wrong in them, are told to be healthy: no finding at all."""

import pytest

from agent.checks import run
from agent.reasoning.survey import grouped
from tests.agent.wild.clusters import DISTRIBUTIONS, applications


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_healthy_cluster_with_a_year_of_leftovers_has_no_finding(name):
    world = applications(DISTRIBUTIONS[name]())
    topology = world.topology()
    findings = run(topology)
    spaces = [one["metadata"]["name"] for one in world.objects if one["kind"] == "Namespace"]

    scan = grouped(findings, topology, cluster=name, namespaces=spaces, gaps=())

    assert [one.id for one in findings if one.state == "active"] == []
    assert scan.outcome == "healthy"
