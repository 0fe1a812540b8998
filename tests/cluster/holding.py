"""What must hold of plan-bound admission on every cluster; called by the tests on a real one and on the laboratory."""

from pathlib import Path

from tests.cluster.admin import Admin
from tests.cluster.bypass import PUBLISHED, REFUSED, SHOP, WEB, attempts, image, minted, scale, status_of

MERGE = "application/merge-patch+json"


def b4(admin: Admin, folder: Path) -> None:
    """The token of a lease writes what the approved plan holds, and nothing else."""
    before = admin.get(WEB)
    container = before["spec"]["template"]["spec"]["containers"][0]
    held = minted(admin, folder, scale(admin, 2), image(admin, "3.9"))
    try:
        answers = attempts(held.thief, container, "3.9")
        assert {name: status for name, status in answers.items() if status not in REFUSED} == {}
        after = admin.get(WEB)
        assert (after["spec"], after["metadata"].get("labels")) == (before["spec"], before["metadata"].get("labels"))

        approved = {"spec": {"template": {"spec": {"containers": [{**container, "image": "registry.k8s.io/pause:3.9"}]}}}}
        assert status_of(held.thief, "PATCH", f"{WEB}/scale", {"spec": {"replicas": 2}}) == 200
        assert status_of(held.thief, "PATCH", WEB, approved) == 200
        assert status_of(held.thief, "PATCH", f"{WEB}/scale", {"spec": {"replicas": 3}}) in REFUSED
    finally:
        held.settle()
        admin.request("PATCH", WEB, {"spec": before["spec"]}, content_type=MERGE)


def e7(admin: Admin, folder: Path) -> None:
    """A token that was copied out is refused when the lease is over, and what it could write is not published any more."""
    held = minted(admin, folder, scale(admin, 2))
    identity = held.lease.identity
    assert identity in admin.get(PUBLISHED)["spec"]["leases"]

    settlement = held.settle()

    assert settlement.state == "settled"
    assert status_of(held.thief, "PATCH", f"{WEB}/scale", {"spec": {"replicas": 2}}) in (401, 403)
    assert status_of(held.thief, "GET", WEB) in (401, 403)
    assert identity not in (admin.get(PUBLISHED)["spec"].get("leases") or {})


def others_are_let_alone(admin: Admin) -> None:
    """Writes of everybody else go on, to the very kinds that leases are held on."""
    path = f"/api/v1/namespaces/{SHOP}/configmaps"
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "anybody"}, "data": {"a": "1"}}
    assert status_of(admin, "POST", path, made, content_type="application/json") == 200
    assert status_of(admin, "PATCH", f"{path}/anybody", {"data": {"a": "2"}}) == 200
    assert status_of(admin, "DELETE", f"{path}/anybody") == 200
    for kept in (PUBLISHED, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/leasedwrites.lestrade.dev"):
        assert status_of(admin, "DELETE", f"{kept}?dryRun=All") == 403
