"""What a tired person asks besides why: when it began, which ones, which version, whose it is, whether it is the database, and
what else is wrong."""

import pytest

from agent.ports import Gap
from agent.reasoning.offline import OfflineReasoner
from agent.reasoning.questions import understand
from tests.agent.builders import (
    NOW,
    ago,
    app,
    asked,
    deployment,
    ended,
    event,
    lines,
    log,
    node,
    obj,
    observed,
    pod,
    replica_set,
    service,
    waiting,
)
from tests.agent.checks.cases import CASES

REASONER = OfflineReasoner()


def answer(question, *objects, logs=()):
    return REASONER.diagnose(asked(question), observed(*objects, logs=logs))


def released():
    """web's second revision, 20 minutes old, cannot be pulled; the first one's pod serves."""
    owner = deployment("web", replicas=1, ready=1)
    owner["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example.com/app:2.0"
    old, new = (
        replica_set(owner, 1, minutes=600, image="registry.example.com/app:1.0"),
        replica_set(owner, 2, minutes=20, ready=0),
    )
    stuck = pod(new, ready=False, phase="Pending", statuses=[waiting("ImagePullBackOff")], minutes=20, since=20)
    said = 'Failed to pull image "registry.example.com/app:2.0": not found'
    return [owner, old, new, pod(old, number=1), stuck, service("web"), event(stuck, "Failed", said, minutes=1)]


@pytest.mark.parametrize(
    ("question", "intent"),
    [
        ("When did it start?", "when"),
        ("since when is web failing?", "when"),
        ("how long has web been down", "when"),
        ("what happened first?", "when"),
        ("when was web last healthy", "when"),
        ("first error in web?", "when"),
        ("timeline of web", "when"),
        ("when was web last deployed?", "changed"),
        ("how long ago was web deployed?", "changed"),
        ("why is it down since 14:05?", "why"),
        ("which pods are restarting?", "which"),
        ("how many pods are failing", "which"),
        ("list all pending pods", "which"),
        ("Which pods can't read their secrets?", "why"),
        ("which pods use the most memory", "why"),
        ("which deployments are down in shop", "which"),
        ("are there any evicted pods", "which"),
        ("list suspended cronjobs", "which"),
        ("list the recent changes of pods that fail", "changed"),
        ("did sth change in the last hour", "changed"),
        ("what pods are on node-1", "impact"),
        ("which version of web is running?", "runs"),
        ("which image cannot be pulled?", "why"),
        ("who owns web?", "owner"),
        ("who do I page for web", "owner"),
        ("who can delete web?", "access"),
        ("can default sa read secrets in shop", "access"),
        ("whats broken in shop", "why"),
        ("why isnt web up", "why"),
    ],
)
def test_what_is_wanted(question, intent):
    assert understand(question, NOW).intent == intent


@pytest.mark.parametrize("question", ["When did it start?", "since when is web failing?", "what happened first?"])
def test_when_it_began_is_led_by_the_time_and_by_what_came_right_before(question):
    found = answer(question, *released())
    assert found.statement.startswith("It began at 2026-05-04 11:40:00Z, 20 minutes ago, as far as can be seen")
    assert "revision 2: image 1.0 to 2.0" in found.statement.partition("cannot pull")[0]
    assert found.causes[0].finding.cause == "image-tag-not-found"
    times = [row[0] for row in found.answer.rows]
    assert times == sorted(times)


def test_of_what_is_over_the_time_is_told_and_that_it_is_over():
    objects = app("web", minutes=600)
    objects[2]["status"]["containerStatuses"] = [ended(137, "OOMKilled", restarts=1, minutes=50, up=True)]
    found = answer("when did web crash?", *objects)
    assert found.outcome == "healthy"
    assert found.statement.startswith(
        ("It is over. It was seen first at 2026-05-04 11:10:00Z, 50 minutes ago", "No beginning can be")
    )


def test_where_nothing_was_ever_wrong_no_beginning_is_made_up():
    assert answer("when did web break?", *app("web")).statement.startswith("No beginning can be told: nothing is wrong now")


def test_an_edit_that_broke_it_is_when_it_began_whoever_failed_before():
    objects, logs = CASES["service-selector-mismatch"][1]()
    wrong = next(one for one in objects if one["kind"] == "Service")
    wrong["metadata"]["managedFields"] = [
        {"manager": "kubectl-edit", "operation": "Update", "time": ago(7), "fieldsV1": {"f:spec": {"f:selector": {}}}}
    ]
    found = answer("when did the 502s start", *objects, logs=logs)
    assert found.statement.startswith("It began at 2026-05-04 11:53:00Z, 7 minutes ago")


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("which pods are pending?", "1 of 2 pods in the cluster is pending: Pod shop/web-00002abcde-axyz0."),
        ("how many pods are failing?", "1 of 2 pods in the cluster is in trouble: Pod shop/web-00002abcde-axyz0."),
        ("which pods are restarting in shop?", "No pod in namespace shop is restarting (2 pods looked at)."),
        ("list all crashing pods", "No pod in the cluster is restarting (2 pods looked at)."),
        ("which nodes are down?", "No node in the cluster is in trouble (1 node looked at)."),
        ("which workloads are broken", "1 of 1 workload in the cluster is in trouble: Deployment shop/web."),
    ],
)
def test_which_ones_is_answered_by_their_names_and_the_cause_is_told_behind(question, says):
    found = answer(question, *released(), node())
    assert found.statement.startswith(says)
    assert found.causes[0].finding.cause == "image-tag-not-found"


