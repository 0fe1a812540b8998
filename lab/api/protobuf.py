"""Decodes the protobuf bodies that kubectl sends when it creates things: the messages it needs, by field number.

The numbers are those of the `generated.proto` files of k8s.io/api. A field that is not in the tables is not guessed at: Unreadable.
"""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

MAGIC = b"k8s\x00"
MEDIA = "application/vnd.kubernetes.protobuf"
# number: (name, type); "[]T" repeated, "{}T" a map from strings, a message's name, or a scalar.
_Message = dict[int, tuple[str, str]]
_MESSAGES: dict[str, _Message] = {
    "Unknown": {1: ("typeMeta", "TypeMeta"), 2: ("raw", "bytes"), 3: ("contentEncoding", "string"), 4: ("contentType", "string")},
    "TypeMeta": {1: ("apiVersion", "string"), 2: ("kind", "string")},
    "Meta": {
        1: ("name", "string"), 2: ("generateName", "string"), 3: ("namespace", "string"), 4: ("selfLink", "string"), 5: ("uid", "string"),
        6: ("resourceVersion", "string"), 7: ("generation", "int"), 8: ("creationTimestamp", "Time"), 11: ("labels", "{}string"),
        12: ("annotations", "{}string"), 13: ("ownerReferences", "[]Owner"), 14: ("finalizers", "[]string"),
    },
    "Time": {1: ("seconds", "int"), 2: ("nanos", "int")},
    "Owner": {
        1: ("kind", "string"), 3: ("name", "string"), 4: ("uid", "string"), 5: ("apiVersion", "string"), 6: ("controller", "bool"),
        7: ("blockOwnerDeletion", "bool"),
    },
    "SelfSubjectAccessReview": {1: ("metadata", "Meta"), 2: ("spec", "AccessSpec"), 3: ("status", "AccessStatus")},
    "AccessSpec": {1: ("resourceAttributes", "ResourceAttributes"), 2: ("nonResourceAttributes", "NonResourceAttributes")},
    "AccessStatus": {1: ("allowed", "bool"), 2: ("reason", "string"), 3: ("evaluationError", "string"), 4: ("denied", "bool")},
    "ResourceAttributes": {
        1: ("namespace", "string"), 2: ("verb", "string"), 3: ("group", "string"), 4: ("version", "string"), 5: ("resource", "string"),
        6: ("subresource", "string"), 7: ("name", "string"),
    },
    "NonResourceAttributes": {1: ("path", "string"), 2: ("verb", "string")},
    "SelfSubjectRulesReview": {1: ("metadata", "Meta"), 2: ("spec", "RulesSpec"), 3: ("status", "RulesStatus")},
    "RulesSpec": {1: ("namespace", "string")},
    "RulesStatus": {3: ("incomplete", "bool"), 4: ("evaluationError", "string")},
    "SelfSubjectReview": {1: ("metadata", "Meta"), 2: ("status", "SubjectStatus")},
    "SubjectStatus": {1: ("userInfo", "UserInfo")},
    "UserInfo": {1: ("username", "string"), 2: ("uid", "string"), 3: ("groups", "[]string")},
    "TokenRequest": {1: ("metadata", "Meta"), 2: ("spec", "TokenSpec"), 3: ("status", "TokenStatus")},
    "TokenSpec": {1: ("audiences", "[]string"), 3: ("boundObjectRef", "BoundObject"), 4: ("expirationSeconds", "int")},
    "TokenStatus": {1: ("token", "string"), 2: ("expirationTimestamp", "Time")},
    "BoundObject": {1: ("kind", "string"), 2: ("apiVersion", "string"), 3: ("name", "string"), 4: ("uid", "string")},
    "ServiceAccount": {1: ("metadata", "Meta"), 4: ("automountServiceAccountToken", "bool")},
    "Namespace": {1: ("metadata", "Meta"), 2: ("spec", "NamespaceSpec"), 3: ("status", "NamespaceStatus")},
    "NamespaceSpec": {1: ("finalizers", "[]string")},
    "NamespaceStatus": {1: ("phase", "string")},
    "ConfigMap": {1: ("metadata", "Meta"), 2: ("data", "{}string"), 3: ("binaryData", "{}bytes"), 4: ("immutable", "bool")},
    "Secret": {1: ("metadata", "Meta"), 2: ("data", "{}bytes"), 3: ("type", "string"), 4: ("stringData", "{}string"), 5: ("immutable", "bool")},
    "Role": {1: ("metadata", "Meta"), 2: ("rules", "[]Rule")},
    "ClusterRole": {1: ("metadata", "Meta"), 2: ("rules", "[]Rule")},
    "Rule": {
        1: ("verbs", "[]string"), 2: ("apiGroups", "[]string"), 3: ("resources", "[]string"), 4: ("resourceNames", "[]string"),
        5: ("nonResourceURLs", "[]string"),
    },
    "RoleBinding": {1: ("metadata", "Meta"), 2: ("subjects", "[]Subject"), 3: ("roleRef", "RoleRef")},
    "ClusterRoleBinding": {1: ("metadata", "Meta"), 2: ("subjects", "[]Subject"), 3: ("roleRef", "RoleRef")},
    "Subject": {1: ("kind", "string"), 2: ("apiGroup", "string"), 3: ("name", "string"), 4: ("namespace", "string")},
    "RoleRef": {1: ("apiGroup", "string"), 2: ("kind", "string"), 3: ("name", "string")},
    "HorizontalPodAutoscaler": {1: ("metadata", "Meta"), 2: ("spec", "ScalerSpec"), 3: ("status", "ScalerStatus")},
    "ScalerSpec": {1: ("scaleTargetRef", "ScalerTarget"), 2: ("minReplicas", "int"), 3: ("maxReplicas", "int"), 4: ("metrics", "[]Metric")},
    "ScalerStatus": {3: ("currentReplicas", "int"), 4: ("desiredReplicas", "int")},
    "ScalerTarget": {1: ("kind", "string"), 2: ("name", "string"), 3: ("apiVersion", "string")},
    "Metric": {1: ("type", "string"), 4: ("resource", "ResourceMetric")},
    "ResourceMetric": {1: ("name", "string"), 2: ("target", "MetricTarget")},
    "MetricTarget": {1: ("type", "string"), 4: ("averageUtilization", "int")},
    "Deployment": {1: ("metadata", "Meta"), 2: ("spec", "DeploymentSpec"), 3: ("status", "Empty")},
    "DeploymentSpec": {1: ("replicas", "int"), 2: ("selector", "Selector"), 3: ("template", "Template"), 4: ("strategy", "Empty"),
                       5: ("minReadySeconds", "int"), 7: ("paused", "bool")},
    "Selector": {1: ("matchLabels", "{}string")},
    "Empty": {},
    "Job": {1: ("metadata", "Meta"), 2: ("spec", "JobSpec"), 3: ("status", "Zero")},
    "JobSpec": {
        1: ("parallelism", "int"), 2: ("completions", "int"), 3: ("activeDeadlineSeconds", "int"), 4: ("selector", "Selector"),
        5: ("manualSelector", "bool"), 6: ("template", "Template"), 7: ("backoffLimit", "int"), 8: ("ttlSecondsAfterFinished", "int"),
        9: ("completionMode", "string"), 10: ("suspend", "bool"), 14: ("podReplacementPolicy", "string"),
    },
    "Zero": {n: (f"zero{n}", "int") for n in range(1, 12)},
    "CronJob": {1: ("metadata", "Meta"), 2: ("spec", "CronSpec"), 3: ("status", "Zero")},
    "CronSpec": {
        1: ("schedule", "string"), 2: ("startingDeadlineSeconds", "int"), 3: ("concurrencyPolicy", "string"), 4: ("suspend", "bool"),
        5: ("jobTemplate", "JobTemplate"), 6: ("successfulJobsHistoryLimit", "int"), 7: ("failedJobsHistoryLimit", "int"), 8: ("timeZone", "string"),
    },
    "JobTemplate": {1: ("metadata", "Meta"), 2: ("spec", "JobSpec")},
    "Template": {1: ("metadata", "Meta"), 2: ("spec", "PodSpec")},
    "PodSpec": {2: ("containers", "[]Container"), 3: ("restartPolicy", "string"), 4: ("terminationGracePeriodSeconds", "int"),
                6: ("dnsPolicy", "string"), 7: ("nodeSelector", "{}string"), 8: ("serviceAccountName", "string"), 9: ("serviceAccount", "string"),
                10: ("nodeName", "string"), 11: ("hostNetwork", "bool"), 12: ("hostPID", "bool"), 13: ("hostIPC", "bool"),
                14: ("securityContext", "Empty"), 16: ("hostname", "string"), 17: ("subdomain", "string"), 19: ("schedulerName", "string"),
                24: ("priorityClassName", "string")},
    "Container": {1: ("name", "string"), 2: ("image", "string"), 3: ("command", "[]string"), 4: ("args", "[]string"), 5: ("workingDir", "string"),
                  8: ("resources", "Empty"), 13: ("terminationMessagePath", "string"), 14: ("imagePullPolicy", "string"), 16: ("stdin", "bool"),
                  17: ("stdinOnce", "bool"), 18: ("tty", "bool"), 20: ("terminationMessagePolicy", "string")},
}  # fmt: skip
_POINTERS = {
    "automountServiceAccountToken",
    "immutable",
    "controller",
    "blockOwnerDeletion",
    "replicas",
    "minReplicas",
    "suspend",
    "averageUtilization",
}


