"""Pod specs, alone and in templates."""

from typing import Any

from lab.api.quantity import parse
from lab.api.status import Cause, invalid_value, required, unsupported_value
from lab.api.validation.metadata import LABEL_RULE, is_label, quoted

RESTART_POLICIES = ("Always", "OnFailure", "Never")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")


def duplicate(field: str, value: Any) -> Cause:
    return Cause(reason="FieldValueDuplicate", message=f"Duplicate value: {quoted(value)}", field=field)


def pod_spec(spec: dict[str, Any], path: str) -> list[Cause]:
    out: list[Cause] = []
    volumes: set[str] = set()
    for i, volume in enumerate(spec.get("volumes") or []):
        at = f"{path}.volumes[{i}]"
        out += _dns_name(volume.get("name"), f"{at}.name")
        if volume.get("name") in volumes:
            out.append(duplicate(f"{at}.name", volume["name"]))
        volumes.add(str(volume.get("name")))
    if not spec.get("containers"):
        out.append(required(f"{path}.containers"))
    names: set[str] = set()
    for kind in ("initContainers", "containers"):
        for i, container in enumerate(spec.get(kind) or []):
            out += _container(container, f"{path}.{kind}[{i}]", volumes, names)
    if spec.get("restartPolicy") not in RESTART_POLICIES:
        out.append(unsupported_value(f"{path}.restartPolicy", quoted(spec.get("restartPolicy")), RESTART_POLICIES))
    return out


def non_negative(field: str, value: int) -> Cause:
    return invalid_value(field, str(value), "must be greater than or equal to 0")


def _dns_name(name: Any, field: str) -> list[Cause]:
    if not name:
        return [required(field)]
    return [] if is_label(str(name)) else [invalid_value(field, quoted(name), LABEL_RULE)]


def _container(container: dict[str, Any], at: str, volumes: set[str], names: set[str]) -> list[Cause]:
    image: list[Cause] = [] if container.get("image") else [required(f"{at}.image")]
    out = _dns_name(container.get("name"), f"{at}.name")
    if not out and container["name"] in names:
        out.append(duplicate(f"{at}.name", container["name"]))
    names.add(str(container.get("name")))
    out = image + out
    policy = container.get("imagePullPolicy")
    if policy is not None and policy not in PULL_POLICIES:
        out.append(unsupported_value(f"{at}.imagePullPolicy", quoted(policy), PULL_POLICIES))
    out += _ports(container, at)
    for i, env in enumerate(container.get("env") or []):
        if not env.get("name"):
            out.append(required(f"{at}.env[{i}].name"))
    for i, mount in enumerate(container.get("volumeMounts") or []):
        if mount.get("name") not in volumes:
            cause = Cause(
                reason="FieldValueNotFound",
                message=f"Not found: {quoted(mount.get('name'))}",
                field=f"{at}.volumeMounts[{i}].name",
            )
            out.append(cause)
        if not mount.get("mountPath"):
            out.append(required(f"{at}.volumeMounts[{i}].mountPath"))
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe and not any(k in probe for k in ("exec", "httpGet", "tcpSocket", "grpc")):
            out.append(required(f"{at}.{name}", "must specify a handler type"))
    return out + _resources(container.get("resources") or {}, f"{at}.resources")


def _ports(container: dict[str, Any], at: str) -> list[Cause]:
    out: list[Cause] = []
    for i, port in enumerate(container.get("ports") or []):
        number = port.get("containerPort")
        if not number:
            out.append(required(f"{at}.ports[{i}].containerPort"))
        elif not 0 < number < 65536:
            out.append(invalid_value(f"{at}.ports[{i}].containerPort", str(number), "must be between 1 and 65535, inclusive"))
        if port.get("protocol") not in PROTOCOLS:
            out.append(unsupported_value(f"{at}.ports[{i}].protocol", quoted(port.get("protocol")), PROTOCOLS))
    return out


def _resources(resources: dict[str, Any], at: str) -> list[Cause]:
    out: list[Cause] = []
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            if parse(amount) < 0:
                out.append(invalid_value(f"{at}.{kind}[{name}]", quoted(amount), "must be greater than or equal to 0"))
    for name, amount in requests.items():
        if name in limits and parse(amount) > parse(limits[name]):
            out.append(
                invalid_value(f"{at}.requests", quoted(amount), f"must be less than or equal to {name} limit of {limits[name]}")
            )
    return out