def test_a_pod_between_two_crashes_is_among_those_that_fail():
    owner = deployment("web", replicas=1)
    set_ = replica_set(owner)
    one = pod(set_, statuses=[ended(137, "OOMKilled", minutes=2, up=True)])
    found = answer("how many pods are failing?", owner, set_, one)
    assert found.statement.startswith("1 of 1 pod in the cluster is in trouble")


def test_which_version_runs_is_told_by_the_pods_and_not_by_what_is_wanted():
    found = answer("which version of web is running?", *released())
    assert found.outcome == "answered"
    assert [(row[1], row[2]) for row in found.answer.rows] == [("1.0", "1 of 1 pod ready"), ("2.0", "0 of 1 pod ready")]


def test_whose_it_is_stands_in_labels_and_annotations_of_it_and_its_namespace():
    objects = app("web")
    objects[0]["metadata"]["annotations"] = {"example.com/owner": "team-shop", "example.com/note": "nothing"}
    space = obj("Namespace", "shop", namespace="", metadata={"labels": {"oncall": "shop-pager"}})
    found = answer("who do I page for web?", *objects, space)
    assert sorted(row[1:] for row in found.answer.rows) == [("example.com/owner", "team-shop"), ("oncall", "shop-pager")]
    assert "Nothing that could be seen says who owns" in answer("who owns web?", *app("web")).statement


@pytest.mark.parametrize(
    ("cause", "question", "says"),
    [
        ("configmap-key-missing", "is it the config?", "Yes, as far as can be seen."),
        ("configmap-key-missing", "is the config the problem?", "Yes, as far as can be seen."),
        ("configmap-key-missing", "is it dns?", "No sign of the dns as the cause was seen."),
        ("oom-killed", "could it be the database?", "No sign of the database as the cause was seen."),
        ("oom-killed", "is it a memory leak?", "Yes, as far as can be seen."),
        ("networkpolicy-blocks", "is it the network?", "Yes, as far as can be seen."),
        ("image-tag-not-found", "is it the new release?", "Yes, as far as can be seen."),
    ],
)
def test_a_guess_is_borne_out_or_not(cause, question, says):
    objects, logs = CASES[cause][1]()
    assert says in answer(question, *objects, logs=logs).statement


def test_a_guess_is_neither_denied_nor_borne_out_where_nobody_knows():
    owner = deployment("web", replicas=1, ready=0)
    set_ = replica_set(owner, ready=0)
    found = answer("is it the database?", owner, set_, pod(set_, ready=False, minutes=9, since=9))
    assert found.outcome == "unknown"
    assert found.statement.startswith("Whether it is the database cannot be told")


