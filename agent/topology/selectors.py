"""Label selectors, node selectors, taints and tolerations, evaluated as the API server and the scheduler do."""

from collections.abc import Mapping
from typing import Any

from agent.domain.objects import Manifest
from agent.topology.fields import items, labels_of, mapping, name_of, text


def matches_labels(wanted: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    for key, value in wanted.items():  # noqa: SIM110
        if labels.get(key) != value:
            return False
    return True


def matches(selector: Any, labels: Mapping[str, str]) -> bool:
    """A LabelSelector (matchLabels, matchExpressions). A missing selector matches nothing, an empty one everything."""
    if not isinstance(selector, Mapping):
        return False
    return matches_labels(mapping(selector, "matchLabels"), labels) and all(
        _expression(expression, labels) for expression in items(selector, "matchExpressions")
    )


def _expression(expression: Any, labels: Mapping[str, str]) -> bool:
    key, values = text(expression, "key"), items(expression, "values")
    value = labels.get(key)
    match text(expression, "operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case "Gt":
            return _greater(value, values)
        case "Lt":
            return bool(values) and value is not None and _greater(values[0], [value])
        case _:
            return False


def _greater(value: Any, than: list[Any]) -> bool:
    try:
        return value is not None and bool(than) and int(value) > int(than[0])
    except (TypeError, ValueError):
        return False


def node_fits(pod_spec: Mapping[str, Any], node: Manifest) -> bool:
    """spec.nodeSelector and required node affinity (terms are OR, expressions within a term AND)."""
    labels = labels_of(node)
    if not matches_labels(mapping(pod_spec, "nodeSelector"), labels):
        return False
    terms = items(pod_spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
    return not terms or any(_term(term, node, labels) for term in terms)


def _term(term: Any, node: Manifest, labels: Mapping[str, str]) -> bool:
    expressions, by_field = items(term, "matchExpressions"), items(term, "matchFields")
    named = {"metadata.name": name_of(node)}
    return (
        bool(expressions or by_field)
        and all(_expression(one, labels) for one in expressions)
        and all(_expression(one, named) for one in by_field)
    )


def untolerated(pod_spec: Mapping[str, Any], node: Manifest) -> list[Mapping[str, Any]]:
    """Taints of the node that keep the pod away (NoSchedule, NoExecute)."""
    tolerations = items(pod_spec, "tolerations")
    return [
        taint
        for taint in items(node, "spec", "taints")
        if text(taint, "effect") in ("NoSchedule", "NoExecute") and not any(_tolerates(one, taint) for one in tolerations)
    ]


def _tolerates(toleration: Any, taint: Any) -> bool:
    effect, key = text(toleration, "effect"), text(toleration, "key")
    if effect and effect != text(taint, "effect"):
        return False
    if text(toleration, "operator") == "Exists":
        return not key or key == text(taint, "key")
    return key == text(taint, "key") and text(toleration, "value") == text(taint, "value")


def requirement_text(selector: Any) -> str:
    """A selector as people write it: a=b, c in (d, e)."""
    parts = [f"{key}={value}" for key, value in mapping(selector, "matchLabels").items()]
    for one in items(selector, "matchExpressions"):
        values = ", ".join(str(value) for value in items(one, "values"))
        parts.append(f"{text(one, 'key')} {text(one, 'operator')} ({values})")
    return ", ".join(parts)
