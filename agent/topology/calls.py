"""Who calls whom, read from configuration: a host name that is (or looks like) a Service of the cluster is a dependency."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from agent.domain.objects import Manifest, Ref
from agent.topology.fields import counted, items, mapping, text
from agent.topology.pods import containers

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_URL = re.compile(rf"\b[a-z][a-z0-9+.-]{{1,20}}://(?:[^\s/@\"']{{1,200}}@)?({_LABEL}(?:\.{_LABEL})*)(?::(\d{{1,5}}))?", re.I)
_HOST_PORT = re.compile(rf"(?<![\w.:/@-])({_LABEL}(?:\.{_LABEL})*):(\d{{2,5}})(?![\w:.-])")
_CLUSTER_NAME = re.compile(rf"(?<![\w.-])({_LABEL}\.{_LABEL}\.svc(?:\.cluster\.local)?)\b(?::(\d{{1,5}}))?")
_BARE = re.compile(rf"^({_LABEL}(?:\.{_LABEL})*)(?::(\d{{1,5}}))?$")
_SENDER = re.compile(r"(?:referer|referrer|origin|listen(?:ing)?(?: on)?|user.agent)\W*$|\(\+?$")
_SHORT = 400  # characters of a value whose hosts are remembered
_LOG_PART = 50_000  # characters at either end of a log that hosts are read from
_HOST_KEY = re.compile(r"(host|addr|address|url|uri|endpoint|upstream|server|service|dsn|broker|target)s?$", re.I)


@dataclass(frozen=True, slots=True)
class Address:
    """A host name as it stands somewhere, the port that goes with it (0: none said), and where it stands."""

    host: str
    port: int
    where: str
    holder: Ref  # the object whose field it is
    key: str = ""  # environment variable or ConfigMap key


def service_of(host: str, namespace: str) -> Ref | None:
    """The Service that a cluster DNS name means from within `namespace`; None for names of the outside world."""
    labels = host.lower().rstrip(".").split(".")
    if re.fullmatch(r"[\d.]+", host) or not labels[0]:
        return None
    if len(labels) == 1:
        return None if labels[0] == "localhost" else Ref("Service", namespace, labels[0])
    if len(labels) == 2 or labels[2] == "svc":
        return Ref("Service", labels[1], labels[0])
    if len(labels) > 3 and labels[3] == "svc":  # a pod of a headless Service
        return Ref("Service", labels[2], labels[1])
    return None


def hosts_in(value: str, *, key: str = "") -> list[tuple[str, int]]:
    """(host, port) pairs in a piece of configuration. A bare word counts only under a key that names a host."""
    return list(_hosts_in_short(value, key)) if len(value) + len(key) <= _SHORT else _hosts_in(value[:200_000], key)


@lru_cache(maxsize=4096)  # configurations of one cluster are much alike
def _hosts_in_short(value: str, key: str) -> tuple[tuple[str, int], ...]:
    return tuple(_hosts_in(value, key))


def _hosts_in(value: str, key: str) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    if "://" in value:  # most values are none of these: a look for what each pattern holds is cheaper than the pattern
        found += [(match[1].lower(), int(match[2] or 0)) for match in _URL.finditer(value)]
    if ":" in value:
        found += [(match[1].lower(), int(match[2])) for match in _HOST_PORT.finditer(value)]
    if ".svc" in value:
        found += [(match[1].lower(), int(match[2] or 0)) for match in _CLUSTER_NAME.finditer(value)]
    bare = _BARE.match(value.strip()) if _HOST_KEY.search(key) else None
    if bare:
        found.append((bare[1].lower(), int(bare[2] or 0)))
    if not found:
        return found
    with_port = {host for host, port in found if port}
    return list(dict.fromkeys(pair for pair in found if pair[1] or pair[0] not in with_port))


def hosts_in_log(text: str) -> set[str]:
    """Hosts that a log speaks of as targets: URLs, host:port, and cluster names, of the first and the last part of a long log.
    Who sent a request (Referer, Origin) is no target."""
    if len(text) > 2 * _LOG_PART:
        text = f"{text[:_LOG_PART]}\n{text[-_LOG_PART:]}"
    found: set[str] = set()
    for pattern in (_URL, _HOST_PORT, _CLUSTER_NAME):
        for match in pattern.finditer(text):
            before = text[max(0, match.start() - 20) : match.start()].lower()
            if not _SENDER.search(before):
                found.add(match[1].lower())
    return found


def addresses_in_environment(pod_spec: Mapping[str, Any], holder: Ref) -> Iterator[Address]:
    for container in containers(pod_spec):
        variables = {text(one, "name"): text(one, "value") for one in items(container, "env")}
        for key, value in variables.items():
            for host, port in hosts_in(value, key=key):
                yield Address(host, port or _sibling_port(key, variables), f"env {key}", holder, key)
        for word in [*items(container, "args"), *items(container, "command")]:
            if isinstance(word, str):
                for host, port in hosts_in(word):
                    yield Address(host, port, f"arguments of container {text(container, 'name')}", holder)


def addresses_in_config(config_map: Manifest, holder: Ref) -> Iterator[Address]:
    data = mapping(config_map, "data")
    values = {key: value for key, value in data.items() if isinstance(value, str)}
    for key, value in values.items():
        if key.endswith((".crt", ".pem")):
            continue
        for host, port in hosts_in(value, key=key.rpartition(".")[0] or key):
            yield Address(host, port or _sibling_port(key, values), f"key {key}", holder, key)
        if "\n" in value or "=" in value or ": " in value:
            for line in value.splitlines():
                name, _, rest = line.replace(":", "=", 1).partition("=")
                for host, port in hosts_in(rest.strip().strip("\"'"), key=name.strip()):
                    yield Address(host, port, f"key {key}", holder, key)


def _sibling_port(key: str, variables: Mapping[str, str]) -> int:
    """X_HOST beside X_PORT: the port belongs to the host."""
    stem = _HOST_KEY.sub("", key)
    for name in (f"{stem}PORT", f"{stem}port", f"{stem}Port"):
        if stem and (port := counted(variables.get(name, ""))) is not None:
            return port
    return 0
