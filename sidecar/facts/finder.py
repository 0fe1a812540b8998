"""Looks up what the rules use, in the cluster itself and in the sidecar's record. It must know no rule.

The document (`facts` of the Rego input):
  now, now_epoch      the cluster's own clock (Date header), RFC 3339 and epoch seconds
  cluster             name; environment (as the sidecar's settings say, else ""); labels (of kube-system)
  namespaces          {name: {labels}} for every namespace that the plan touches, or that was changed within the day
  targets             {"<Kind>/<namespace>/<name>": facts} for everything that the plan writes to (see projection)
  workloads           {key: {replicas, ready}} of what the pods of the plan belong to, and of workloads that it names
  cause               {key, exists (true | false | "unread"), uid} of the subject of the plan's cause
  related             {key of a target: how it and the cause's subject depend on each other, or ""} (see relation)
  adds                {step: requested CPU, memory and storage that it adds} (see demand)
  history, leased     see sidecar.facts.history
  silences            {step: {configured, count, alerts: [{labels, silenced, about_target}]}} for steps that silence (see alerts)
What could not be looked up is absent from it and named in `missing`.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from sidecar.contract import Plan, SilenceAlert
from sidecar.errors import ClusterUnavailable
from sidecar.facts.aims import aims_of
from sidecar.facts.alerts import silence_facts
from sidecar.facts.gathered import Gathered, search_failed
from sidecar.facts.history import UnreadableHistory, counts, leased, namespaces_of
from sidecar.facts.looking import Look
from sidecar.facts.portrait import NOWHERE, Portrait
from sidecar.facts.projection import Document, mapping
from sidecar.facts.sight import Sight
from sidecar.ports import Alerts, Cluster, Facts, History, Looking, NoAlertmanager

_SYSTEM = "kube-system"
_SUMMED = frozenset({"adds", "workloads"})  # of the whole plan, and reckoned from what was looked at


def utc_now() -> datetime:
    return datetime.now(UTC)


class ClusterFacts:
    """Implements sidecar.ports.FactFinder. `environment`: what the settings say about this cluster, "" if nothing. `alerts`:
    asked where no looks are shared."""

    def __init__(
        self, cluster: Cluster, *, environment: str = "", now: Callable[[], datetime] = utc_now, alerts: Alerts | None = None
    ) -> None:
        self._cluster = cluster
        self._alerts = alerts or NoAlertmanager()
        self._environment = environment
        self._now = now

    def gather(
        self, plan: Plan, history: History, *, through: Looking | None = None, last: frozenset[str] = frozenset()
    ) -> Facts:
        """Never raises. Takes one GET for each target, owner, namespace and the cause's subject, and one LIST a namespace of
        each: budgets, and where the plan takes pods away or scales, services and autoscalers."""
        at = self._now()
        try:
            look = Look(cluster=self._cluster, shared=through)
            search = _Search(plan=plan, look=look, alerts=through or self._alerts)
            sight, first = search.first(history, self._environment, at, last)
            whole = partial(search.whole, sight, first, last)
            return Gathered(first=first, last=last, complete=whole, missing=sorted(set(look.missing)), at=at)
        except Exception as exc:  # noqa: BLE001  the port never raises: nothing is known then, and it says so
            return Facts(document={}, missing=(search_failed(exc),), gathered_at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """One gathering."""

    plan: Plan
    look: Look
    alerts: Alerts

    def first(self, history: History, environment: str, at: datetime, last: Set[str]) -> tuple[Sight, Document]:
        """Everything is looked at, so that nobody is asked for anything later. Facts named in `last` are left out, as far as
        they are reckoned from the looks alone."""
        aims = aims_of(self.plan)
        named = sorted({aim.ref.namespace for aim in aims.values()} - {""})
        others = sorted(namespaces_of(history) - set(named))
        sight = Sight.of(self.plan, aims, self.look, namespaces=(_SYSTEM, *named, *others))
        return sight, {
            **self._cluster_facts(environment),
            "namespaces": {**self._labels_of(named), **self._labels_of(others, old=True)},
            "targets": sight.targets(last),
            "cause": sight.cause(),
            "related": sight.related(),
            **_summed(sight, _SUMMED - last),
            **self._record(history, at),
            **self._silences(),
            **self._time(),  # of every answer, so after all of them
        }

    def whole(self, sight: Sight, first: Document, last: Set[str]) -> Document:
        """`first` with the facts that were named in `last`."""
        if not last:
            return first
        return {**first, "targets": sight.completed(mapping(first, "targets"), last), **_summed(sight, _SUMMED & last)}

    def _silences(self) -> Document:
        found: Document = {}
        silencing = [(step.id, step.action) for step in self.plan.steps if isinstance(step.action, SilenceAlert)]
        for step, action in silencing:
            if self.alerts.absent:
                found[step] = {"configured": False}
                continue
            try:
                found[step] = silence_facts(self.alerts.firing(action.matchers), action.target)
            except ClusterUnavailable as exc:
                self.look.missing.append(f"the alerts that {step} would silence: {exc}")
        return {"silences": found} if silencing else {}

    def _time(self) -> Document:
        latest = self.look.by_now()
        if latest is None:
            self.look.missing.append("the cluster's time: no answer carried a date")
            return {}
        now = latest.astimezone(UTC)
        return {"now": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "now_epoch": int(now.timestamp())}

    def _cluster_facts(self, environment: str) -> Document:
        system = self.look.namespace(_SYSTEM)
        if system is None or system is NOWHERE:
            self.look.missing.append("the labels of Namespace kube-system")
            return {}
        return {"cluster": {"name": self.look.cluster.name, "environment": environment, "labels": _labels(system)}}

    def _labels_of(self, names: list[str], *, old: bool = False) -> Document:
        """`old`: of namespaces that the plan does not touch; one that is gone by now has no team any more."""
        found: Document = {}
        for name in names:
            namespace = self.look.namespace(name)
            if namespace is NOWHERE:
                if not old:
                    self.look.missing.append(f"Namespace {name}: there is none")
                else:
                    found[name] = {"labels": {}}
            elif namespace is not None:
                found[name] = {"labels": _labels(namespace)}
        return found

    def _record(self, history: History, at: datetime) -> Document:
        try:
            return {"history": counts(self.plan, history, now=at), "leased": leased(history)}
        except UnreadableHistory as exc:
            self.look.missing.append(f"the sidecar's own record: {exc}")
            return {}


def _summed(sight: Sight, names: Set[str]) -> Document:
    told: Mapping[str, Callable[[], Document]] = {"workloads": sight.workloads, "adds": sight.adds}
    return {name: tell() for name, tell in told.items() if name in names}


def _labels(namespace: Portrait) -> Document:
    return {key: value for key, value in mapping(mapping(namespace.live, "metadata"), "labels").items() if isinstance(value, str)}
