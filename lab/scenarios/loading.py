"""From YAML to a Scenario. Every mistake in a file is one ScenarioError that says where it is."""

from pathlib import Path
from typing import Any

import yaml

from lab.scenarios.reader import Reader
from lab.scenarios.scenario import (
    Advance,
    Alert,
    Apply,
    ClusterSetting,
    Delete,
    Governance,
    Interference,
    Manifest,
    Metric,
    Node,
    ObjectName,
    Patch,
    Scenario,
    ScenarioError,
    Step,
    Truth,
    Write,
)
from lab.world.conditions import Conditions
from lab.world.faults import Behaviour, Program

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML has it
OUTCOMES = frozenset(
    (
        "repaired",
        "not-repaired",
        "denied",
        "refused",
        "no-answer",
        "human-needed",
        "diagnosed",
        "healthy",
        "unknown",
        "ungoverned",
        "failed",
    )
)


def read_file(path: Path, parts: Path) -> Scenario:
    """Raises ScenarioError."""
    conditions = Conditions()
    reader = Reader(_yaml(path), path.stem, conditions)
    scenario = _scenario(reader, path, parts, conditions)
    reader.done()
    return scenario


def _yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(), Loader=_LOADER)  # noqa: S506  the safe one
    except OSError as exc:
        raise ScenarioError(f"{path.name}: cannot be read: {exc.strerror}") from exc
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise ScenarioError(f"{path.name}: not YAML{where}: {getattr(exc, 'problem', None) or 'cannot be parsed'}") from exc


def _scenario(r: Reader, path: Path, parts: Path, conditions: Conditions) -> Scenario:
    name = r.take("name", str)
    if name != path.stem:
        raise r.fail("name", f"{name!r} is not the name of the file")
    shared = [_part(parts / f"{part}.yaml", conditions) for part in r.strings("uses")]
    question, alerts = r.take("question", str, ""), r.each("alerts", _alert)
    if not question and not alerts:
        raise r.fail("", "a question or an alert is wanted")
    own = r.manifests("objects")
    return Scenario(
        name=name,
        title=r.take("title", str),
        story=r.take("story", str),
        question=question,
        alerts=alerts,
        cluster=r.inner("cluster", _cluster),
        objects=(*(o for objects, _, _ in shared for o in objects), *own),
        behaviours=(*r.each("behaviours", _behaviour), *(b for _, behaviours, _ in shared for b in behaviours)),
        history=r.each("history", _step),
        metrics=(*r.each("metrics", _metric), *(m for _, _, metrics in shared for m in metrics)),
        governance=r.inner("governance", _governance, Governance()),
        real_cluster=r.take("real_cluster", bool, False),
        truth=r.inner("truth", _truth),
        conditions=conditions,
    )


def _part(path: Path, conditions: Conditions) -> tuple[tuple[Manifest, ...], tuple[Behaviour, ...], tuple[Metric, ...]]:
    """A piece of cluster that several scenarios share."""
    if not path.is_file():
        raise ScenarioError(f"uses: there is no part {path.stem!r}")
    r = Reader(_yaml(path), path.stem, conditions)
    found = r.manifests("objects"), r.each("behaviours", _behaviour), r.each("metrics", _metric)
    r.done()
    return found


def _cluster(r: Reader) -> ClusterSetting:
    images = r.raw("images")
    if images is not None and not (isinstance(images, list) and all(isinstance(i, str) for i in images)):
        raise r.fail("images", "a list of strings is wanted")
    nodes = r.each("nodes", _node)
    if not nodes:
        raise r.fail("nodes", "at least one is wanted")
    return ClusterSetting(
        name=r.take("name", str, "lab"),
        nodes=nodes,
        images=None if images is None else tuple(images),
        storage_classes=r.manifests("storageClasses"),
    )


def _node(r: Reader) -> Node:
    return Node(
        name=r.take("name", str),
        labels=r.labels("labels"),
        taints=tuple(r.take("taints", list, [])),
        cpu=str(r.raw("cpu", "4")),
        memory=str(r.raw("memory", "8Gi")),
        pods=r.take("pods", int, 110),
        unschedulable=r.take("unschedulable", bool, False),
    )


def _alert(r: Reader) -> Alert:
    labels = r.labels("labels")
    if "alertname" not in labels:
        raise r.fail("labels", "alertname is missing")
    group = r.strings("groupBy") or ("alertname", "namespace")
    return Alert(labels=labels, annotations=r.labels("annotations"), age=r.duration("age", "5m"), group_by=group)


