"""Jobs that do not end, or do not begin, and have no error: a sidecar that runs on, a queue without quota for them."""

from collections.abc import Iterator
from datetime import timedelta

from agent.checks.registry import check, quote_condition, quote_field
from agent.domain.finding import Finding
from agent.topology import Topology, pod_spec_of
from agent.topology.extensions import group_of
from agent.topology.fields import at, condition, controller_of, created_at, items, ref_of, text, time_at
from agent.topology.pods import container_states, phase

PATIENCE = timedelta(minutes=5)  # a sidecar needs a moment to see that it is over; a queue to admit


@check("job-held-by-sidecar", weight=0.93)
def sidecar_runs_on(topology: Topology) -> Iterator[Finding]:
    """The Job's own container has ended well minutes ago, and another container of the pod runs on: the pod never completes.
    Source: Kubernetes, "Sidecar containers" (restartPolicy Always among the init containers ends with the Job)."""
    for job in topology.of_kind("Job"):
        ref = ref_of(job)
        for pod in topology.pods_of(ref):
            boxes = [one for one in container_states(pod) if not one.init]
            over = [one for one in boxes if one.has_ended_for_good and one.exit_code == 0 and one.ended_at is not None]
            on = [one for one in boxes if one.running]
            if phase(pod) != "Running" or not over or not on or any(one.exit_code not in (0, None) for one in boxes):
                continue
            first = text(items(pod_spec_of(pod), "containers")[0], "name")
            since = max(one.ended_at for one in over if one.ended_at is not None)
            if first not in {one.name for one in over} or topology.now - since < PATIENCE:
                continue
            names, left = ", ".join(one.name for one in over), ", ".join(one.name for one in on)
            yield Finding(
                cause="job-held-by-sidecar",
                subject=ref,
                since=since,
                affects=(ref_of(pod),),
                params={"sidecars": [one.name for one in on], "done": [one.name for one in over]},
                quotes=(
                    quote_field(ref_of(pod), "status", f"{names}: Completed (exit 0) at {since:%H:%M:%SZ}; {left}: running"),
                ),
                statement=f"{ref} has done its work ({names} ended with exit code 0 at {since:%H:%M:%SZ}), but container {left}"
                " of its pod runs on, so the Job never completes.",
            )
            break


@check("workload-not-admitted", weight=0.92)
def queue_has_no_room(topology: Topology) -> Iterator[Finding]:
    """Kueue keeps a Job suspended (or its pods gated) until its queue has quota; the Workload's condition says what lacks."""
    for manifest in topology.of_kind("Workload"):
        if group_of(manifest) != "kueue.x-k8s.io" or text(condition(manifest, "Admitted"), "status") == "True":
            continue
        said = condition(manifest, "QuotaReserved")
        made = created_at(manifest)
        over = text(condition(manifest, "Finished"), "status") == "True" or at(manifest, "spec", "active") is False
        if over or text(said, "status") != "False" or made is None or topology.now - made < PATIENCE:
            continue
        owner = controller_of(manifest)
        subject = owner if owner is not None and owner in topology.objects else ref_of(manifest)
        queue = text(manifest, "spec", "queueName")
        yield Finding(
            cause="workload-not-admitted",
            subject=subject,
            since=time_at(said, "lastTransitionTime") or made,
            affects=(ref_of(manifest),),
            params={"queue": queue, "reason": text(said, "reason")},
            quotes=tuple(quote_condition(manifest, "QuotaReserved")),
            statement=f"{subject} is held by queue {queue or '(none)'} until there is quota for it:"
            f" {text(said, 'message')[:300].rstrip('. ') or text(said, 'reason')}.",
        )
