"""Decodes the protobuf bodies that kubectl sends when it creates things: the messages it needs, by field number.

The numbers are those of the `generated.proto` files of k8s.io/api. A field that is not in the
tables is not guessed at: Unreadable.
"""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

MAGIC = b"k8s\x00"
MEDIA = "application/vnd.kubernetes.protobuf"
# message: number field:type, ...; the type is string where none is said; "[]T" repeated, "{}T" a map from strings.
_TABLE = """
Unknown: 1 typeMeta:TypeMeta, 2 raw:bytes, 3 contentEncoding, 4 contentType
TypeMeta: 1 apiVersion, 2 kind
Meta: 1 name, 2 generateName, 3 namespace, 4 selfLink, 5 uid, 6 resourceVersion, 7 generation:int, 8
    creationTimestamp:Time, 11 labels:{}string, 12 annotations:{}string, 13 ownerReferences:[]Owner, 14
    finalizers:[]string
Time: 1 seconds:int, 2 nanos:int
Owner: 1 kind, 3 name, 4 uid, 5 apiVersion, 6 controller:bool, 7 blockOwnerDeletion:bool
SelfSubjectAccessReview: 1 metadata:Meta, 2 spec:AccessSpec, 3 status:AccessStatus
AccessSpec: 1 resourceAttributes:ResourceAttributes, 2 nonResourceAttributes:NonResourceAttributes
AccessStatus: 1 allowed:bool, 2 reason, 3 evaluationError, 4 denied:bool
ResourceAttributes: 1 namespace, 2 verb, 3 group, 4 version, 5 resource, 6 subresource, 7 name
NonResourceAttributes: 1 path, 2 verb
SelfSubjectRulesReview: 1 metadata:Meta, 2 spec:RulesSpec, 3 status:RulesStatus
RulesSpec: 1 namespace
RulesStatus: 3 incomplete:bool, 4 evaluationError
SelfSubjectReview: 1 metadata:Meta, 2 status:SubjectStatus
SubjectStatus: 1 userInfo:UserInfo
UserInfo: 1 username, 2 uid, 3 groups:[]string
TokenRequest: 1 metadata:Meta, 2 spec:TokenSpec, 3 status:TokenStatus
TokenSpec: 1 audiences:[]string, 3 boundObjectRef:BoundObject, 4 expirationSeconds:int
TokenStatus: 1 token, 2 expirationTimestamp:Time
BoundObject: 1 kind, 2 apiVersion, 3 name, 4 uid
ServiceAccount: 1 metadata:Meta, 4 automountServiceAccountToken:bool
Namespace: 1 metadata:Meta, 2 spec:NamespaceSpec, 3 status:NamespaceStatus
NamespaceSpec: 1 finalizers:[]string
NamespaceStatus: 1 phase
ConfigMap: 1 metadata:Meta, 2 data:{}string, 3 binaryData:{}bytes, 4 immutable:bool
Secret: 1 metadata:Meta, 2 data:{}bytes, 3 type, 4 stringData:{}string, 5 immutable:bool
Role: 1 metadata:Meta, 2 rules:[]Rule
ClusterRole: 1 metadata:Meta, 2 rules:[]Rule
Rule: 1 verbs:[]string, 2 apiGroups:[]string, 3 resources:[]string, 4 resourceNames:[]string, 5
    nonResourceURLs:[]string
RoleBinding: 1 metadata:Meta, 2 subjects:[]Subject, 3 roleRef:RoleRef
ClusterRoleBinding: 1 metadata:Meta, 2 subjects:[]Subject, 3 roleRef:RoleRef
Subject: 1 kind, 2 apiGroup, 3 name, 4 namespace
RoleRef: 1 apiGroup, 2 kind, 3 name
HorizontalPodAutoscaler: 1 metadata:Meta, 2 spec:ScalerSpec, 3 status:ScalerStatus
ScalerSpec: 1 scaleTargetRef:ScalerTarget, 2 minReplicas:int, 3 maxReplicas:int, 4 metrics:[]Metric
ScalerStatus: 3 currentReplicas:int, 4 desiredReplicas:int
ScalerTarget: 1 kind, 2 name, 3 apiVersion
Metric: 1 type, 4 resource:ResourceMetric
ResourceMetric: 1 name, 2 target:MetricTarget
MetricTarget: 1 type, 4 averageUtilization:int
Deployment: 1 metadata:Meta, 2 spec:DeploymentSpec, 3 status:Empty
DeploymentSpec: 1 replicas:int, 2 selector:Selector, 3 template:Template, 4 strategy:Empty, 5 minReadySeconds:int, 7
    paused:bool
Selector: 1 matchLabels:{}string
Empty:
Job: 1 metadata:Meta, 2 spec:JobSpec, 3 status:Zero
JobSpec: 1 parallelism:int, 2 completions:int, 3 activeDeadlineSeconds:int, 4 selector:Selector, 5
    manualSelector:bool, 6 template:Template, 7 backoffLimit:int, 8 ttlSecondsAfterFinished:int, 9 completionMode, 10
    suspend:bool, 14 podReplacementPolicy
Zero: 1 zero1:int, 2 zero2:int, 3 zero3:int, 4 zero4:int, 5 zero5:int, 6 zero6:int, 7 zero7:int, 8 zero8:int, 9
    zero9:int, 10 zero10:int, 11 zero11:int
CronJob: 1 metadata:Meta, 2 spec:CronSpec, 3 status:Zero
CronSpec: 1 schedule, 2 startingDeadlineSeconds:int, 3 concurrencyPolicy, 4 suspend:bool, 5 jobTemplate:JobTemplate, 6
    successfulJobsHistoryLimit:int, 7 failedJobsHistoryLimit:int, 8 timeZone
JobTemplate: 1 metadata:Meta, 2 spec:JobSpec
Template: 1 metadata:Meta, 2 spec:PodSpec
PodSpec: 2 containers:[]Container, 3 restartPolicy, 4 terminationGracePeriodSeconds:int, 6 dnsPolicy, 7
    nodeSelector:{}string, 8 serviceAccountName, 9 serviceAccount, 10 nodeName, 11 hostNetwork:bool, 12 hostPID:bool,
    13 hostIPC:bool, 14 securityContext:Empty, 16 hostname, 17 subdomain, 19 schedulerName, 24 priorityClassName
Container: 1 name, 2 image, 3 command:[]string, 4 args:[]string, 5 workingDir, 8 resources:Empty, 13
    terminationMessagePath, 14 imagePullPolicy, 16 stdin:bool, 17 stdinOnce:bool, 18 tty:bool, 20
    terminationMessagePolicy
"""
_Message = dict[int, tuple[str, str]]


def _tables() -> dict[str, _Message]:
    out: dict[str, _Message] = {}
    for line in _TABLE.replace("\n    ", " ").strip().splitlines():
        name, _, rest = line.partition(":")
        out[name] = {}
        for part in filter(None, rest.strip().split(", ")):
            number, _, field = part.partition(" ")
            label, _, kind = field.partition(":")
            out[name][int(number)] = (label, kind or "string")
    return out


_MESSAGES = _tables()
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
