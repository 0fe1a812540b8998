"""Images that cannot be pulled, told apart by what the registry or the runtime said."""

import re
from collections.abc import Iterator
from datetime import timedelta

from agent.checks.containers import began_words, end_quote, fallen_containers, rollback_params, state_of, words_of
from agent.checks.registry import check, earliest, quote_event, quote_field, quote_log
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref
from agent.topology import Happening, Topology, pod_spec_of
from agent.topology.fields import created_at, items, labels_of, text
from agent.topology.pods import container_named
from agent.topology.workloads import is_serving, rollback, still_serving, tag, troubled_containers

_WAITING = (
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
)
_PASSING = re.compile(r"pull QPS exceeded")
_IMAGE = re.compile(r'image "([^"]+)"')
_SAID = (
    ("invalid-image-name", re.compile(r"InvalidImageName|couldn't parse image|invalid reference format", re.I)),
    ("image-never-pulled", re.compile(r"ErrImageNeverPull|not present with pull policy of Never", re.I)),
    (
        "image-signature-refused",
        re.compile(r"SignatureValidationFailed|signature (?:is )?(?:required|invalid|validation)|rejected by policy", re.I),
    ),
    ("image-rate-limited", re.compile(r"toomanyrequests|\b429\b|rate limit", re.I)),
    (
        "image-wrong-architecture",
        re.compile(r"no match for platform|no matching manifest for|no image found in [\w ]+ for architecture", re.I),
    ),
    (
        "image-pull-unauthorized",
        re.compile(
            r"unauthorized|authentication required|\b40[13] (?:unauthorized|forbidden)"
            r"|status(?: code)?[^\n]{0,120}[: ]40[13]\b(?!: not found)|forbidden"
            r"|no basic auth|authorization failed|pull access denied"
            r"|insufficient_scope|denied: |access to the resource is denied|permission \\?\"[^\"]+\" denied"
            r"|invalid username/password",
            re.I,
        ),
    ),
    (
        "image-pull-failed",
        re.compile(r"is no longer supported|unsupported (?:manifest )?media type|unexpected commit digest", re.I),
    ),
    ("image-tag-not-found", re.compile(r"not found|NotFound|manifest unknown|name unknown|does not exist", re.I)),
    (
        "registry-unreachable",
        re.compile(
            r"i/o timeout|no such host|x509|connection (?:refused|reset)|TLS handshake|deadline exceeded|RegistryUnavailable"
            r"|HTTP response to HTTPS|no route to host|network is unreachable|server misbehaving|proxyconnect|\bEOF\b"
            r"|\b50[0234] (?:internal|bad|service|gateway)|status(?: code)?[: ]+50[0234]\b|try again",
            re.I,
        ),
    ),
    ("image-pull-disk-full", re.compile(r"no space left on device", re.I)),
)
_WORDS = {
    "image-tag-not-found": "that tag does not exist (not found)",
    "image-pull-unauthorized": "the registry refuses the credentials (unauthorized)",
    "registry-unreachable": "the registry cannot be reached",
    "image-rate-limited": "the registry limits the rate of pulls",
    "image-wrong-architecture": "it has no build for the node's architecture",
    "invalid-image-name": "its name is not a valid image reference",
    "image-never-pulled": "it is not on the node and the pull policy is Never",
    "image-pull-disk-full": "the node's disk is full",
    "image-signature-refused": "its signature is missing or not accepted",
    "image-pull-failed": "the runtime gives a reason of its own",
}


def classify(message: str) -> str:
    """The cause that a pull error's text names, or "" for none that is known."""
    return next((cause for cause, pattern in _SAID if pattern.search(message)), "")


def _pull_errors(topology: Topology, unit: Ref) -> list[Happening]:
    """Pull failures of the unit's pods, also of pods that are gone; the kubelet's own rate limit is passing noise."""
    return [
        one
        for one in topology.events_of_unit(unit)
        if _is_pull_error(one)
    ]  # fmt: skip


def _is_pull_error(one: Happening) -> bool:
    return (
        one.reason in ("Failed", "InspectFailed") and _IMAGE.search(one.message) is not None and not _PASSING.search(one.message)
    )


