"""The diff that a report proposes for a repository: what changes, and no secret that stands beside it."""

from agent.stages.advise import diff_of
from sidecar.contract import Cause, ChangeFields, ObjectRef, Plan, RollbackWorkload, Step

TARGET = ObjectRef(api_version="apps/v1", kind="Deployment", namespace="shop", name="web", uid="u-1")


def template(image):
    environment = [{"name": "DB_PASSWORD", "value": "correct-horse"}, {"name": "REGION", "value": "eu-1"}]
    return {"spec": {"containers": [{"name": "web", "image": image, "env": environment}]}}


def test_a_secret_beside_the_change_is_masked():
    live = {"kind": "Deployment", "metadata": {"uid": "u-1"}, "spec": {"template": template("web:2")}}
    earlier = {
        "kind": "ReplicaSet",
        "metadata": {
            "ownerReferences": [{"uid": "u-1"}],
            "annotations": {"deployment.kubernetes.io/revision": "1"},
        },
        "spec": {"template": template("web:1")},
    }
    step = Step(id="step-1", action=RollbackWorkload(target=TARGET, to_revision=1), why="w", expect="e")
    plan = Plan(
        incident="inc-1", attempt=1, cluster="c", cause=Cause(slug="bad-release", subject=TARGET), hypothesis="h", steps=(step,)
    )

    diff = diff_of(plan, [live, earlier])

    assert "-        image: web:2".replace(" ", "") in diff.replace(" ", "")
    assert "+        image: web:1".replace(" ", "") in diff.replace(" ", "")
    assert "eu-1" in diff
    assert "correct-horse" not in diff


def test_an_item_of_a_list_is_told_as_one_and_those_before_it_as_dots():
    changes = [
        {"path": "/spec/template/spec/containers/1/image", "before": "web:2", "after": "web:1"},
        {"path": "/metadata/annotations/a~1b", "before": "x", "after": "y"},
    ]
    action = ChangeFields.model_validate({"target": TARGET, "changes": tuple(changes)})
    plan = Plan(
        incident="inc-1",
        attempt=1,
        cluster="c",
        cause=Cause(slug="bad-release", subject=TARGET),
        hypothesis="h",
        steps=(Step(id="step-1", action=action, why="w", expect="e"),),
    )

    lines = diff_of(plan).splitlines()

    assert "       - '...'" in lines
    assert "-      - image: web:2" in lines
    assert "+      - image: web:1" in lines
    assert "+    a/b: y" in lines
