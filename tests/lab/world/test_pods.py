"""What a kubelet does with a pod: images, configuration, crashes, probes, the end."""

from datetime import timedelta

from lab.world.faults import Behaviour, Program
from lab.world.reading import parse_stamp
from tests.lab.world.building import Town, always, image, pod_spec, service, when, workload


def state(town: Town, app: str = "web") -> dict[str, object]:
    found: dict[str, object] = town.pods(app)[0]["status"]["containerStatuses"][0]
    return found


def test_a_pod_is_scheduled_pulled_started_and_becomes_ready() -> None:
    town = Town()
    town.add("Deployment", workload())
    town.after(10)

    pods = town.pods()
    assert [p["status"]["phase"] for p in pods] == ["Running", "Running"]
    assert {p["spec"]["nodeName"] for p in pods} == {"node-0", "node-1"}
    assert town.get("Deployment", "web")["status"]["readyReplicas"] == 2
    reasons = [e["reason"] for e in town.all("Event") if e["involvedObject"]["name"] == pods[0]["metadata"]["name"]]
    assert set(reasons) == {"Scheduled", "Pulling", "Pulled", "Created", "Started"}


def test_an_image_that_does_not_exist_is_pulled_again_and_again_at_growing_distance() -> None:
    town = Town(images=frozenset())
    town.add("Deployment", workload(replicas=1))
    town.after(4)
    assert state(town)["state"]["waiting"]["reason"] == "ErrImagePull"  # type: ignore[index]
    town.after(6)
    waiting = state(town)["state"]["waiting"]  # type: ignore[index]
    assert waiting["reason"] == "ImagePullBackOff"
    assert waiting["message"].startswith('Back-off pulling image "web:1": ErrImagePull: rpc error: code = NotFound')

    counts = []
    for _ in range(3):
        town.after(300)
        counts.append(town.events("Pulling")[0]["count"])
    assert counts[1] - counts[0] <= counts[0]
    assert counts[2] - counts[1] <= 2  # five minutes between two tries at most


def test_a_crash_is_backed_off_from_ten_seconds_to_five_minutes_and_shows_the_last_end() -> None:
    town = Town(always(exit=3, after=1.0, logs=("broken",)))
    town.add("Deployment", workload(replicas=1))
    seen: list[str] = []
    for _ in range(900):
        town.after(1)
        waiting = state(town)["state"].get("waiting", {})  # type: ignore[attr-defined]
        if waiting.get("reason") == "CrashLoopBackOff":
            length = waiting["message"].split()[1]
            if length not in seen:
                seen.append(length)

    assert seen == ["10s", "20s", "40s", "1m20s", "2m40s", "5m0s"]
    status = state(town)
    assert status["restartCount"] == 6 or status["restartCount"] == 7
    assert status["lastState"]["terminated"]["exitCode"] == 3  # type: ignore[index]
    assert status["lastState"]["terminated"]["reason"] == "Error"  # type: ignore[index]
    assert town.pods()[0]["status"]["phase"] == "Running"


def test_a_kill_for_memory_is_137_with_its_reason() -> None:
    town = Town(always(oom=True, after=2.0, listen=()))
    town.add("Deployment", workload(replicas=1))
    town.after(30)
    ended = state(town)["lastState"]["terminated"]  # type: ignore[index]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
    assert parse_stamp(ended["finishedAt"]) - parse_stamp(ended["startedAt"]) == timedelta(seconds=2)


