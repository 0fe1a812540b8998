"""Names in objects that tell whose cluster it is. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence

from agent.domain.objects import Manifest
from agent.topology.fields import kind_of, name_of, namespace_of

LONGEST = 300  # characters of what can be a name
_NAMING = (
    "name", "names", "namespace", "host", "hosts", "hostname", "hostnames", "ip", "ips", "address", "addresses", "url", "server",
    "servers", "email", "user", "users", "username", "domain", "domains", "image", "registry", "repository", "bucket", "zone",
    "cluster", "podcidr", "podcidrs", "endpoint", "endpoints", "project", "team", "owner", "release", "chart", "subdomain",
)  # fmt: skip
_LABELS = ("labels", "annotations", "matchLabels", "nodeSelector", "selector")
_MADE = re.compile(r"(?:-[a-z0-9]{5,10})?-(?:[a-z0-9]{5,10}|\d+)$")  # what controllers put behind the name of what they make
_PLAIN = re.compile(r"[^\s{}\"']+")  # neither prose nor a document
# Of every cluster, and of no one in particular.
_COMMON_DOMAINS = ("kubernetes.io", "k8s.io", "helm.sh", "openshift.io", "argoproj.io", "fluxcd.io", "prometheus.io", "istio.io")
_TYPED = ("reason", "type", "status", "phase", "apiVersion", "kind", "message", "protocol", "fieldsType", "uid", "operator")


def names_in(objects: Sequence[Manifest]) -> Iterator[str]:
    """Names that tell whose cluster it is: of objects, namespaces, containers, accounts, hosts, addresses, image repositories,
    releases; values of labels and annotations; whatever stands where a name is wanted."""
    for one in objects:
        yield name_of(one)
        yield namespace_of(one)
        if kind_of(one) in ("Pod", "ReplicaSet", "Job"):  # what made it may not have been read
            yield _MADE.sub("", name_of(one))
        yield from _within(one, "", 0)


def _within(part: object, key: str, depth: int) -> Iterator[str]:
    if depth > 20:
        return
    if isinstance(part, Mapping):
        is_label = key in _LABELS
        for inner, value in part.items():
            if is_label:
                yield from _of_label(str(inner), value)
            if isinstance(value, str):
                if _is_naming(str(inner)):
                    yield from _plain(value)
            elif inner != "managedFields":
                yield from _within(value, str(inner), depth + 1)
    elif isinstance(part, Sequence) and not isinstance(part, str):
        for one in part:
            if isinstance(one, str):
                if _is_naming(key):
                    yield from _plain(one)
            else:
                yield from _within(one, key, depth + 1)


def _is_naming(key: str) -> bool:
    """`name`, and what ends in it, such as `serviceAccountName` or `hostIP`."""
    if key in _TYPED:
        return False
    last = re.sub(r"^.*?([A-Z][a-z]+|[A-Z]+s?)$", r"\1", key).lower()
    return last in _NAMING or key.lower() in _NAMING


def _of_label(key: str, value: object) -> Iterator[str]:
    """The value, and of the key the domain that somebody owns."""
    domain = key.partition("/")[0] if "/" in key else ""
    if domain and not domain.endswith(_COMMON_DOMAINS):
        yield domain
    if isinstance(value, str):
        yield from _plain(value)


def _plain(value: str) -> Iterator[str]:
    if 0 < len(value) <= LONGEST and _PLAIN.fullmatch(value):
        yield value.partition("@sha256:")[0]
