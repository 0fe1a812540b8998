"""Make `types.json` from the OpenAPI definitions of Kubernetes: field types, merge keys, list types. Run by hand, for a
new version.

    python -m lab.api.data.condense path/to/_definitions.json

The input is the `definitions` part of Kubernetes' `api/openapi-spec/swagger.json` (or the same under `$defs`, as the
kubernetes-validate package ships it). Only types that the resources of `resources.json` reach are kept.
"""

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCALARS = {"integer": "int32", "number": "float", "boolean": "bool", "string": "string", "object": "json"}
NAMED = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "intstr",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "json",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "json",
}


def short(ref: str) -> str:
    name = ref.rsplit("/", 1)[-1]
    return NAMED.get(name) or name.removeprefix("io.k8s.api.").removeprefix("io.k8s.apimachinery.pkg.apis.").removeprefix(
        "io.k8s."
    )


def type_of(schema: dict[str, Any]) -> str:
    """ "[]T" a list, "{}T" a map, "json" anything, otherwise a scalar or the name of a type."""
    if "$ref" in schema:
        return short(schema["$ref"])
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next(item for item in kind if item != "null")
    if kind == "array":
        return "[]" + type_of(schema.get("items", {}))
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return "{}" + type_of(schema["additionalProperties"])
    if kind == "integer" and schema.get("format") == "int64":
        return "int64"
    if kind == "string" and schema.get("format") == "byte":
        return "bytes"
    return SCALARS.get(str(kind), "json")


def condensed(definition: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, str] = {}
    lists: dict[str, Any] = {}
    atomic: list[str] = []
    for name, schema in definition.get("properties", {}).items():
        fields[name] = type_of(schema)
        if (
            "x-kubernetes-patch-merge-key" in schema
            or "x-kubernetes-list-type" in schema
            or "x-kubernetes-patch-strategy" in schema
        ):
            lists[name] = {
                "type": schema.get("x-kubernetes-list-type", "atomic"),
                "keys": schema.get("x-kubernetes-list-map-keys", []),
                "merge": schema.get("x-kubernetes-patch-merge-key", ""),
                "strategy": schema.get("x-kubernetes-patch-strategy", ""),
            }
        if schema.get("x-kubernetes-map-type") == "atomic":
            atomic.append(name)
    out: dict[str, Any] = {"fields": fields}
    if lists:
        out["lists"] = lists
    if atomic:
        out["atomic"] = atomic
    if definition.get("x-kubernetes-map-type") == "atomic":
        out["all_atomic"] = True
    if definition.get("required"):
        out["required"] = definition["required"]
    return out


def main(source: Path) -> None:
    raw = json.loads(source.read_text(encoding="utf-8"))
    definitions = {short(name): d for name, d in (raw.get("definitions") or raw["$defs"]).items()}
    roots: dict[str, str] = {}
    for name, d in definitions.items():
        for gvk in d.get("x-kubernetes-group-version-kind", []):
            roots.setdefault(f"{gvk['group']}/{gvk['version']}/{gvk['kind']}", name)
    wanted: dict[str, str] = {}
    for r in json.loads((HERE / "resources.json").read_text(encoding="utf-8")):
        key = f"{r['group']}/{r['version']}/{r['kind']}"
        if key in roots:
            wanted[key] = roots[key]
    for key in ("autoscaling/v1/Scale", "policy/v1/Eviction", "authentication.k8s.io/v1/TokenRequest"):
        wanted[key] = roots[key]
    types: dict[str, Any] = {}
    todo = list(wanted.values())
    while todo:
        name = todo.pop()
        if name in types or name not in definitions or name in NAMED.values():
            continue
        types[name] = condensed(definitions[name])
        todo += [kind.replace("[]", "").replace("{}", "") for kind in types[name]["fields"].values()]
    text = json.dumps({"kinds": dict(sorted(wanted.items())), "types": dict(sorted(types.items()))}, separators=(",", ":"))
    (HERE / "types.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
