"""What a lease needs is made at once where nothing waits for anything; what is refused is undone to the last piece."""

import copy
import threading
import time

import pytest

from sidecar.contract import Lease, Problem
from sidecar.errors import ClusterUnavailable
from sidecar.gate.lease import lease
from sidecar.gate.settle import settle
from sidecar.gate.submit import submit
from sidecar.ports import ApiAnswer
from tests.fakes.sidecar_cluster import status
from tests.fakes.sidecar_gate import deployment, make_world, plan, scale

PIECES = ("serviceaccounts", "roles", "rolebindings")


@pytest.fixture
def world(tmp_path):
    world = make_world(tmp_path, verdict="allow")
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    return world


def allowed(world) -> str:
    came = submit(plan(scale(5)), desk=world.desk)
    assert came.state == "approved"
    return came.plan


def made(call) -> str:
    """The plural of what this request makes, "token" for a token, "" for any other."""
    return call.path.rpartition("/")[2] if call.method == "POST" else ""


def test_account_and_role_are_asked_for_at_once_and_the_binding_after_both(world):
    together = threading.Barrier(2, timeout=10)
    digest = allowed(world)
    asked: list[str] = []

    def meet(call, identity):
        if made(call):
            asked.append(made(call))
        if made(call) in ("serviceaccounts", "roles"):
            together.wait()

    world.cluster.before = meet
    assert isinstance(lease(digest, desk=world.desk), Lease)
    assert sorted(asked[:2]) == ["roles", "serviceaccounts"]
    assert sorted(asked[2:]) == ["rolebindings", "token"]


@pytest.mark.parametrize(
    ("no", "late"),
    [("roles", "serviceaccounts"), ("serviceaccounts", "roles"), ("rolebindings", "token"), ("token", "rolebindings")],
)
def test_what_comes_after_a_refusal_is_taken_back_too(world, no, late):
    refused = threading.Event()
    digest = allowed(world)

    def answer(call, identity):
        if made(call) == no:
            refused.set()
            return status(403, "not granted")
        if made(call) == late:
            assert refused.wait(10)
            time.sleep(0.05)  # whoever does not wait for it has begun to take back by now
        return None

    world.cluster.before = answer
    came = lease(digest, desk=world.desk)
    assert isinstance(came, Problem)
    assert came.code == "beyond-ceiling"
    assert [world.cluster.names(piece) for piece in PIECES] == [[], [], []]


def test_no_token_is_kept_of_a_lease_that_is_half_made(world):
    digest = allowed(world)

    def answer(call, identity):
        if made(call) == "rolebindings":
            raise ClusterUnavailable("no answer")
        return

    world.cluster.before = answer
    with pytest.raises(ClusterUnavailable):
        lease(digest, desk=world.desk)
    granted = tokens(world)
    assert len(granted) == 1
    world.desk.issuer.credential(granted[0].path.split("/")[-2].removeprefix("lestrade-"))
    assert len(tokens(world)) == 2  # asked for anew: there was none at hand


def tokens(world):
    return [request for request in world.cluster.requests if request.verb == "POST" and request.path.endswith("/token")]


@pytest.mark.parametrize("answer", [ApiAnswer(status=200, body='{"metadata": {"na'), ApiAnswer(status=307, body=None)], ids=str)
def test_what_is_answered_with_half_a_body_or_elsewhere_is_neither_there_nor_gone(world, answer):
    held = lease(allowed(world), desk=world.desk)

    def half(call, identity):
        if call.method == "DELETE" and "/rolebindings/" in call.path:
            return status(500, "broken")
        return answer if "/rolebindings/" in call.path else None

    world.cluster.before = half
    assert settle(held.id, "helped", desk=world.desk).state == "revocation_pending"
    assert world.cluster.names("rolebindings")
    world.cluster.before = lambda call, identity: None
    assert settle(held.id, "helped", desk=world.desk).state == "settled"
    assert not world.cluster.names("rolebindings")


def test_a_redirect_is_no_refusal_of_the_rights(world):
    digest = allowed(world)
    world.cluster.before = lambda call, identity: ApiAnswer(status=307, body=None) if made(call) == "roles" else None
    with pytest.raises(ClusterUnavailable):
        lease(digest, desk=world.desk)
    world.cluster.before = lambda call, identity: None
    assert isinstance(lease(digest, desk=world.desk), Lease)


