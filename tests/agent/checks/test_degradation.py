"""Latency and errors along the call graph: the workload that turned first and whose own dependencies are well is to blame."""

import pytest

from agent.checks import run
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import active, app, asked, container, deployment, measured, obj, observed, pod, replica_set, topology
from tests.agent.checks.cases_metrics import counted, served
from tests.agent.checks.logbooks import failing_log

WELL = (60, 0.05, 0.0)


def calling(name, *others):
    env = [{"name": f"{other.upper().replace('-', '_')}_URL", "value": f"http://{other}:80"} for other in others]
    return app(name, containers=[container(env=env)])


def chain():
    """front calls middle, middle calls store."""
    return [*calling("front", "middle"), *calling("middle", "store"), *app("store")]


def slow(before, after, seconds):
    return ((before, 0.05, 0.0), (after, seconds, 0.0))


def diagnose(objects, series, question="why is front slow?"):
    return OfflineReasoner().diagnose(asked(question), observed(*objects), tuple(series))


def test_the_loudest_victim_is_not_the_cause():
    series = [
        *served("front", *slow(41, 19, 9.0), per_second=200),
        *served("middle", *slow(40, 20, 3.0)),
        *served("store", *slow(38, 22, 0.4), per_second=3),
    ]

    diagnosis = diagnose(chain(), series)

    assert [str(one.finding.subject) for one in diagnosis.causes] == ["Deployment shop/store"]
    assert {ref.name for ref in diagnosis.victims} >= {"front", "middle"}
    assert sorted(diagnosis.causes[0].explains) == [
        "service-dragged@Deployment/shop/front",
        "service-dragged@Deployment/shop/middle",
    ]


def test_errors_travel_up_the_call_graph_too():
    series = [
        *served("front", (40, 0.05, 0.0), (20, 0.05, 0.9)),
        *served("middle", (40, 0.05, 0.0), (20, 0.05, 0.5)),
        *served("store", (40, 0.05, 0.0), (20, 0.05, 0.2)),
    ]

    assert diagnose(chain(), series).causes[0].finding.subject.name == "store"


def test_a_dependency_that_turned_much_later_is_not_blamed():
    series = [*served("front", *slow(20, 40, 2.0)), *served("middle", *slow(50, 10, 2.0)), *served("store", WELL)]

    causes = {one.finding.subject.name for one in diagnose(chain(), series).causes}

    assert "front" in causes


def test_a_dependency_that_is_well_is_not_blamed():
    series = [*served("front", *slow(40, 20, 2.0)), *served("middle", WELL), *served("store", WELL)]

    assert diagnose(chain(), series).causes[0].finding.subject.name == "front"


def test_slow_since_a_release_is_the_release_s_fault_and_can_be_rolled_back():
    owner = deployment("web", replicas=1, minutes=600)
    new = replica_set(owner, 2, minutes=11)
    old = replica_set(owner, 1, ready=0, minutes=600, image="registry.example.com/app:0.9")
    one = pod(new, minutes=11)

    diagnosis = diagnose([owner, new, old, one], served("web", *slow(40, 20, 2.0), pod=one["metadata"]["name"]), "is web slow?")

    assert diagnosis.causes[0].finding.cause == "bad-release"
    assert diagnosis.causes[0].finding.params["rollback_to"] == 1


def test_traffic_that_rose_at_the_same_time_is_told():
    where = {"pod": "web-00001abcde-axyz0"}
    series = [
        counted("http_request_duration_seconds_sum", (40, 0.5), (20, 90.0), **where),
        counted("http_request_duration_seconds_count", (40, 10.0), (20, 90.0), **where),
    ]

    assert "its traffic rose from 10 to 90 requests a second" in diagnose(app("web"), series, "is web slow?").statement