@pytest.mark.parametrize(
    ("question", "causes"),
    [
        ("is anything else wrong besides web?", ["oom-killed"]),
        ("is anything broken apart from web and api?", []),
        ("what is wrong outside the shop namespace?", []),
        ("is anything wrong besides cart?", ["image-tag-not-found", "oom-killed"]),
    ],
)
def test_what_is_known_already_is_left_out(question, causes):
    owner = deployment("api", replicas=1, ready=0)
    set_ = replica_set(owner, ready=0)
    crashing = pod(set_, ready=False, statuses=[ended(137, "OOMKilled")], minutes=9)
    found = answer(question, *released(), owner, set_, crashing)
    assert sorted(one.finding.cause for one in found.causes) == causes
    if not causes:
        assert "nothing is wrong in the cluster" in found.statement


def test_the_node_is_the_one_there_is_and_of_several_it_is_asked_which():
    assert answer("what would break if the node goes away", *app("web"), node()).statement.startswith("Without Node node-1")
    found = answer("what would break if the node goes away", *app("web"), node(), node("node-2"))
    assert found.outcome == "unclear"
    assert [one for one in found.answer.choices if "node-2" in one]


def test_a_node_that_is_not_there_is_told_those_that_are():
    assert "There is node-1." in answer("what would break if node foo goes away", *app("web"), node()).statement


def test_a_place_that_is_not_there_is_said():
    space = obj("Namespace", "shop", namespace="")
    assert "There is no namespace billing." in answer("why is web failing in billing", *released(), space).statement
    assert "no namespace" not in answer("why is web failing in production", *released(), space).statement


def test_dns_that_nobody_can_see_is_said_to_be_unseen():
    assert "The cluster's own DNS is not among what could be seen." in answer("is dns ok?", *app("web")).statement


LOST = Gap(what="logs of Pod shop/web-00001abcde-axyz0 container app", why="403: pods/log is forbidden")


@pytest.mark.parametrize(
    ("question", "logs", "gaps", "outcome"),
    [
        ("why does web answer 502?", (), (LOST,), "unknown"),
        ("web is slow, is it running?", (), (LOST,), "unknown"),
        ("why does web answer 502?", ("INFO all is well",), (LOST,), "healthy"),
        ("why does web answer 502?", (), (), "healthy"),  # nobody tried to read one
        ("is web healthy?", (), (LOST,), "healthy"),  # its objects say so, and the gap stands beside
    ],
)
def test_errors_that_only_a_log_would_show_are_not_denied_where_no_log_could_be_read(question, logs, gaps, outcome):
    objects = app("web")
    seen = observed(*objects, logs=[log(objects[3], lines(one)) for one in logs], gaps=gaps)
    found = REASONER.diagnose(asked(question), seen)
    assert found.outcome == outcome
    assert not gaps or any("pods/log is forbidden" in words for words in found.missing)


@pytest.mark.parametrize(
    "question",
    ["everything works except web, why?", "why do calls outside the cluster fail?", "why is all slow apart from search"],
)
def test_whoever_does_not_ask_for_more_leaves_nothing_out(question):
    assert understand(question, NOW).besides == ()
    assert answer("all pods are fine except web, what is going on?", *released()).causes[0].finding.subject.name == "web"


@pytest.mark.parametrize(
    ("said", "intent"),
    [
        ("why is web failing and who owns it?", "why"),
        ("why are the owners of the lease flapping?", "why"),
        ("does anything besides web depend on redis?", "impact"),
        ("what version of redis crashes?", "why"),
        ("when was gold-api last deployed?", "changed"),
        ("onset-api is failing", "why"),
        ("timeline pods are unhealthy", "why"),
    ],
)
def test_a_word_of_another_intent_does_not_take_a_question(said, intent):
    assert understand(said, NOW).intent == intent


def test_only_what_is_suspected_is_a_guess():
    assert understand("is it using a lot of memory?", NOW).guess == ""
    assert understand("is it the network?", NOW).guess == "network"
