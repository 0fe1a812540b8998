"""Looks at what an action is about, with the sidecar's own reading identity: the target, and what else compiling needs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from sidecar import contract
from sidecar.contract import Json, ObjectRef
from sidecar.errors import ClusterUnavailable
from sidecar.execution.pointer import fingerprint, is_index, value_at
from sidecar.ports import Alerts, ApiCall, Cluster, FiringAlert, NoAlertmanager, Resource, collection_path, look_at, resource_of

NO_ALERTMANAGER = NoAlertmanager()
REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """`target` None: there is no such object. `template`: the pod template that a rollback asks for. `made`: the object
    under the name that a rerun will make. `pods`: those that a drain names, by namespace/name. `firing`: the alerts that a
    silence would cover; `no_alerts`: why there can be none."""

    target: Json = None
    template: Json = None
    made: Json = None
    pods: Mapping[str, Json] = field(default_factory=dict)
    firing: tuple[FiringAlert, ...] = ()
    no_alerts: str = ""

    def with_target(self, target: Json) -> "Live":
        return replace(self, target=target)


def look(action: contract.Action, cluster: Cluster, alerts: Alerts = NO_ALERTMANAGER) -> Live:
    """Raises ClusterUnavailable when something cannot be read (absent is not an error)."""
    live = Live(target=read(action.target, cluster))
    match action:
        case contract.RollbackWorkload(target=target, to_revision=revision):
            found = [template for number, template in templates(target, live.target, cluster) if number == revision]
            return replace(live, template=found[0] if found else None)
        case contract.RerunJob(target=target, new_name=name):
            return replace(live, made=read(target.model_copy(update={"name": name}), cluster))
        case contract.DrainNode(pods=pods):
            return replace(live, pods={f"{pod.namespace}/{pod.name}": read(pod, cluster) for pod in pods})
        case contract.SilenceAlert(matchers=matchers):
            return replace(live, firing=alerts.firing(matchers), no_alerts=alerts.absent)
        case _:
            return live


def foreseen(action: contract.Action) -> Iterator[ApiCall]:
    """What `look` will ask for, or may."""
    refs = [*contract.target_of(action)]
    match action:
        case contract.RollbackWorkload(target=target):
            keeper = _keeper(target)
            if keeper is not None:
                yield ApiCall(method="GET", path=collection_path(keeper, target.namespace))
        case contract.RerunJob(target=target, new_name=name):
            refs.append(target.model_copy(update={"name": name}))
        case _:
            pass
    for call in map(look_at, refs):
        if call is not None:
            yield call


def look_back(action: contract.Action, before: str, cluster: Cluster) -> Live:
    """For the undoing of a rollback: the pod template whose fingerprint is `before`, wherever it is kept."""
    live = Live(target=read(action.target, cluster))
    for _, template in templates(action.target, live.target, cluster):
        if fingerprint(template) == before:
            return replace(live, template=template)
    return live


def read(ref: ObjectRef, cluster: Cluster) -> Json:
    call = look_at(ref)
    if call is None:
        return None  # no such kind is known: nothing can be there
    answer = cluster.send(call)
    if answer.status == 404:
        return None
    if answer.status != 200 or not isinstance(answer.body, dict):
        raise ClusterUnavailable(f"{ref} cannot be read: the API server says {answer.status}")
    return answer.body


def templates(owner: ObjectRef, live: Json, cluster: Cluster) -> list[tuple[int, Json]]:
    """Revision numbers and pod templates that the controller of this workload keeps."""
    deployment = owner.kind == "Deployment"
    keeper = _keeper(owner)
    if keeper is None or live is None:
        return []
    answer = cluster.send(ApiCall(method="GET", path=collection_path(keeper, owner.namespace)))
    items = value_at(answer.body, ("items",))
    if answer.status != 200 or not isinstance(items, list):
        raise ClusterUnavailable(f"the revisions of {owner} cannot be read: the API server says {answer.status}")
    uid = value_at(live, ("metadata", "uid"))
    return [_revision(item, deployment=deployment) for item in items if _owned(item, uid)]


def _keeper(owner: ObjectRef) -> Resource | None:
    return resource_of("apps/v1", "ReplicaSet" if owner.kind == "Deployment" else "ControllerRevision")


def _owned(item: Json, uid: Json) -> bool:
    owners = value_at(item, ("metadata", "ownerReferences"))
    return isinstance(owners, list) and any(value_at(owner, ("uid",)) == uid for owner in owners)


def _revision(item: Json, *, deployment: bool) -> tuple[int, Json]:
    if deployment:
        number = value_at(item, ("metadata", "annotations", REVISION))
        return int(number) if isinstance(number, str) and is_index(number) else 0, _plain(value_at(item, ("spec", "template")))
    number = value_at(item, ("revision",))
    return number if isinstance(number, int) else 0, _plain(value_at(item, ("data", "spec", "template")))


def _plain(template: Json) -> Json:
    """Without what the controller itself added: the hash label, and the patch directive of a ControllerRevision."""
    if not isinstance(template, dict):
        return template
    plain = {name: value for name, value in template.items() if name != "$patch"}
    metadata = plain.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    if isinstance(metadata, dict) and isinstance(labels, dict) and "pod-template-hash" in labels:
        kept = {name: value for name, value in labels.items() if name != "pod-template-hash"}
        plain["metadata"] = {**metadata, "labels": kept}
    return plain
