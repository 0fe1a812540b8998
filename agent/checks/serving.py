"""Custom resources that bring up model servers: KAITO workspaces, Karpenter's node claims, Ray, inference pools, Dynamo.

What breaks a pod of theirs has a check of its own and explains these; here is what only the resource itself says.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from agent.checks.custom import complaint
from agent.checks.registry import check, earliest, quote_condition, quote_event, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology
from agent.topology.extensions import group_of, held
from agent.topology.fields import condition, created_at, labels_of, mapping, number, ref_of, text, time_at

_NODES = ("NodeClaimReady", "NodesReady", "NodeReady", "MachineReady", "ResourceReady")
_WORK = (
    "InferenceReady",
    "InferenceSetReady",
    "JobStarted",
    "TuningStarted",
    "ServiceReady",
    "RAGEngineServiceReady",
    "WorkspaceSucceeded",
    "MultiRoleInferenceReady",
)
_KAITO = ("Workspace", "InferenceSet", "RAGEngine", "MultiRoleInference")
_FINAL = ("fail", "error", "invalid", "quota", "exceed", "denied")
NODE_TAKES = timedelta(minutes=15)  # a GPU node with its drivers
CLAIM_EVENTS = ("InsufficientCapacityError", "NodeClaimCreationFailed", "NodeClassNotReady", "FailedToLaunch", "LaunchFailed",
                "NodeClaimFailedToRegister", "FailedDraining")  # fmt: skip
LATELY = timedelta(minutes=60)
DAY = timedelta(days=1)


def _kaito(topology: Topology) -> list[Manifest]:
    return [one for one in topology.of_kind(*_KAITO) if group_of(one) == "kaito.sh" and not held(one)]


def _first_wrong(manifest: Manifest, types: tuple[str, ...], now: datetime, patience: timedelta) -> str:
    """The first of these conditions that is False for longer than it may take, or whose reason says that it is final."""
    for kind in types:
        said = condition(manifest, kind)
        if text(said, "status") != "False":
            continue
        since = time_at(said, "lastTransitionTime") or created_at(manifest)
        words = f"{text(said, 'reason')} {text(said, 'message')}".lower()
        if since is None or now - since >= patience or any(word in words for word in _FINAL):
            return kind
    return ""


def _said(manifest: Manifest, kind: str) -> str:
    one = condition(manifest, kind)
    return f"{kind}=False ({text(one, 'reason')}): {text(one, 'message').strip().rstrip('.')[:300]}"


@check("kaito-node-not-provided", weight=0.85)
@check("kaito-workload-not-ready", weight=0.5)
def workspace_not_ready(topology: Topology) -> Iterator[Finding]:
    """A KAITO resource whose nodes do not come, or whose nodes are there and whose server or job does not come up."""
    for manifest in _kaito(topology):
        ref = ref_of(manifest)
        kind = _first_wrong(manifest, _NODES, topology.now, NODE_TAKES)
        cause = "kaito-node-not-provided"
        if not kind:
            kind, cause = _first_wrong(manifest, _WORK, topology.now, NODE_TAKES), "kaito-workload-not-ready"
        if not kind:
            continue
        events = [one for one in topology.events_about(ref) if one.kind == "Warning"]
        wanted = text(manifest, "resource", "instanceType") or text(manifest, "spec", "resource", "instanceType")
        what = f"gets no node{f' of type {wanted}' if wanted else ''}" if cause == "kaito-node-not-provided" else "does not serve"
        yield Finding(
            cause=cause,
            subject=ref,
            since=time_at(condition(manifest, kind), "lastTransitionTime"),
            affects=tuple(sorted(edge.target for edge in topology.edges.get(ref, ()) if edge.relation == "owns")),
            params={"condition": kind, "reason": text(condition(manifest, kind), "reason"), "instance_type": wanted},
            quotes=(*quote_condition(manifest, kind), *(quote_event(one) for one in events[-1:])),
            statement=f"{ref} {what}: {_said(manifest, kind)}{f' ({events[-1].message[:200]})' if events else ''}.",
        )


@check("node-claim-failed", weight=0.93)
def no_machine(topology: Topology) -> Iterator[Finding]:
    """A Karpenter NodeClaim that is not launched, does not register or is not initialized; or events of claims that are gone."""
    for manifest in topology.of_kind("NodeClaim"):
        ref, made = ref_of(manifest), created_at(manifest)
        wrong = next(
            (
                one
                for one in ("Launched", "Registered", "Initialized")
                if text(condition(manifest, one), "status") in ("False", "Unknown")
            ),
            "",
        )
        reason = text(condition(manifest, wrong), "reason")
        old = made is None or topology.now - made >= NODE_TAKES
        if group_of(manifest) != "karpenter.sh" or not wrong or not (old or any(word in reason.lower() for word in _FINAL)):
            continue
        events = [one for one in topology.events_about(ref) if one.kind == "Warning"]
        said = condition(manifest, wrong)
        quotes = [*quote_condition(manifest, wrong), *(quote_event(one) for one in events[-1:])]
        words = f"{wrong} is {text(said, 'status')} ({reason}): {text(said, 'message')}"
        yield _claim(topology, ref, made, words, quotes, labels_of(manifest).get("karpenter.sh/nodepool", ""))
    gone = [
        one
        for about, ones in topology.events.items()
        if about.kind == "NodeClaim" and about not in topology.objects
        for one in ones
        if one.reason in CLAIM_EVENTS and (one.last is None or topology.now - one.last < LATELY)
    ]
    if gone:
        last = max(gone, key=lambda one: (str(one.last), one.about))
        yield _claim(
            topology,
            last.about,
            earliest(*(one.first for one in gone)),
            f"{last.reason}: {last.message}",
            [quote_event(last)],
            "",
        )


def _claim(topology: Topology, ref: Ref, since: datetime | None, said: str, quotes: list[Quote], pool: str) -> Finding:
    waiting = tuple(sorted(source for source, edges in topology.edges.items() if any(edge.target == ref for edge in edges)))
    return Finding(
        cause="node-claim-failed",
        subject=ref,
        since=since,
        affects=waiting,
        params={"pool": pool},
        quotes=tuple(quotes),
        statement=f"{ref}{f' of node pool {pool}' if pool else ''} brings no node: {' '.join(said.split())[:350].rstrip('.')}.",
    )


@check("ray-head-not-ready", weight=0.6)
@check("ray-workers-missing", weight=0.6)
def ray_cluster_incomplete(topology: Topology) -> Iterator[Finding]:
    """A RayCluster whose head is not ready or whose workers are fewer than wanted, for longer than a start may take."""
    for manifest in topology.of_kind("RayCluster"):
        made, ref = created_at(manifest), ref_of(manifest)
        if group_of(manifest) != "ray.io" or held(manifest) or (made is not None and topology.now - made < NODE_TAKES):
            continue
        head, failure = condition(manifest, "HeadPodReady"), condition(manifest, "ReplicaFailure")
        wanted, ready = number(manifest, "status", "desiredWorkerReplicas"), number(manifest, "status", "readyWorkerReplicas")
        ready = (
            max(ready, number(manifest, "status", "availableWorkerReplicas"))
            if "readyWorkerReplicas" not in mapping(manifest, "status")
            else ready
        )
        users = tuple(sorted(source for source, edges in topology.edges.items() if any(edge.target == ref for edge in edges)))
        if text(head, "status") == "False":
            cause, words = "ray-head-not-ready", f"its head is not ready ({text(head, 'reason')}): {text(head, 'message')}"
        elif ready < wanted or text(failure, "status") == "True":
            cause, words = "ray-workers-missing", f"{ready} of {wanted} workers are ready"
            words += f" ({text(failure, 'reason')}: {text(failure, 'message')})" if text(failure, "status") == "True" else ""
        else:
            continue
        since = time_at(head if cause == "ray-head-not-ready" else failure, "lastTransitionTime")
        yield Finding(
            cause=cause,
            subject=ref,
            since=since,
            affects=users,
            params={"wanted": wanted, "ready": ready},
            quotes=(*quote_condition(manifest, "HeadPodReady"), *quote_condition(manifest, "ReplicaFailure"),
                    quote_field(ref, "status", f"desiredWorkerReplicas {wanted}, readyWorkerReplicas {ready}")),
            statement=f"{ref} is not complete: {words.strip(': ')[:350]}.",
        )  # fmt: skip


@check("ray-job-failed", weight=0.85)
def ray_job_failed(topology: Topology) -> Iterator[Finding]:
    """jobDeploymentStatus Failed or ValidationFailed, or jobStatus FAILED; past after a day."""
    for manifest in topology.of_kind("RayJob"):
        status, ref = mapping(manifest, "status"), ref_of(manifest)
        deployed, job = text(status, "jobDeploymentStatus"), text(status, "jobStatus")
        if group_of(manifest) != "ray.io" or (deployed not in ("Failed", "ValidationFailed") and job != "FAILED"):
            continue
        ended = time_at(status, "endTime")
        said = " ".join(f"{text(status, 'reason')}: {text(status, 'message')}".split()).strip(": ")
        yield Finding(
            cause="ray-job-failed",
            subject=ref,
            state="past" if ended is not None and topology.now - ended > DAY else "active",
            since=ended or time_at(status, "startTime"),
            params={"reason": text(status, "reason"), "deployment_status": deployed, "job_status": job},
            quotes=(quote_field(ref, "status", f"jobDeploymentStatus {deployed}, jobStatus {job}, {said}"[:500], ended),),
            statement=f"{ref} failed ({deployed or job}): {said[:350].rstrip('.') or 'it gives no reason'}.",
        )


@check("ray-service-not-serving", weight=0.7)
def ray_service_not_serving(topology: Topology) -> Iterator[Finding]:
    """Ready=False (ZeroServeEndpoints, InitializingTimeout), with what Serve says of the applications."""
    for manifest in topology.of_kind("RayService"):
        said = complaint(manifest, topology.now, ("Ready",)) if group_of(manifest) == "ray.io" else None
        if said is None:
            continue
        ref, bad = ref_of(manifest), []
        for which in ("activeServiceStatus", "pendingServiceStatus"):
            for name, one in mapping(manifest, "status", which, "applicationStatuses").items():
                if text(one, "status") in ("DEPLOY_FAILED", "UNHEALTHY", "NOT_STARTED"):
                    bad.append(f"{name} {text(one, 'status')}: {' '.join(text(one, 'message').split())[-200:]}")
        yield Finding(
            cause="ray-service-not-serving",
            subject=ref,
            since=said.since,
            params={"reason": said.reason},
            quotes=(
                *quote_condition(manifest, "Ready"),
                *(quote_field(ref, "status.applicationStatuses", one) for one in bad[:2]),
            ),
            statement=f"{ref} serves nothing: {said.words}{f' ({bad[0]})' if bad else ''}.",
        )


@check("dynamo-graph-stuck", weight=0.6)
def graph_stuck(topology: Topology) -> Iterator[Finding]:
    """A DynamoGraphDeployment that failed, or is pending for longer than a start may take; and which service is short."""
    for manifest in topology.of_kind("DynamoGraphDeployment", "DynamoComponentDeployment"):
        state, made, ref = text(manifest, "status", "state"), created_at(manifest), ref_of(manifest)
        old = made is None or topology.now - made >= NODE_TAKES
        if state.lower() not in ("failed", "pending") or (state.lower() == "pending" and not old):
            continue
        short = [f"{name} {number(one, 'readyReplicas')}/{number(one, 'replicas')}"
                 for name, one in sorted(mapping(manifest, "status", "services").items())
                 if number(one, "readyReplicas") < number(one, "replicas")]  # fmt: skip
        said = text(condition(manifest, "Ready"), "message")
        yield Finding(
            cause="dynamo-graph-stuck",
            subject=ref,
            since=time_at(condition(manifest, "Ready"), "lastTransitionTime") or made,
            params={"state": state, "short": [*short]},
            quotes=(
                quote_field(ref, "status", f"state {state}; services {', '.join(short)}"),
                *quote_condition(manifest, "Ready"),
            ),
            statement=f"{ref} is"
            f" {state}{f', short of {chr(44).join(short)}' if short else ''}{f': {said[:250]}' if said else ''}.",
        )