THEIRS = {"app": "theirs"}


def theirs(world, piece: str, name: str) -> dict:
    namespace = "lestrade-leases" if piece == "serviceaccounts" else "shop"
    group = "" if piece == "serviceaccounts" else "rbac.authorization.k8s.io"
    uid = f"uid-of-somebody-elses-{piece}"
    return world.cluster.put(piece, {"metadata": {"name": name, "namespace": namespace, "uid": uid, "labels": THEIRS}}, group)


@pytest.mark.parametrize("piece", PIECES)
def test_where_somebody_elses_object_has_the_name_nothing_is_lent_and_theirs_stays(world, piece):
    digest = allowed(world)

    def faster(call, identity):
        if made(call) == piece and not world.cluster.names(piece):
            theirs(world, piece, call.body["metadata"]["name"])

    world.cluster.before = faster
    came = lease(digest, desk=world.desk)
    assert isinstance(came, Problem)
    assert "is somebody else's" in came.detail
    left = {kind: world.cluster.names(kind) for kind in PIECES if world.cluster.names(kind)}
    assert list(left) == [piece]


@pytest.mark.parametrize("restarted", [False, True])
def test_what_somebody_else_put_in_the_place_of_a_role_meanwhile_is_left_alone(world, restarted):
    held = lease(allowed(world), desk=world.desk)
    theirs(world, "roles", f"lestrade-{held.id}")
    if restarted:
        world.restart()
    assert settle(held.id, "unknown", desk=world.desk).state == "settled"
    assert [world.cluster.names(kind) for kind in PIECES] == [[], [f"lestrade-{held.id}"], []]


def wider(document: dict) -> None:
    document["rules"] = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]


def narrower(document: dict) -> None:
    document["rules"] = []


def of_somebody_else(document: dict) -> None:
    document["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "bait", "uid": "1"}]


def for_ever(document: dict) -> None:
    document["metadata"]["labels"]["lestrade.dev/expires"] = "9999999999"


def for_others_too(document: dict) -> None:
    document["subjects"].append({"kind": "ServiceAccount", "name": "default", "namespace": "shop"})


def of_another_role(document: dict) -> None:
    document["roleRef"]["name"] = "admin"


TAMPERED = [
    ("roles", wider, "rules"),
    ("roles", narrower, "rules"),
    ("roles", for_ever, "label lestrade.dev/expires"),
    ("rolebindings", for_others_too, "subjects"),
    ("rolebindings", of_another_role, "roleRef"),
    ("serviceaccounts", of_somebody_else, "ownerReferences"),
]


@pytest.mark.parametrize("webhook", [False, True])
@pytest.mark.parametrize(("piece", "tamper", "part"), TAMPERED)
def test_what_bears_a_leases_name_and_labels_and_says_something_else_lends_nothing(world, piece, tamper, part, webhook):
    """Made by somebody who saw the account come and was faster, or changed by a webhook on its way in."""
    digest = allowed(world)

    def meddle(call, identity):
        if made(call) != piece:
            return None
        other = copy.deepcopy(call.body)
        tamper(other)
        stored = world.cluster.put(piece, other, "" if piece == "serviceaccounts" else "rbac.authorization.k8s.io")
        return ApiAnswer(status=201, body=stored) if webhook else None

    world.cluster.before = meddle
    came = lease(digest, desk=world.desk)
    assert isinstance(came, Problem)
    assert (came.status, came.code) == (409, "foreign-object")
    assert part in came.detail
    assert [world.cluster.names(kind) for kind in PIECES] == [[], [], []]


def test_a_mint_that_was_cut_short_goes_on_with_what_it_made(world):
    digest = allowed(world)

    def cut(call, identity):
        if made(call) == "rolebindings":
            raise ClusterUnavailable("no answer")

    world.cluster.before = cut
    with pytest.raises(ClusterUnavailable):
        lease(digest, desk=world.desk)
    world.restart()
    world.cluster.before = lambda call, identity: None
    assert lease(digest, desk=world.desk).state == "live"