@pytest.mark.parametrize(
    "stretches",
    [
        [WELL],
        [(40, 0.010, 0.0), (20, 0.030, 0.0)],
        [(40, 0.05, 0.0), (10, 2.0, 0.5), (30, 0.05, 0.0)],
        [(60, 2.0, 0.3)],
        [(40, 0.05, 0.01), (20, 0.05, 0.02)],
    ],
    ids=["well", "a little slower", "over again", "always was", "a few errors"],
)
def test_nothing_out_of_the_ordinary_is_no_finding(stretches):
    assert run(topology(*app("web"), series=served("web", *stretches))) == ()


def test_series_that_ended_say_nothing_of_now():
    series = served("web", *slow(40, 20, 2.0))
    ended = [type(one)(labels=one.labels, samples=tuple((at - 1200, value) for at, value in one.samples)) for one in series]

    assert run(topology(*app("web"), series=ended)) == ()


@pytest.mark.parametrize(
    "labels",
    [
        {"exported_namespace": "shop", "exported_pod": "web-00001abcde-axyz0", "namespace": "monitoring", "pod": "proxy-1"},
        {"exported_service": "web", "pod": "ingress-nginx-1", "namespace": "shop"},
        {"destination_workload": "web", "destination_workload_namespace": "shop", "reporter": "destination", "pod": "x"},
        {"deployment": "web"},
        {"service": "web"},
        {"app": "web"},
    ],
    ids=["exported pod", "ingress", "mesh", "deployment", "service", "app"],
)
def test_whose_series_it_is_stands_in_many_labels(labels):
    values = [100.0]
    for seconds in [0.5] * 40 + [20.0] * 20:
        values.append(values[-1] + 30 * seconds)
    series = [
        measured("http_request_duration_seconds_sum", values, **labels),
        counted("http_request_duration_seconds_count", (60, 10.0), **labels),
    ]

    found = run(topology(*app("web"), *app("api"), series=series))

    assert [(one.cause, one.subject.name) for one in found] == [("service-degraded", "web")]


def test_what_a_client_measures_is_not_its_own_latency():
    where = {"pod": "web-00001abcde-axyz0"}
    series = [
        counted("http_client_request_duration_seconds_sum", (40, 0.5), (20, 90.0), **where),
        counted("http_client_request_duration_seconds_count", (40, 10.0), (20, 10.0), **where),
    ]

    assert run(topology(*app("web"), series=series)) == ()


def test_what_its_own_log_says_is_told_and_quoted():
    objects = app("web", minutes=600)

    (cause,) = (
        OfflineReasoner()
        .diagnose(
            asked("is web slow?"), observed(*objects, logs=[failing_log(objects[2])]), tuple(served("web", *slow(40, 20, 2.0)))
        )
        .causes
    )

    assert "its log: 2026-05-04T11:56:00Z ERROR price table is locked" in cause.finding.statement
    assert any("price table is locked" in quote.text for quote in cause.finding.quotes)


def test_similar_names_are_told_apart():
    series = [*served("store", WELL), *served("store-api", *slow(40, 20, 2.0))]
    objects = [*calling("front", "store"), *app("store"), *app("store-api")]

    found = active(run(topology(*objects, series=series)))
    diagnosis = diagnose(objects, series, "is store-api slow?")

    assert found == ["service-degraded"]
    assert diagnosis.causes[0].finding.subject.name == "store-api"
    assert diagnosis.victims == ()


def test_a_broken_database_explains_the_slow_workload_in_front_of_it():
    off = deployment("store", replicas=0)
    objects = [*calling("front", "store"), off, *[one for one in app("store") if one["kind"] == "Service"]]
    told = obj(
        "Event", "e", type="Normal", reason="ScalingReplicaSet", message="Scaled down replica set store-1 from 3 to 0",
        involvedObject={"kind": "Deployment", "namespace": "shop", "name": "store"}, lastTimestamp="2026-05-04T11:49:00Z",
    )  # fmt: skip

    diagnosis = diagnose([*objects, told], served("front", (40, 0.05, 0.0), (20, 0.05, 0.8)))

    assert [one.finding.cause for one in diagnosis.causes] == ["scaled-to-zero"]
    assert "service-degraded@Deployment/shop/front" in diagnosis.causes[0].explains
