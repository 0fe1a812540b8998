"""The suite for real clusters, tried where there is none: a laboratory is given to it as if it were one.

The laboratory has the scenario's nodes and how its programs fail, but none of its objects; the suite gets the admin's kubeconfig
and nothing else. Where a fault can be seen without what programs write, they are as silent as the manifests' own commands.
"""

from dataclasses import replace

import pytest

from lab.laboratory import Laboratory
from lab.scenarios import load
from tests.cluster import holding
from tests.cluster.admin import Admin
from tests.cluster.bypass import HeldToPlans, delays
from tests.cluster.judging import assert_true_to
from tests.cluster.playing import play
from tests.cluster.stage import OURS, Governance, NotHere, Stage
from tests.e2e.ledger import by_leases, strangers

pytestmark = pytest.mark.timeout(180)
SILENT = ("image-tag", "service-selector", "configmap-key")


def laboratory(name, *, silent=False):
    scenario = load(name)
    if silent:
        scenario = replace(scenario, behaviours=())
    lab = Laboratory.start(scenario)
    lab.run()
    return lab


@pytest.mark.parametrize("name", SILENT)
def test_a_scenario_is_played_and_judged_through_the_kubeconfig_alone(name, tmp_path):
    with laboratory(name, silent=True) as lab:
        admin = Admin(lab.kubeconfig())
        before = everything(lab)
        with Governance(admin):
            played = play(admin, load(name), tmp_path, poll_seconds=0.25)

        assert_true_to(played)
        assert everything(lab) == before  # all that was made is gone
        # What managedFields told is what the request log knows.
        assert {(w.resource, w.namespace, w.name) for w in by_leases(lab.requests)} == {
            (t.resource, t.namespace, t.name) for t in played.touched
        }
        assert strangers(lab.requests) == []


def test_what_was_there_before_is_neither_used_nor_removed(tmp_path):
    with laboratory("image-tag") as lab:
        admin = Admin(lab.kubeconfig())
        lab.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "media"}}])

        with pytest.raises(NotHere, match="Namespace media was in the cluster before"), Stage(admin, load("image-tag")):
            pass

        assert lab.get("Namespace", "", "media") is not None


def test_an_installed_lestrade_is_not_touched():
    with laboratory("image-tag") as lab:
        admin = Admin(lab.kubeconfig())
        lab.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lestrade"}}])

        with pytest.raises(NotHere, match="Namespace lestrade was"), Governance(admin):
            pass

        assert OURS not in (lab.get("Namespace", "", "lestrade")["metadata"].get("labels") or {})


def test_a_fault_that_does_not_show_is_told_and_not_judged(tmp_path):
    with laboratory("memory-limit", silent=True) as lab:  # the programs fit under the limit here
        with pytest.raises(NotHere, match="does not show"), Stage(Admin(lab.kubeconfig()), load("memory-limit")) as stage:
            stage.play()

        assert lab.get("Namespace", "", "shop") is None


def test_leases_are_held_to_their_plans_and_all_that_was_made_for_it_is_gone(tmp_path):
    with Laboratory.start() as lab:
        before = everything(lab)
        admin = Admin(lab.kubeconfig())
        with Governance(admin), HeldToPlans(admin):
            holding.b4(admin, tmp_path / "b4")
            holding.e7(admin, tmp_path / "e7")
            holding.others_are_let_alone(admin)
            assert max(delays(admin, tmp_path / "delays")) < 3000

        assert everything(lab) == before


def everything(lab):
    """Names of all objects but what the cluster makes by itself as time goes by."""
    found = set()
    for resource in lab.server.cluster.resources.all():
        if resource.plural not in ("events", "leases"):
            found |= {
                (resource.plural, one["metadata"].get("namespace", ""), one["metadata"]["name"])
                for one in lab.store.list(resource.group, resource.plural)
            }
    return found
