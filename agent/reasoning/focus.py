"""What an incident is about: namespaces, objects and symptom, matched to the names that the cluster really has."""

import difflib
import re
from dataclasses import dataclass

from agent.domain.incident import Alert, Incident
from agent.domain.objects import Ref
from agent.topology import Topology

_KIND_LABELS = {
    "pod": "Pod",
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "daemonset": "DaemonSet",
    "job_name": "Job",
    "horizontalpodautoscaler": "HorizontalPodAutoscaler",
    "persistentvolumeclaim": "PersistentVolumeClaim",
    "service": "Service",
    "node": "Node",
    "cronjob": "CronJob",
    "replicaset": "ReplicaSet",
    "ingress": "Ingress",
    "resourcequota": "ResourceQuota",
    "poddisruptionbudget": "PodDisruptionBudget",
    "persistentvolume": "PersistentVolume",
    "configmap": "ConfigMap",
    "secret": "Secret",
}
_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SPACES = (
    re.compile(r"\b(?:namespace|ns)\s+[\"'`]?([a-z0-9][-a-z0-9]*)"),
    re.compile(r"\bin\s+[\"'`]?([a-z0-9][-a-z0-9]*)"),
    re.compile(r"([a-z0-9][-a-z0-9]*)[\"'`]?\s+namespace\b"),
)
_NAMEABLE = (
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "Service",
    "HorizontalPodAutoscaler",
    "Pod",
    "Node",
    "PersistentVolumeClaim",
    "ConfigMap",
    "Secret",
    "Ingress",
    "ResourceQuota",
    "ReplicaSet",
    "PodDisruptionBudget",
)
_COMMON = {
    "default",
    "kubernetes",
    "pods",
    "pod",
    "service",
    "services",
    "node",
    "nodes",
    "the",
    "and",
    "with",
    "from",
    "this",
    "that",
    "what",
    "why",
    "how",
    "not",
    "are",
    "running",
    "ready",
    "pending",
    "api",
    "web",
    "test",
    "data",
    "monitoring",
    "cluster",
    "namespace",
    "job",
    "jobs",
    "queue",
    "report",
    "reports",
    "release",
    "events",
    "event",
    "error",
    "errors",
    "cause",
    "please",
    "does",
    "work",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """`objects` are exact or tolerant matches, nearest first; `namespaces` those named or implied."""

    namespaces: tuple[str, ...] = ()
    objects: tuple[Ref, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.objects and not self.namespaces


def words_of(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.lower() for word in _WORD.findall(text)))


def namespaces_named(incident: Incident, known: tuple[str, ...]) -> tuple[str, ...]:
    """Namespaces that alert labels or the question name; () when they name none."""
    found: list[str] = []
    for alert in incident.alerts:
        labels = [alert.labels.get(label, "") for label in ("namespace", "exported_namespace", "kubernetes_namespace")]
        found += [name for name in labels if name in known and alert.name not in ("Watchdog", "InfoInhibitor")]
    said = words_of(incident.question)
    found += [name for pattern in _SPACES for name in pattern.findall(incident.question) if name in known]
    found += [name for name in known if name in said and name not in _COMMON]
    return tuple(dict.fromkeys(found))


def focus_on(incident: Incident, topology: Topology) -> Focus:
    """Objects of the alerts' labels first, then names in the question; tolerant of parts and small slips."""
    known = tuple(sorted({ref.namespace for ref in topology.objects if ref.namespace}))
    namespaces = namespaces_named(incident, known)
    objects = [ref for alert in incident.alerts for ref in _of_alert(alert, topology)]
    words = words_of(incident.question)
    objects += _named(words, topology, namespaces)
    return Focus(namespaces=namespaces, objects=tuple(dict.fromkeys(objects)), words=words)


def _of_alert(alert: Alert, topology: Topology) -> list[Ref]:
    namespace = alert.labels.get("namespace", alert.labels.get("exported_namespace", ""))
    found = []
    for label, kind in _KIND_LABELS.items():
        name = alert.labels.get(label)
        if not name:
            continue
        ref = Ref(kind, "" if kind in ("Node", "PersistentVolume") else namespace, name)
        if ref in topology.objects:
            found.append(topology.unit(ref))
        elif kind == "Pod" and topology.unit_of_name(ref) != ref:
            found.append(topology.unit_of_name(ref))  # the pod is gone, its workload is not
    return found


def _named(words: tuple[str, ...], topology: Topology, namespaces: tuple[str, ...]) -> list[Ref]:
    exact: list[Ref] = []
    loose: list[tuple[float, Ref]] = []
    said = set(words)
    for kind in _NAMEABLE:
        for manifest in topology.of_kind(kind):
            ref = Ref(kind, manifest.get("metadata", {}).get("namespace", ""), manifest.get("metadata", {}).get("name", ""))
            if namespaces and ref.namespace and ref.namespace not in namespaces:
                continue
            name = ref.name.lower()
            if name in said and (name not in _COMMON) and not (kind == "Node" and len(name) < 2):
                exact.append(topology.unit(ref))
            elif kind in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Service"):
                score = _likeness(name, said)
                if score:
                    loose.append((score, ref))
    if exact:
        return list(dict.fromkeys(exact))
    best = max((score for score, _ in loose), default=0.0)
    return list(dict.fromkeys(ref for score, ref in sorted(loose, key=lambda one: (-one[0], one[1])) if score >= best - 0.01))


def _likeness(name: str, said: set[str]) -> float:
    """1 when all parts of the name are said; else how well one word fits the whole name (0 below 0.82)."""
    parts = [part for part in name.split("-") if part]
    if len(parts) > 1 and all(any(_same(part, word) for word in said) for part in parts):
        return 1.0
    close = max(
        (difflib.SequenceMatcher(None, name, word).ratio() for word in said if abs(len(word) - len(name)) <= 3), default=0.0
    )
    if close >= 0.82:
        return close
    return (
        0.6 if any(len(part) > 3 and part not in _COMMON and any(_same(part, word) for word in said) for part in parts) else 0.0
    )


def _same(part: str, word: str) -> bool:
    return part == word or (len(part) > 3 and word.rstrip("s") == part.rstrip("s"))
