"""From YAML to a Scenario. Every mistake in a file is one ScenarioError that says where it is."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import yaml

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
from lab.world.conditions import Condition, ConditionError, Conditions
from lab.world.faults import Behaviour, Program

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
DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
T = TypeVar("T")


class Reader:
    """A mapping of the file with the path that leads to it. What was not asked for is a mistake."""

    def __init__(self, value: Any, path: str, conditions: Conditions) -> None:
        if not isinstance(value, Mapping):
            raise ScenarioError(f"{path}: a mapping is wanted, not {_named(value)}")
        self.value, self.path, self.conditions = value, path, conditions
        self._asked: set[str] = set()

    def fail(self, key: str, problem: str) -> ScenarioError:
        return ScenarioError(f"{self.path}{'.' if key else ''}{key}: {problem}")

    def raw(self, key: str, default: Any = None) -> Any:
        self._asked.add(key)
        return self.value.get(key, default)

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        found = self.raw(key)
        if found is None:
            if default is None:
                raise self.fail(key, "is missing")
            return default
        if kind is float and isinstance(found, int) and not isinstance(found, bool):
            found = float(found)
        if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
            raise self.fail(key, f"{kind.__name__} is wanted, not {_named(found)}")
        return found

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> Any:
        found = self.take(key, str, default)
        if found not in choices:
            raise self.fail(key, f"{found!r} is none of {', '.join(choices)}")
        return found

    def strings(self, key: str) -> tuple[str, ...]:
        found = self.take(key, list, [])
        if not all(isinstance(x, str) for x in found):
            raise self.fail(key, "a list of strings is wanted")
        return tuple(found)

    def labels(self, key: str) -> dict[str, str]:
        found = self.take(key, dict, {})
        if not all(isinstance(k, str) and isinstance(v, str) for k, v in found.items()):
            raise self.fail(key, "a mapping of strings is wanted")
        return found

    def duration(self, key: str, default: str | None = None) -> timedelta:
        found = self.raw(key, default)
        if found is None:
            raise self.fail(key, "is missing")
        return duration(found, f"{self.path}.{key}")

    def condition(self, key: str) -> Condition | None:
        text = self.raw(key)
        if text is None:
            return None
        try:
            return self.conditions.compile(str(text))
        except ConditionError as exc:
            raise self.fail(key, str(exc)) from exc

    def inner(self, key: str, read: "Callable[[Reader], T]", default: T | None = None) -> T:
        found = self.raw(key)
        if found is None:
            if default is None:
                raise self.fail(key, "is missing")
            return default
        return self._read(found, f"{self.path}.{key}", read)

    def each(self, key: str, read: "Callable[[Reader], T]") -> tuple[T, ...]:
        found = self.take(key, list, [])
        return tuple(self._read(item, f"{self.path}.{key}[{i}]", read) for i, item in enumerate(found))

    def _read(self, value: Any, path: str, read: "Callable[[Reader], T]") -> T:
        reader = Reader(value, path, self.conditions)
        result = read(reader)
        reader.done()
        return result

    def manifests(self, key: str) -> tuple[Manifest, ...]:
        found = self.take(key, list, [])
        for i, item in enumerate(found):
            good = isinstance(item, dict) and "apiVersion" in item and "kind" in item and isinstance(item.get("metadata"), dict)
            if not good or not item["metadata"].get("name"):
                raise self.fail(f"{key}[{i}]", "a manifest with apiVersion, kind and metadata.name is wanted")
        return tuple(found)

    def done(self) -> None:
        unknown = sorted(set(self.value) - self._asked)
        if unknown:
            raise self.fail("", f"unknown key {unknown[0]!r}")


def read_file(path: Path, parts: Path) -> Scenario:
    """Raises ScenarioError."""
    conditions = Conditions()
    reader = Reader(_yaml(path), path.stem, conditions)
    scenario = _scenario(reader, path, parts, conditions)
    reader.done()
    return scenario


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
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


def duration(value: Any, path: str) -> timedelta:
    """Seconds as a number, or "1h30m", "10m", "5s"."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value)
    found = DURATION.fullmatch(str(value))
    if found is None or not any(found.groups()):
        raise ScenarioError(f"{path}: {value!r} is not a duration such as 5s, 10m or 1h30m")
    hours, minutes, seconds = (float(x or 0) for x in found.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _named(value: Any) -> str:
    return {str: "a string", dict: "a mapping", list: "a list", type(None): "nothing", bool: "a boolean"}.get(
        type(value), "a number"
    )
