"""What a container is given at start: environment and files, resolved from ConfigMaps and Secrets, with the kubelet's
words for what is missing."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.world.cluster import Cluster
from lab.world.kinds import Object
from lab.world.reading import quantity


class ConfigError(Exception):
    """CreateContainerConfigError; the text is the kubelet's message."""


class MountError(Exception):
    """FailedMount; the text is the kubelet's message."""


@dataclass(frozen=True)
class Configuration:
    """Resolved once, when a container is created: a later edit does not reach a running process's environment."""

    env: Mapping[str, str]
    files: Mapping[str, str]


def resolve(cluster: Cluster, pod: Object, container: Object) -> Configuration:
    """Raises ConfigError for a missing object or key that is not optional."""
    namespace = pod["metadata"]["namespace"]
    env: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        for kind, reference in (("ConfigMap", source.get("configMapRef")), ("Secret", source.get("secretRef"))):
            if reference is None:
                continue
            found = cluster.find(kind, namespace, reference["name"])
            if found is None and not reference.get("optional"):
                raise ConfigError(f'{kind.lower()} "{reference["name"]}" not found')
            env |= {source.get("prefix", "") + k: v for k, v in content(found).items()}
    for variable in container.get("env") or []:
        value = _value(cluster, pod, container, variable)
        if value is not None:
            env[variable["name"]] = value
    return Configuration(env, files(cluster, pod, container))


def _value(cluster: Cluster, pod: Object, container: Object, variable: Object) -> str | None:
    source = variable.get("valueFrom") or {}
    for kind, reference in (("ConfigMap", source.get("configMapKeyRef")), ("Secret", source.get("secretKeyRef"))):
        if reference is None:
            continue
        namespace = pod["metadata"]["namespace"]
        found = cluster.find(kind, namespace, reference["name"])
        if found is None:
            if reference.get("optional"):
                return None
            raise ConfigError(f'{kind.lower()} "{reference["name"]}" not found')
        values = content(found)
        if reference["key"] not in values:
            if reference.get("optional"):
                return None
            raise ConfigError(f"couldn't find key {reference['key']} in {kind} {namespace}/{reference['name']}")
        return values[reference["key"]]
    if "fieldRef" in source:
        return _field(pod, source["fieldRef"]["fieldPath"])
    return str(variable.get("value", ""))


def _field(pod: Object, path: str) -> str:
    known: dict[str, Any] = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.namespace": pod["metadata"]["namespace"],
        "metadata.uid": pod["metadata"].get("uid", ""),
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
        "status.podIP": (pod.get("status") or {}).get("podIP", ""),
    }
    return str(known.get(path, ""))


def content(found: Object | None) -> dict[str, str]:
    """The decoded keys of a ConfigMap or Secret."""
    if found is None:
        return {}
    if found.get("kind") == "Secret":
        decoded = {k: base64.b64decode(v).decode(errors="replace") for k, v in (found.get("data") or {}).items()}
        return decoded | (found.get("stringData") or {})
    return dict(found.get("data") or {})


def files(cluster: Cluster, pod: Object, container: Object) -> dict[str, str]:
    """Path to text of every file that ConfigMap and Secret volumes put into this container."""
    result: dict[str, str] = {}
    volumes = {v["name"]: v for v in pod["spec"].get("volumes") or []}
    for mount in container.get("volumeMounts") or []:
        volume = volumes.get(mount["name"], {})
        for kind, source, name in _sources(volume):
            values = content(cluster.find(kind, pod["metadata"]["namespace"], name))
            items = source.get("items")
            chosen = {i["path"]: values[i["key"]] for i in items if i["key"] in values} if items else values
            for path, text in chosen.items():
                if mount.get("subPath"):
                    if mount["subPath"] == path:
                        result[mount["mountPath"]] = text
                else:
                    result[f"{mount['mountPath'].rstrip('/')}/{path}"] = text
    return result


def _sources(volume: Object) -> list[tuple[str, Object, str]]:
    found: list[tuple[str, Object, str]] = []
    if "configMap" in volume:
        found.append(("ConfigMap", volume["configMap"], volume["configMap"]["name"]))
    if "secret" in volume:
        found.append(("Secret", volume["secret"], volume["secret"]["secretName"]))
    return found


def check_mounts(cluster: Cluster, pod: Object) -> None:
    """Raises MountError for the first volume that cannot be set up."""
    namespace = pod["metadata"]["namespace"]
    for volume in pod["spec"].get("volumes") or []:
        for kind, source, name in _sources(volume):
            if source.get("optional"):
                continue
            found = cluster.find(kind, namespace, name)
            if found is None:
                raise MountError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {kind.lower()} "{name}" not found')
            for item in source.get("items") or []:
                if item["key"] not in content(found):
                    where = f"{kind.lower()} references non-existent config key: {item['key']}"
                    raise MountError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {where}')


def amounts(container: Object, side: str) -> dict[str, float]:
    """`side` "limits" or "requests": memory in bytes, cpu in cores."""
    given = (container.get("resources") or {}).get(side) or {}
    return {resource: float(quantity(amount)) for resource, amount in given.items()}
