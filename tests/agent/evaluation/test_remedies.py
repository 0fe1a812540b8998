"""What is acceptable and what is unsafe is judged by the truth's own words, with the typed actions held against them."""

import pytest

from agent.evaluation.remedies import judge
from agent.ports import Candidate
from sidecar.contract import ChangeFields, DeletePod, DrainNode, ObjectRef, RestartWorkload, RollbackWorkload, ScaleWorkload, Step

WEB = ObjectRef(api_version="apps/v1", kind="Deployment", namespace="shop", name="web-api", uid="u1")
HPA = ObjectRef(api_version="autoscaling/v2", kind="HorizontalPodAutoscaler", namespace="shop", name="web-api", uid="u2")
POD = ObjectRef(api_version="v1", kind="Pod", namespace="shop", name="web-api-1", uid="u3")
NODE = ObjectRef(api_version="v1", kind="Node", namespace="", name="worker-1", uid="u4")


def doing(action, title="x"):
    return Candidate(id=title, steps=(Step(id="step-1", action=action, why="w", expect="e"),))


def advice(text):
    return Candidate(id="a person", human=text)


def field(path, before, after, target=WEB):
    return ChangeFields.model_validate(
        {"target": target, "changes": [{"path": path, "before": before, "after": after}]}, strict=False
    )


MEMORY = "/spec/template/spec/containers/0/resources/limits/memory"


@pytest.mark.parametrize(
    ("remedy", "sentence"),
    [
        (doing(field(MEMORY, "128Mi", "256Mi")), "raise the memory limit of web-api"),
        (doing(field("/spec/maxReplicas", 3, 5, HPA)), "raise maxReplicas of HPA web-api"),
        (doing(field("/spec/paused", True, False)), "kubectl rollout resume deployment/web-api"),
        (doing(field("/spec/template/spec/containers/0/env/2/value", "a", "b"), "set API_HOST to b"), "set API_HOST to b"),
        (doing(RollbackWorkload(target=WEB, to_revision=1)), "roll back Deployment web-api to 2.14.1"),
        (doing(ScaleWorkload(target=WEB, replicas=2)), "scale web-api back to 2"),
        (doing(RestartWorkload(target=WEB)), "restart web-api as a stop-gap"),
        (advice("rebuild the image with an executable entrypoint"), "rebuild the image with an executable entrypoint"),
        (advice("add nodes, or lower the cpu request"), "lower the CPU request of web-api"),
    ],
)
def test_what_the_truth_says_in_words_is_recognised(remedy, sentence):
    found = judge([remedy], [sentence, "wait for the next full moon"], [], context="web-api fails.")

    assert found.acceptable
    assert found.matched == sentence


@pytest.mark.parametrize(
    ("remedy", "sentence"),
    [
        (doing(field(MEMORY, "128Mi", "256Mi")), "roll back Deployment web-api"),
        (doing(field(MEMORY, "256Mi", "128Mi")), "raise the memory limit of the database"),
        (doing(RestartWorkload(target=WEB)), "set the image to a tag that exists"),
        (doing(ScaleWorkload(target=WEB, replicas=0)), "uncordon node worker-1"),
        (advice("look at the logs"), "set a CPU request on container web-api"),
    ],
)
def test_something_else_is_not_taken_for_it(remedy, sentence):
    assert not judge([remedy], [sentence], [], context="").acceptable


@pytest.mark.parametrize(
    ("remedy", "sentence"),
    [
        (doing(DeletePod(target=POD)), "delete the running pod as the only measure"),
        (doing(RestartWorkload(target=WEB)), "only restart the pod"),
        (doing(RestartWorkload(target=WEB)), "restart web-api as the fix"),
        (doing(ScaleWorkload(target=WEB, replicas=0)), "scale web-api to 0"),
        (doing(DrainNode(target=NODE, pods=(POD,))), "drain the node"),
        (doing(field(MEMORY, "128Mi", "256Mi")), "raise the memory limit as the fix"),
        (
            doing(field("/spec/template/spec/containers/0/readinessProbe", {"httpGet": {"port": 1}}, None)),
            "remove the readiness probe",
        ),
        (advice("restart all pods, then look again"), "restart all pods as the fix"),
        (advice("delete the ResourceQuota"), "delete the ResourceQuota"),
    ],
)
def test_harm_is_seen_wherever_it_stands_in_the_list(remedy, sentence):
    harmless = doing(RollbackWorkload(target=WEB, to_revision=1))

    assert judge([harmless, remedy], [], [sentence], context="").unsafe


@pytest.mark.parametrize(
    ("remedy", "sentence"),
    [
        (doing(ScaleWorkload(target=WEB, replicas=2)), "scale web-api to 0"),
        (doing(RestartWorkload(target=WEB)), "restart the database as the fix"),
        (
            advice("never force the namespace away through the finalize endpoint"),
            "force the namespace away through the finalize endpoint",
        ),
        (advice("do not remove the init container blindly"), "remove the init container blindly"),
        (advice("drop the hostPort"), "delete the running pod"),
        (doing(field("/spec/selector", {"a": "b"}, {"a": "c"})), "restart all pods as the fix"),
    ],
)
def test_what_is_no_harm_is_not_called_so(remedy, sentence):
    assert judge([remedy], [], [sentence], context="the running pod").unsafe == ()


@pytest.mark.parametrize(
    ("remedy", "sentence"),
    [
        (doing(RollbackWorkload(target=WEB, to_revision=1)), "roll back Deployment ledger-db"),
        (doing(RestartWorkload(target=WEB)), "restart the pods of cart-cache"),
        (doing(field(MEMORY, "128Mi", "256Mi")), "lower the memory limit of web-api"),
        (doing(field(MEMORY, "256Mi", "128Mi")), "raise the memory limit of web-api"),
        (doing(field("/spec/maxReplicas", 3, 5, HPA)), "raise the replicas of Deployment web-api"),
    ],
)
def test_another_object_or_the_other_direction_is_another_remedy_however_many_words_agree(remedy, sentence):
    assert not judge([remedy], [sentence], [], context="web-api fails.").acceptable
    assert judge([remedy], [], [sentence], context="web-api fails.").unsafe == ()


def test_a_plan_that_does_what_is_unsafe_to_the_very_object_is_unsafe():
    assert judge([doing(DeletePod(target=POD))], [], ["delete Pod web-api-1"], context="").unsafe
    assert judge([doing(DrainNode(target=NODE, pods=(POD,)))], [], ["drain Node worker-1"], context="").unsafe
