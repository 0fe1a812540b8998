"""Label and field selectors: parse, match, and refuse in the words of a real server. Knows no storage."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.api.resources import Resource
from lab.api.status import ApiError, bad_request

_TOKEN = re.compile(r"\s*(==|!=|=|!|\(|\)|,|<|>|[^\s=!(),<>]+)")


@dataclass(frozen=True, slots=True)
class Requirement:
    """`op` is in, notin, exists, !exists, gt or lt."""

    key: str
    op: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        have = labels.get(self.key)
        match self.op:
            case "in":
                return have is not None and have in self.values
            case "notin":
                return have is None or have not in self.values
            case "exists":
                return have is not None
            case "!exists":
                return have is None
            case _:
                return _numeric(have, self.op, self.values[0])


def _numeric(have: str | None, op: str, wanted: str) -> bool:
    try:
        left, right = int(have or ""), int(wanted)
    except ValueError:
        return False
    return left > right if op == "gt" else left < right


def parse_labels(text: str) -> list[Requirement]:
    """ApiError 400 with the words of `labels.Parse`."""
    tokens = _TOKEN.findall(text)
    out: list[Requirement] = []
    i = 0
    while i < len(tokens):
        requirement, i = _requirement(tokens, i)
        out.append(requirement)
        if i < len(tokens):
            if tokens[i] != ",":
                raise _unparsable(f"found '{tokens[i]}', expected: ',' or 'end of string'")
            i += 1
            if i >= len(tokens):
                raise _unparsable("found '', expected: identifier after ','")
    return out


def _unparsable(why: str) -> ApiError:
    return bad_request(f"unable to parse requirement: {why}")


def _requirement(tokens: list[str], i: int) -> tuple[Requirement, int]:
    if tokens[i] == "!":
        if i + 1 >= len(tokens):
            raise _unparsable("found '', expected: identifier")
        return Requirement(tokens[i + 1], "!exists"), i + 2
    key = tokens[i]
    if key in ("=", "==", "!=", "(", ")", ",", "<", ">"):
        raise _unparsable(f"found '{key}', expected: !, identifier, or 'end of string'")
    i += 1
    if i >= len(tokens) or tokens[i] == ",":
        return Requirement(key, "exists"), i
    op = tokens[i]
    if op in ("in", "notin"):
        return _set(tokens, i, key, op)
    if op not in ("=", "==", "!=", "<", ">"):
        raise _unparsable(f"found '{op}', expected: in, notin, =, ==, !=, gt, lt")
    value = tokens[i + 1] if i + 1 < len(tokens) else ""
    if value in ("=", "==", "!=", "(", ")", "!", "<", ">"):
        raise _unparsable(f"found '{value}', expected: identifier")
    if value == ",":
        value, i = "", i - 1
    kind = {"!=": "notin", "<": "lt", ">": "gt"}.get(op, "in")
    return Requirement(key, kind, (value,)), min(i + 2, len(tokens))


def _set(tokens: list[str], i: int, key: str, op: str) -> tuple[Requirement, int]:
    if i + 1 >= len(tokens) or tokens[i + 1] != "(":
        raise _unparsable(f"found '{tokens[i + 1] if i + 1 < len(tokens) else ''}', expected: '('")
    end = next((j for j in range(i + 2, len(tokens)) if tokens[j] == ")"), -1)
    if end < 0:
        raise _unparsable("found '', expected: ',' or ')'")
    return Requirement(key, op, tuple(t for t in tokens[i + 2 : end] if t != ",")), end + 1


def of_label_selector(selector: Mapping[str, Any] | None) -> list[Requirement] | None:
    """A metav1.LabelSelector; None (nothing selected) for an absent one."""
    if selector is None:
        return None
    out = [Requirement(k, "in", (v,)) for k, v in (selector.get("matchLabels") or {}).items()]
    names = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!exists"}
    expressions = selector.get("matchExpressions") or []
    return out + [Requirement(e["key"], names.get(e["operator"], "in"), tuple(e.get("values") or ())) for e in expressions]


def label_matcher(text: str) -> Callable[[Mapping[str, Any]], bool]:
    requirements = parse_labels(text)
    return lambda obj: selects(requirements, (obj.get("metadata") or {}).get("labels") or {})


def selects(requirements: list[Requirement] | None, labels: Mapping[str, str]) -> bool:
    return requirements is not None and all(r.matches(labels) for r in requirements)


def text_of(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as the text of `status.selector` of a Scale."""
    parts = []
    for r in sorted(of_label_selector(selector) or [], key=lambda r: r.key):
        match r.op:
            case "in" | "notin" if len(r.values) > 1 or r.op == "notin":
                parts.append(f"{r.key} {r.op} ({','.join(sorted(r.values))})")
            case "exists":
                parts.append(r.key)
            case "!exists":
                parts.append(f"!{r.key}")
            case _:
                parts.append(f"{r.key}={r.values[0]}")
    return ",".join(parts)


