"""What two servers cannot agree on is masked: uids, times, revisions, made-up names, addresses, tokens."""

import copy
import re
from typing import Any

_MASKS = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<uid>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"kube-api-access-[a-z0-9]{5}"), "kube-api-access-<random>"),
    (re.compile(r"\b10\.96\.\d+\.\d+"), "<cluster ip>"),
    (re.compile(r"current: \d+"), "current: <revision>"),
    (re.compile(r"\n@@ .*", re.DOTALL), "<difference of Go structs>"),
    (re.compile(r"in record \(\d+\)"), "in record (<revision>)"),
    (re.compile(r"too old resource version: (\d+) \(\d+\)"), r"too old resource version: \1 (<revision>)"),
    (re.compile(r"JTI=[^\"]+|X509SHA256=[0-9a-f]+"), "<credential>"),
    (re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?|<PEM of the cluster CA>"), "<ca>"),
)
_REVISIONS = {"resourceVersion", "continue"}


def masked(value: Any, *, key: str = "") -> Any:
    if isinstance(value, dict):
        value = copy.deepcopy(value)
        if value.get("generateName") and "name" in value:
            value["name"] = "<generated>"
        if "managedFields" in value:
            value["managedFields"] = sorted(
                value["managedFields"], key=lambda e: (e["manager"], e["operation"], e.get("subresource", ""))
            )
        for rules in ("resourceRules", "nonResourceRules"):  # a real server gives them in no order
            if rules in value:
                value[rules] = sorted(value[rules], key=repr)
        return {k: masked(v, key=k) for k, v in value.items()}
    if isinstance(value, list):
        return [masked(v) for v in value]
    if key in _REVISIONS and isinstance(value, str):
        return f"<{key}>"
    if key in ("token", "serverAddress"):
        return f"<{key}>"
    if isinstance(value, str):
        for pattern, mask in _MASKS:
            value = pattern.sub(mask, value)
    return value


def without(value: Any, paths: list[str]) -> Any:
    """A copy without what lies at dotted paths; `*` is any key or index."""
    value = copy.deepcopy(value)
    for path in paths:
        _drop(value, path.split("."))
    return value


def _drop(value: Any, parts: list[str]) -> None:
    head, rest = parts[0], parts[1:]
    if isinstance(value, list):
        chosen = range(len(value)) if head == "*" else [int(head)] if head.isdigit() and int(head) < len(value) else []
        for i in chosen:
            if rest:
                _drop(value[i], rest)
            else:
                value[i] = "<not compared>"
    elif isinstance(value, dict):
        for key in list(value) if head == "*" else [head] if head in value else []:
            if rest:
                _drop(value[key], rest)
            else:
                del value[key]


def difference(want: Any, got: Any, at: str = "") -> list[str]:
    """Where two documents differ, one line each."""
    if type(want) is not type(got):
        return [f"{at or '.'}: want {_short(want)}, got {_short(got)}"]
    if isinstance(want, dict):
        out = []
        for key in sorted(want.keys() | got.keys()):
            if key not in got:
                out.append(f"{at}.{key}: missing, want {_short(want[key])}")
            elif key not in want:
                out.append(f"{at}.{key}: not wanted, got {_short(got[key])}")
            else:
                out += difference(want[key], got[key], f"{at}.{key}")
        return out
    if isinstance(want, list):
        if len(want) != len(got):
            return [f"{at}: want {len(want)} items, got {len(got)}: {_short(want)} / {_short(got)}"]
        return [line for i, (w, g) in enumerate(zip(want, got, strict=True)) for line in difference(w, g, f"{at}[{i}]")]
    return [] if want == got else [f"{at}: want {_short(want)}, got {_short(got)}"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 300 else text[:300] + "..."
