"""StatefulSets that stand still although their template is right: an ordered update waits for a pod of an earlier template to
become ready, which that pod never will."""

from collections.abc import Iterator

from agent.checks.registry import check, quote_field
from agent.domain.finding import Finding
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import labels_of, ref_of, text
from agent.topology.pods import container_states, containers, is_ready, unready_since

_REVISION = "controller-revision-hash"
_STUCK = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError",
          "CrashLoopBackOff", "RunContainerError")  # fmt: skip


@check("statefulset-stuck-on-old-revision", weight=0.98)
def waits_for_what_cannot_be(topology: Topology) -> Iterator[Finding]:
    """Source: Kubernetes, "StatefulSets", forced rollback: with OrderedReady a broken pod is not replaced when the template is
    put right; it has to be deleted by hand."""
    for workload in topology.of_kind("StatefulSet"):
        ref, wanted = ref_of(workload), text(workload, "status", "updateRevision")
        if not wanted or text(workload, "spec", "podManagementPolicy") == "Parallel":
            continue
        right = {text(one, "name"): text(one, "image") for one in containers(pod_spec_of(workload))}
        for pod in topology.pods_of(ref):
            revision = labels_of(pod).get(_REVISION, "")
            stuck = [one for one in container_states(pod) if one.waiting in _STUCK]
            images = {text(one, "name"): text(one, "image") for one in containers(pod_spec_of(pod))}
            changed = [one for one in stuck if right.get(one.name) and images.get(one.name) != right[one.name]]
            if is_ready(pod) or revision in ("", wanted) or not changed:
                continue
            one = changed[0]
            yield Finding(
                cause="statefulset-stuck-on-old-revision",
                subject=ref,
                since=unready_since(pod),
                affects=(ref_of(pod),),
                params={
                    "pod": ref_of(pod).name,
                    "image": images[one.name],
                    "wanted_image": right[one.name],
                    "revision": revision,
                },
                quotes=(
                    quote_field(ref_of(pod), f"status of container {one.name}", f"waiting {one.waiting}: {one.waiting_message}"),
                    quote_field(ref, "status", f"updateRevision {wanted}; {ref_of(pod).name} is of {revision}"),
                ),
                statement=f"{ref} waits for {ref_of(pod).name}, which is still of an earlier revision ({images[one.name]},"
                f" {one.waiting}) and never becomes ready; the template is right by now ({right[one.name]}), and an ordered"
                " update does not replace a broken pod by itself: it has to be deleted.",
            )
            break
