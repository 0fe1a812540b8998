"""Looks up what the rules use, in the cluster itself and in the sidecar's record. It must know no rule.

The document (`facts` of the Rego input):
  now, now_epoch      the cluster's own clock (Date header), RFC 3339 and epoch seconds
  cluster             name; environment (as the sidecar's settings say, else ""); labels (of kube-system)
  namespaces          {name: {labels}} for every namespace that the plan touches
  targets             {"<Kind>/<namespace>/<name>": facts} for everything that the plan writes to (see projection)
  history, leased     see sidecar.facts.history
What could not be looked up is absent from it and named in `missing`.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock

from sidecar.contract import ObjectRef, Plan, target_of
from sidecar.errors import ClusterUnavailable
from sidecar.facts.history import UnreadableHistory, counts, leased
from sidecar.facts.projection import (
    Document,
    absent,
    documents,
    key_of,
    mapping,
    pod_labels,
    selects,
    target_facts,
    text,
)
from sidecar.ports import ApiCall, Cluster, Facts, History, collection_path, object_path, path_of, resource_of

_LONGEST_CHAIN = 5  # Pod, ReplicaSet, Deployment, and what an operator puts on top
_AT_ONCE = 8
_SECRET = "Secret"  # noqa: S105  the kind whose values are never read
_RUNS_PODS = frozenset({"Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Node"})


def utc_now() -> datetime:
    return datetime.now(UTC)


class ClusterFacts:
    """Implements sidecar.ports.FactFinder. `environment`: what the settings say about this cluster, "" if nothing."""

    def __init__(self, cluster: Cluster, *, environment: str = "", now: Callable[[], datetime] = utc_now) -> None:
        self._cluster = cluster
        self._environment = environment
        self._now = now

    def gather(self, plan: Plan, history: History) -> Facts:
        """Never raises. Takes one GET for each target, owner and namespace, and one LIST of budgets a namespace."""
        at = self._now()
        try:
            search = _Search(cluster=self._cluster)
            document: Document = {
                **search.cluster_facts(self._environment),
                "namespaces": search.namespaces(plan),
                "targets": search.targets(plan),
                **search.record(plan, history, at),
                **search.time(),
            }
            return Facts(document=document, missing=tuple(sorted(set(search.missing))), gathered_at=at)
        except Exception as exc:  # noqa: BLE001  the port never raises: nothing is known then, and it says so
            return Facts(document={}, missing=(f"everything: the search failed ({type(exc).__name__})",), gathered_at=at)


@dataclass(slots=True)
class _Search:
    """One gathering. `get` and `budgets` ask for each thing once."""

    cluster: Cluster
    missing: list[str] = field(default_factory=list)
    dates: list[datetime] = field(default_factory=list)
    _locks: dict[str, Lock] = field(default_factory=dict)
    _found: dict[str, Document | None] = field(default_factory=dict)
    _budgets: dict[str, list[Document] | None] = field(default_factory=dict)

    def cluster_facts(self, environment: str) -> Document:
        system = self.get("/api/v1/namespaces/kube-system", "Namespace kube-system")
        if system is None or system == _NOT_THERE:
            self.missing.append("the labels of Namespace kube-system")
            return {}
        labels = _labels(system)
        return {"cluster": {"name": self.cluster.name, "environment": environment, "labels": labels}}

    def namespaces(self, plan: Plan) -> Document:
        found: Document = {}
        for name in sorted({ref.namespace for ref in _refs(plan)} - {""}):
            namespace = self.get(f"/api/v1/namespaces/{name}", f"Namespace {name}")
            if namespace == _NOT_THERE:
                self.missing.append(f"Namespace {name}: there is none")
            elif namespace is not None:
                found[name] = {"labels": _labels(namespace)}
        return found

    def targets(self, plan: Plan) -> Document:
        """The first look at many objects (a drain) goes out several at a time."""
        refs = {key_of(ref): ref for ref in _refs(plan)}
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="facts") as pool:
            looked_up = pool.map(lambda item: (item[0], self._target(item[1], plan)), refs.items())
            return {key: facts for key, facts in looked_up if facts is not None}

    def record(self, plan: Plan, history: History, at: datetime) -> Document:
        try:
            return {"history": counts(plan, history, now=at), "leased": leased(history)}
        except UnreadableHistory as exc:
            self.missing.append(f"the sidecar's own record: {exc}")
            return {}

    def time(self) -> Document:
        if not self.dates:
            self.missing.append("the cluster's time: no answer carried a date")
            return {}
        now = max(self.dates).astimezone(UTC)
        return {"now": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "now_epoch": int(now.timestamp())}

    def get(self, path: str, what: str) -> Document | None:
        """The object; _NOT_THERE for a 404; None, and named as missing, for anything else."""
        with self._locks.setdefault(path, Lock()):
            if path not in self._found:
                self._found[path] = self._ask(path, what)
            return self._found[path]

    def _target(self, ref: ObjectRef, plan: Plan) -> Document | None:
        if ref.kind == _SECRET:
            self.missing.append(f"{ref}: Secrets are not looked at")
            return None
        path = path_of(ref)
        if path is None:
            self.missing.append(f"{ref}: no such kind in {ref.api_version}, or not in such a scope")
            return None
        live = self.get(path, str(ref))
        if live is None or live == _NOT_THERE:
            return None if live is None else absent()
        owners = self._owners(live, ref.namespace)
        budgets = self._covering(live, ref.namespace)
        if owners is None or budgets is None:
            return None
        steps = [step for step in plan.steps if step.action.target == ref]
        return target_facts(live, owners=owners, budgets=budgets, steps=steps)

    def _owners(self, live: Document, namespace: str) -> list[Document] | None:
        """The controllers above, nearest first. An owner of a kind that the sidecar does not know ends the chain with
        what the reference says of it."""
        chain: list[Document] = []
        while len(chain) < _LONGEST_CHAIN:
            references = documents(mapping(live, "metadata").get("ownerReferences"))
            above = next((item for item in references if item.get("controller") is True), None)
            if above is None:
                return chain
            api_version, kind, name = text(above, "apiVersion"), text(above, "kind"), text(above, "name")
            resource = resource_of(api_version, kind)
            stub: Document = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "uid": above.get("uid")}}
            if resource is None:
                return [*chain, stub]
            found = self.get(object_path(resource, namespace if resource.namespaced else "", name), f"{kind} {namespace}/{name}")
            if found is None:
                return None
            if found == _NOT_THERE or mapping(found, "metadata").get("uid") != above.get("uid"):
                return chain  # an orphan: what stood above is gone
            live = {**found, "apiVersion": api_version, "kind": kind}
            chain.append(live)
        return chain

    def _covering(self, live: Document, namespace: str) -> list[Document] | None:
        if live.get("kind") not in _RUNS_PODS or not namespace:
            return []
        with self._locks.setdefault(f"budgets of {namespace}", Lock()):
            if namespace not in self._budgets:
                self._budgets[namespace] = self._list_budgets(namespace)
            budgets = self._budgets[namespace]
        return None if budgets is None else [budget for budget in budgets if selects(budget, pod_labels(live))]

    def _list_budgets(self, namespace: str) -> list[Document] | None:
        resource = resource_of("policy/v1", "PodDisruptionBudget")
        path = collection_path(resource, namespace) if resource else ""
        found = self._ask(path, f"disruption budgets of {namespace}")
        return None if found is None or found == _NOT_THERE else documents(found.get("items"))

    def _ask(self, path: str, what: str) -> Document | None:
        try:
            answer = self.cluster.send(ApiCall(method="GET", path=path))
        except ClusterUnavailable:
            self.missing.append(f"{what}: no answer from the cluster")
            return None
        if answer.date is not None:
            self.dates.append(answer.date)
        if answer.status == 404:
            return _NOT_THERE
        if answer.status != 200 or not isinstance(answer.body, dict):
            self.missing.append(f"{what}: the cluster answered {answer.status}")
            return None
        return answer.body


_NOT_THERE: Document = {"kind": "Status", "code": 404}


def _refs(plan: Plan) -> Iterator[ObjectRef]:
    for step in plan.steps:
        yield from target_of(step.action)


def _labels(live: Document) -> Document:
    return {key: value for key, value in mapping(mapping(live, "metadata"), "labels").items() if isinstance(value, str)}