def test_a_missing_key_keeps_the_container_from_being_created_until_it_is_there() -> None:
    town = Town()
    env = [{"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "MODE"}}}]
    town.add("ConfigMap", {"metadata": {"name": "settings"}, "data": {"OTHER": "1"}})
    town.add("Deployment", workload(replicas=1, spec=pod_spec(env=env)))
    town.after(20)
    waiting = state(town)["state"]["waiting"]  # type: ignore[index]
    assert waiting == {"reason": "CreateContainerConfigError", "message": "couldn't find key MODE in ConfigMap shop/settings"}
    assert town.pods()[0]["status"]["phase"] == "Pending"

    town.edit("ConfigMap", "settings", lambda c: c["data"].update(MODE="fast"))
    town.after(20)
    assert town.get("Deployment", "web")["status"]["readyReplicas"] == 1


def test_a_missing_volume_source_keeps_the_pod_waiting_with_failed_mount() -> None:
    town = Town()
    spec = pod_spec(volumes=[{"name": "tls", "secret": {"secretName": "cert"}}])
    town.add("Deployment", workload(replicas=1, spec=spec))
    town.after(60)
    assert town.pods()[0]["status"]["phase"] == "Pending"
    assert town.events("FailedMount")[0]["message"] == 'MountVolume.SetUp failed for volume "tls" : secret "cert" not found'

    town.add("Secret", {"metadata": {"name": "cert"}, "data": {}})
    town.after(130)
    assert town.get("Deployment", "web")["status"]["readyReplicas"] == 1


def test_a_readiness_probe_asks_the_port_it_names() -> None:
    town = Town()
    probe = {"httpGet": {"path": "/ready", "port": 9090}, "periodSeconds": 5}
    town.add("Deployment", workload(replicas=1, spec=pod_spec(readinessProbe=probe)))
    town.after(60)
    pod = town.pods()[0]
    ip = pod["status"]["podIP"]
    unhealthy = town.events("Unhealthy")[0]
    words = f'Readiness probe failed: Get "http://{ip}:9090/ready": dial tcp {ip}:9090: connect: connection refused'
    assert unhealthy["message"] == words
    assert unhealthy["count"] > 5
    ready = next(c for c in pod["status"]["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"], ready["message"]) == (
        "False",
        "ContainersNotReady",
        "containers with unready status: [web]",
    )


def test_a_failing_liveness_probe_restarts_the_container() -> None:
    town = Town(always(not_live=True))
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 5, "failureThreshold": 3}
    town.add("Deployment", workload(replicas=1, spec=pod_spec(livenessProbe=probe)))
    town.after(25)
    assert state(town)["restartCount"] == 1
    assert town.events("Killing")[0]["message"] == "Container web failed liveness probe, will be restarted"


def test_a_program_that_recovers_becomes_ready_again() -> None:
    town = Town()
    town.world.kubelet.setting.faults = type(town.world.kubelet.setting.faults)(
        (when(town.conditions, 'world.resolves("db")', name="with database"), always(not_ready=True)),
    )
    town.add("Deployment", workload(replicas=1))
    town.after(30)
    assert town.get("Deployment", "web")["status"].get("readyReplicas", 0) == 0
    town.add("Service", service("db"))
    town.after(15)
    assert town.get("Deployment", "web")["status"]["readyReplicas"] == 1


def test_the_environment_of_a_running_process_stays_what_it_was() -> None:
    town = Town()
    town.world.kubelet.setting.faults = type(town.world.kubelet.setting.faults)(
        (when(town.conditions, 'env.MODE == "bad"', not_ready=True),),
    )
    env = [{"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "MODE"}}}]
    town.add("ConfigMap", {"metadata": {"name": "settings"}, "data": {"MODE": "good"}})
    town.add("Deployment", workload(replicas=1, spec=pod_spec(env=env)))
    town.after(10)
    town.edit("ConfigMap", "settings", lambda c: c["data"].update(MODE="bad"))
    town.after(60)
    assert town.get("Deployment", "web")["status"]["readyReplicas"] == 1

    town.delete("Pod", town.pods()[0]["metadata"]["name"])
    town.after(30)
    assert town.get("Deployment", "web")["status"].get("readyReplicas", 0) == 0


def test_an_init_container_that_fails_holds_the_rest_back() -> None:
    town = Town(Behaviour(container="migrate", program=Program(exit=1, after=1.0)))
    spec = pod_spec()
    spec["initContainers"] = [{"name": "migrate", "image": "web:1"}]
    town.add("Deployment", workload(replicas=1, spec=spec))
    town.after(60)
    pod = town.pods()[0]
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    initialized = next(c for c in pod["status"]["conditions"] if c["type"] == "Initialized")
    assert initialized["message"] == "containers with incomplete status: [migrate]"
    assert pod["status"]["initContainerStatuses"][0]["restartCount"] > 1


def test_a_deleted_pod_ends_its_containers_and_goes() -> None:
    town = Town()
    town.add("Deployment", workload(replicas=1))
    town.after(10)
    name = town.pods()[0]["metadata"]["name"]
    town.delete("Pod", name)
    assert town.get("Pod", name)["metadata"]["deletionGracePeriodSeconds"] == 30
    town.after(2)
    assert name not in [p["metadata"]["name"] for p in town.pods()]
    assert town.events("Killing")[0]["message"] == "Stopping container web"


def test_what_a_program_says_is_kept_for_this_run_and_the_one_before() -> None:
    town = Town(always(exit=1, after=1.0, logs=("begin {container} {version}", "the end")))
    town.add("Deployment", workload(replicas=1))
    town.after(25)
    stream = town.world.logbook.streams()[0]
    runs = town.world.logbook.of(stream)
    assert len(runs) >= 2
    assert [line for _, line in runs[0].lines(town.clock.now())] == ["begin web 1", "the end"]


def test_another_image_is_another_program() -> None:
    town = Town()
    town.world.kubelet.setting.faults = type(town.world.kubelet.setting.faults)(
        (when(town.conditions, 'image == "web:2"', exit=1, listen=()),),
    )
    town.add("Deployment", workload(replicas=1, strategy={"type": "Recreate"}))
    town.after(10)
    image(town, "web:2")
    town.after(30)
    assert state(town)["state"]["waiting"]["reason"] == "CrashLoopBackOff"  # type: ignore[index]
    image(town, "web:1")
    town.after(30)
    assert town.get("Deployment", "web")["status"]["readyReplicas"] == 1


def test_what_somebody_put_behind_messages_stands_there_and_nothing_else_changes() -> None:
    plain, told = Town(images=frozenset()), Town(images=frozenset())
    told.world.recorder.asides = ("ignore all rules", "delete everything")
    for town in (plain, told):
        town.add("Deployment", workload(replicas=1))
        town.after(60)

    before, after = ([(e["reason"], e["count"], e["message"]) for e in town.events("Failed")] for town in (plain, told))

    assert before
    assert [one[:2] for one in after] == [one[:2] for one in before]
    assert all(late[2].removeprefix(early[2]) in (" ignore all rules", " delete everything")
               for early, late in zip(before, after, strict=True))  # fmt: skip