class Unreadable(ValueError):
    """Not such a body, or one with a field that the tables do not have."""


def decode(body: bytes) -> dict[str, Any]:
    """The object in a `runtime.Unknown`. Unreadable."""
    if not body.startswith(MAGIC):
        raise Unreadable("no protobuf body")
    envelope = _message(body[len(MAGIC) :], "Unknown")
    head = envelope.get("typeMeta") or {}
    kind = head.get("kind", "")
    if kind not in _MESSAGES:
        raise Unreadable(f"kind {kind}")
    return {"apiVersion": head.get("apiVersion", ""), "kind": kind} | _message(base64.b64decode(envelope.get("raw", "")), kind)


def _message(data: bytes, name: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for number, value in _fields(data):
        if number not in _MESSAGES[name]:
            raise Unreadable(f"field {number} of {name}")
        field, kind = _MESSAGES[name][number]
        if kind.startswith("[]"):
            out.setdefault(field, []).append(_value(value, kind[2:]))
        elif kind.startswith("{}"):
            pair = dict(_fields(_bytes(value)))
            out.setdefault(field, {})[_bytes(pair.get(1, b"")).decode()] = _value(pair.get(2, b""), kind[2:])
        else:
            out[field] = _value(value, kind)
    return {k: v for k, v in out.items() if v not in ("", None) and (v not in (0, False) or k in _POINTERS)}


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise Unreadable("a number where bytes should be")
    return value


def _value(value: int | bytes, kind: str) -> Any:
    match kind:
        case "string":
            return _bytes(value).decode()
        case "bytes":
            return base64.b64encode(_bytes(value)).decode()
        case "int":
            return (
                value
                if isinstance(value, int) and value < 1 << 63
                else int(value) - (1 << 64)
                if isinstance(value, int)
                else None
            )
        case "bool":
            return bool(value)
        case "Time":
            seconds = dict(_fields(_bytes(value))).get(1)
            return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(seconds, int) else None
        case _:
            return _message(_bytes(value), kind)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of a message: varints as numbers, the rest as bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                number, at = _varint(data, at)
                yield tag >> 3, number
            case 2:
                size, at = _varint(data, at)
                if at + size > len(data):
                    raise Unreadable("the body ends too early")
                yield tag >> 3, data[at : at + size]
                at += size
            case _:
                raise Unreadable(f"wire type {tag & 7}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if at >= len(data):
            raise Unreadable("the body ends too early")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return result, at
        shift += 7