def _behaviour(r: Reader) -> Behaviour:
    def match(m: Reader) -> tuple[str, dict[str, str], str]:
        return m.take("namespace", str, ""), m.labels("labels"), m.take("container", str, "")

    anything: tuple[str, dict[str, str], str] = ("", {}, "")
    namespace, labels, container = r.inner("match", match, anything)
    when = r.condition("when")
    return Behaviour(namespace=namespace, labels=labels, container=container, when=when, program=r.inner("then", _program))


def _program(r: Reader) -> Program:
    listen = r.raw("listen")
    if listen is not None and not (isinstance(listen, list) and all(isinstance(p, int) for p in listen)):
        raise r.fail("listen", "a list of ports is wanted")
    code = r.raw("exit")
    if code is not None and (not isinstance(code, int) or not 0 <= code <= 255):
        raise r.fail("exit", "an exit code from 0 to 255 is wanted")
    default = Program()
    return Program(
        name=r.take("name", str, "scripted"),
        exit=code,
        oom=r.take("oom", bool, False),
        after=r.duration("after", "0s").total_seconds(),
        listen=None if listen is None else tuple(listen),
        not_ready=r.take("not_ready", bool, False),
        not_live=r.take("not_live", bool, False),
        logs=r.strings("logs"),
        repeat=r.strings("repeat"),
        every=r.duration("every", "10s").total_seconds(),
        dial=r.condition("dial"),
        errors=r.take("errors", float, 0.0),
        memory=r.take("memory", float, default.memory),
        cpu=r.take("cpu", float, default.cpu),
    )


def _target(r: Reader) -> ObjectName:
    return ObjectName(kind=r.take("kind", str), namespace=r.take("namespace", str, ""), name=r.take("name", str))


def _step(r: Reader) -> Step:
    kinds = [k for k in ("apply", "patch", "scale", "delete", "advance") if k in r.value]
    if len(kinds) != 1:
        raise r.fail("", "exactly one of apply, patch, scale, delete, advance is wanted")
    match kinds[0]:
        case "apply":
            return r.inner("apply", lambda a: Apply(manager=a.take("manager", str, "ci"), objects=a.manifests("objects")))
        case "patch":
            return r.inner("patch", _patch)
        case "scale":
            return r.inner("scale", _scale)
        case "delete":
            return Delete(target=r.inner("delete", _target))
    return Advance(by=r.duration("advance"))


def _patch(r: Reader) -> Patch:
    if r.raw("patch") is None:
        raise r.fail("patch", "is missing")
    return Patch(
        manager=r.take("manager", str, "kubectl-edit"),
        target=r.inner("target", _target),
        type=r.choice("type", ("merge", "strategic", "json"), "strategic"),
        patch=r.raw("patch"),
        subresource=r.take("subresource", str, ""),
    )


def _scale(r: Reader) -> Patch:
    return Patch(
        manager=r.take("manager", str, "kubectl"),
        target=r.inner("target", _target),
        type="merge",
        patch={"spec": {"replicas": r.take("replicas", int)}},
        subresource="scale",
    )


def _metric(r: Reader) -> Metric:
    value = r.condition("value")
    if value is None:
        raise r.fail("value", "is missing")
    return Metric(
        name=r.take("name", str),
        type=r.choice("type", ("gauge", "counter"), "gauge"),
        namespace=r.take("namespace", str, ""),
        match=r.labels("match"),
        labels=r.labels("labels"),
        value=value,
    )


def _governance(r: Reader) -> Governance:
    return Governance(
        policy=r.take("policy", dict, {}),
        approver=r.choice("approver", ("approve", "deny", "nobody"), "approve"),
        interference=r.each("interference", _interference),
        sidecar=r.choice("sidecar", ("up", "down"), "up"),
    )


def _interference(r: Reader) -> Interference:
    when = r.choice("when", ("before-first-write",), "before-first-write")

    def deed(d: Reader) -> Patch | Delete:
        if "delete" in d.value:
            return Delete(target=d.inner("delete", _target))
        return d.inner("patch", _patch)

    return Interference(when=when, do=r.inner("do", deed))


def _truth(r: Reader) -> Truth:
    outcome = r.take("outcome", str)
    if outcome not in OUTCOMES:
        raise r.fail("outcome", f"{outcome!r} is none of {', '.join(sorted(OUTCOMES))}")

    def write(w: Reader) -> Write:
        return Write(
            verb=w.take("verb", str),
            resource=w.take("resource", str),
            namespace=w.take("namespace", str, ""),
            name=w.take("name", str),
        )

    return Truth(
        outcome=outcome,
        cause=r.take("cause", str, ""),
        resource=r.inner("resource", _target) if r.raw("resource") is not None else None,
        writes=r.each("writes", write),
        healed=r.condition("healed"),
        must_mention=r.strings("must_mention"),
        denied_rule=r.take("denied_rule", str, ""),
    )