@check("image-tag-not-found", weight=0.97)
@check("image-pull-unauthorized", weight=0.95)
@check("registry-unreachable", weight=0.9)
@check("image-rate-limited", weight=0.9)
@check("image-wrong-architecture", weight=0.95)
@check("invalid-image-name", weight=0.95)
@check("image-never-pulled", weight=0.95)
@check("image-pull-disk-full", weight=0.9)
@check("image-signature-refused", weight=0.93)
@check("image-pull-failed", weight=0.7)
def cannot_pull(topology: Topology) -> Iterator[Finding]:
    """Pods that wait for an image now; reports whichever cause the pull error names."""
    seen: set[tuple[Ref, str]] = set()
    for pod, unit, one in troubled_containers(topology):
        if one.waiting in _WAITING:
            image = text(container_named(pod_spec_of(pod), one.name), "image")
            errors = [event for event in topology.events_about(one.pod) if image in event.message and classify(event.message)]
            said = [one.waiting_message, *(event.message for event in reversed(errors)), one.waiting]
            cause = next((found for words in said for found in [classify(words)] if found), "")
            unnamed = [event for event in topology.events_about(one.pod) if _is_pull_error(event)]
            if not cause and unnamed:
                cause, errors = "image-pull-failed", unnamed
            if not cause or (unit, cause) in seen:
                continue
            seen.add((unit, cause))
            quotes: list[Quote] = [quote_event(event) for event in errors[-1:]]
            where = f"status of container {one.name}"
            quotes.append(quote_field(one.pod, where, f"waiting {one.waiting}: {one.waiting_message}"))
            back = rollback(topology, unit, created_at(pod))
            serving = still_serving(topology, unit)
            which = "new ReplicaSet" if back else "pods"
            yield Finding(
                cause=cause,
                subject=unit,
                affects=(one.pod,),
                quotes=tuple(quotes),
                since=earliest(created_at(pod), *(event.first for event in errors)),
                params={"container": one.name, "image": image, "tag": tag(image), **rollback_params(back), "wanted_image": image},
                statement=f"The {which} of {unit} cannot pull {image} because {_WORDS[cause]} ({one.waiting}){began_words(back)}"
                + (f"; {serving}, so callers are not cut off." if serving else "."),
            )


@check("image-tag-not-found", weight=0.97)
def could_not_pull(topology: Topology) -> Iterator[Finding]:
    """Pull errors of an image that the workload no longer asks for: a release that was rolled back."""
    for workload in topology.of_kind("Deployment"):
        unit = Ref("Deployment", text(workload, "metadata", "namespace"), text(workload, "metadata", "name"))
        images = {text(one, "image") for one in items(pod_spec_of(workload), "containers")}
        errors = [event for event in _pull_errors(topology, unit) if classify(event.message)]
        stale = [event for event in errors if not any(f'"{image}"' in event.message for image in images)]
        if not stale or not is_serving(topology, unit):
            continue
        last = stale[-1]
        match = _IMAGE.search(last.message)
        missed = match[1] if match else ""
        now = ", ".join(sorted(tag(image) for image in images))
        recent = last.last is not None and topology.now - last.last < timedelta(hours=6)
        yield Finding(
            cause=classify(last.message),
            subject=unit,
            state="recovered" if recent else "past",
            since=last.first,
            quotes=(quote_event(last),),
            params={"image": missed, "current_tags": now},
            statement=f"A release of {unit} with {missed} could not be pulled; it was rolled back to {now}, which is ready"
            f" now, and"
            " the events are left over from that attempt.",
        )


@check("image-wrong-architecture", weight=0.95)
def cannot_run_here(topology: Topology) -> Iterator[Finding]:
    """ "exec format error": the image was pulled, and holds a program for another machine (or a script)."""
    for pod, unit, one in fallen_containers(topology):
        said = "\n".join((one.end_message, one.waiting_message, words_of(topology, one)))
        if "exec format error" not in said:
            continue
        image = text(container_named(pod_spec_of(pod), one.name), "image")
        node = topology.objects.get(Ref("Node", "", text(pod, "spec", "nodeName")), {})
        machine = labels_of(node).get("kubernetes.io/arch", "")
        line = next((line for line in words_of(topology, one).splitlines() if "exec format error" in line), "")
        back = rollback(topology, unit, created_at(pod))
        yield Finding(
            cause="image-wrong-architecture",
            subject=unit,
            affects=(one.pod,),
            state=state_of(topology, unit, pod, one),
            since=created_at(pod),
            quotes=(end_quote(one), *((quote_log(one.pod, one.name, line),) if line else ())),
            params={"container": one.name, "image": image, "tag": tag(image), **rollback_params(back)},
            statement=f"The program in {image} ({unit}) is built for another machine than its node"
            f"{f' ({machine})' if machine else ''}: exec format error{began_words(back)}.",
        )