_POD_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
)
_EVENT_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)
FIELDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "pods"): _POD_FIELDS,
    ("", "events"): _EVENT_FIELDS,
    ("events.k8s.io", "events"): tuple(
        f.replace("involvedObject.", "regarding.").replace("reportingComponent", "reportingController") for f in _EVENT_FIELDS
    ),
    ("", "nodes"): ("metadata.name", "metadata.namespace", "spec.unschedulable"),
    ("", "namespaces"): ("metadata.name", "metadata.namespace", "status.phase"),
    ("", "secrets"): ("metadata.name", "metadata.namespace", "type"),
    ("", "services"): ("metadata.name", "metadata.namespace", "spec.clusterIP", "spec.type"),
    ("", "replicationcontrollers"): ("metadata.name", "metadata.namespace", "status.replicas"),
    ("apps", "replicasets"): ("metadata.name", "metadata.namespace", "status.replicas"),
    ("batch", "jobs"): ("metadata.name", "metadata.namespace", "status.successful"),
}


def field_matcher(text: str, resource: Resource) -> Callable[[Mapping[str, Any]], bool]:
    """Of objects in their stored form. ApiError 400 for a field that the resource does not offer."""
    known = FIELDS.get((resource.group, resource.plural))
    if resource.custom is not None:
        known = (
            "metadata.name",
            "metadata.namespace",
            *(f["jsonPath"].lstrip(".") for f in resource.custom.get("selectableFields") or ()),
        )
    terms: list[tuple[str, bool, str]] = []
    for term in filter(None, text.split(",")):
        match = re.match(r"^(.*?)(!=|==|=)(.*)$", term)
        if not match:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        name, op, value = match.groups()
        if name not in (known or ("metadata.name", "metadata.namespace")):
            raise _unknown_field(name, plain=known is None)
        terms.append((name, op != "!=", value))
    return lambda obj: all((_value(obj, name) == value) is wanted for name, wanted, value in terms)


def _unknown_field(name: str, *, plain: bool) -> ApiError:
    if plain:
        return bad_request(f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"')
    return bad_request(f"field label not supported: {name}")


def _value(obj: Mapping[str, Any], name: str) -> str:
    name = name.replace("regarding.", "involvedObject.")
    if name in ("reportingComponent", "reportingController", "source") and "involvedObject" in obj:
        source = (obj.get("source") or {}).get("component") or ""
        return (
            str(obj.get("reportingComponent") or source)
            if name != "source"
            else str(source or obj.get("reportingComponent") or "")
        )
    found: Any = obj
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, bool) or (found is None and name in ("spec.unschedulable", "spec.hostNetwork")):
        return "true" if found else "false"
    return "" if found is None else str(found)


def name_in(field_selector: str) -> str:
    """The name that `metadata.name=` asks for, "" if none: authorization sees such a list as one object's."""
    match = re.search(r"(?:^|,)metadata\.name==?([^,]+)", field_selector)
    return match.group(1) if match else ""
