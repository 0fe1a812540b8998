"""Dynamic resource allocation: templates, claims and classes that are not there, drivers that publish nothing, and claims
that no free device meets."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from agent.checks.config import near
from agent.checks.registry import check, quote_event, quote_field
from agent.checks.scheduling import Unplaced, pods_said, unplaced
from agent.domain.finding import Finding
from agent.domain.objects import Manifest, Ref
from agent.topology import Happening, Topology
from agent.topology.extensions import claims_of, classes_of
from agent.topology.fields import items, name_of, ref_of, text
from agent.topology.pods import is_ready
from agent.topology.workloads import live_pods, pods_with_unit

_DRIVER = re.compile(r"device\.driver\s*==\s*['\"]([^'\"]+)['\"]")
_NOT_REGISTERED = re.compile(
    r"driver (?:name )?\"?([\w.-]+)\"? (?:is )?not (?:found|registered|in the list)|no DRA (?:kubelet )?plugin", re.I
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Pods of one workload that wait, the claims they need (as far as these exist) and the classes those ask for."""

    waiting: Unplaced
    claims: tuple[Manifest, ...]
    classes: tuple[str, ...]


def _wanted(topology: Topology) -> Iterator[Wanted]:
    for one in unplaced(topology):
        if not items(one.spec, "resourceClaims"):
            continue
        refs = [ref for pod in one.pods for ref in claims_of(pod)]
        claims = [topology.objects[ref] for ref in dict.fromkeys(refs) if ref in topology.objects]
        names = [text(entry, "resourceClaimTemplateName") for entry in items(one.spec, "resourceClaims")]
        templates = [topology.get("ResourceClaimTemplate", one.unit.namespace, name) for name in names if name]
        known = [*claims, *(template for template in templates if template is not None)]
        yield Wanted(
            waiting=one, claims=tuple(claims), classes=tuple(dict.fromkeys(name for claim in known for name in classes_of(claim)))
        )


@check("resource-claim-template-missing", weight=0.97)
@check("resource-claim-missing", weight=0.97)
def names_nothing(topology: Topology) -> Iterator[Finding]:
    """A pod names a ResourceClaim or a template that does not exist (event FailedResourceClaimCreation)."""
    for one in unplaced(topology):
        for entry in items(one.spec, "resourceClaims"):
            template = text(entry, "resourceClaimTemplateName")
            kind = "ResourceClaimTemplate" if template else "ResourceClaim"
            ref = Ref(kind, one.unit.namespace, template or text(entry, "resourceClaimName"))
            said = [event for pod in one.pods for event in topology.events_about(ref_of(pod))
                    if event.reason == "FailedResourceClaimCreation" or f'"{ref.name}" not found' in event.message]  # fmt: skip
            told = any(ref.name in event.message and "not found" in event.message for event in said)
            if not ref.name or ref in topology.objects or not topology.saw(kind) or not (told or topology.of_kind(kind)):
                continue
            like = near(ref.name, [name_of(other) for other in topology.in_namespace(kind, ref.namespace)])
            yield Finding(
                cause="resource-claim-template-missing" if template else "resource-claim-missing",
                subject=ref,
                since=one.since,
                affects=(one.unit, *one.refs),
                params={"near": like},
                quotes=(
                    *(quote_event(event) for event in said[-1:]),
                    quote_field(one.unit, "spec.resourceClaims", f"names {ref.name}"),
                ),
                statement=f"{pods_said(one)} need {ref}, which does not exist{f' (there is {like})' if like else ''}, so"
                f" no device is"
                " allocated.",
            )


@check("device-class-missing", weight=0.96)
def no_such_class(topology: Topology) -> Iterator[Finding]:
    for one in _wanted(topology):
        known = sorted(name_of(found) for found in topology.of_kind("DeviceClass"))
        for name in one.classes:
            told = re.search(rf"device class \"?{re.escape(name)}\"? (?:does not exist|not found)", one.waiting.words)
            if name in known or not topology.saw("DeviceClass") or not (known or told):
                continue
            like = near(name, known)
            yield Finding(
                cause="device-class-missing",
                subject=Ref("DeviceClass", "", name),
                since=one.waiting.since,
                affects=(one.waiting.unit, *(ref_of(claim) for claim in one.claims)),
                params={"near": like},
                quotes=(
                    *one.waiting.quotes,
                    *(quote_field(ref_of(claim), "spec.devices", f"deviceClassName {name}") for claim in one.claims[:1]),
                ),
                statement=f"The claims of {one.waiting.unit} ask for DeviceClass {name}, which does not exist"
                f" (there {'is' if len(known) == 1 else 'are'} {', '.join(known) or 'none'}).",
            )


def _driver_of(topology: Topology, name: str) -> str:
    """The driver that a DeviceClass selects by its CEL expressions; "" when it does not say one."""
    found = topology.get("DeviceClass", "", name)
    for selector in items(found, "spec", "selectors") if found is not None else ():
        match = _DRIVER.search(text(selector, "cel", "expression"))
        if match:
            return match[1]
    return ""


def _devices(topology: Topology, driver: str) -> tuple[int, int, int]:
    """(published, taken by allocated claims, tainted) devices of a driver."""
    slices = [one for one in topology.of_kind("ResourceSlice") if text(one, "spec", "driver") == driver]
    devices = [device for one in slices for device in items(one, "spec", "devices")]
    tainted = [device for device in devices if items(device, "taints") or items(device, "basic", "taints")]
    taken = {
        (text(result, "pool"), text(result, "device"))
        for claim in topology.of_kind("ResourceClaim")
        for result in items(claim, "status", "allocation", "devices", "results")
        if text(result, "driver") == driver
    }
    return len(devices), len(taken), len(tainted)


@check("device-driver-publishes-nothing", weight=0.95)
def no_slices(topology: Topology) -> Iterator[Finding]:
    """A DeviceClass whose driver has published no ResourceSlice: the driver does not run on any node."""
    for one in _wanted(topology):
        for name in one.classes:
            driver = _driver_of(topology, name)
            if not driver or not topology.saw("ResourceSlice") or _devices(topology, driver)[0]:
                continue
            yield Finding(
                cause="device-driver-publishes-nothing",
                subject=Ref("DeviceClass", "", name),
                since=one.waiting.since,
                affects=(one.waiting.unit, *(ref_of(claim) for claim in one.claims)),
                params={"driver": driver},
                quotes=(
                    *one.waiting.quotes,
                    quote_field(Ref("DeviceClass", "", name), "spec.selectors", f'device.driver == "{driver}"'),
                ),
                statement=f"No device of driver {driver} is published (no ResourceSlice of it has one), which DeviceClass"
                f" {name} selects, so the"
                f" claims of {one.waiting.unit} cannot be allocated.",
            )


@check("resource-claim-unallocated", weight=0.88)
def not_allocated(topology: Topology) -> Iterator[Finding]:
    """ "cannot allocate all claims": devices are published, and none that is free meets the requests."""
    for waiting in unplaced(topology):
        if "cannot allocate all claims" not in waiting.words:
            continue
        one = next((found for found in _wanted(topology) if found.waiting.unit == waiting.unit), None)
        drivers = sorted({driver for name in (one.classes if one else ()) for driver in [_driver_of(topology, name)] if driver})
        counts = [(driver, *_devices(topology, driver)) for driver in drivers]
        shown = "; ".join(
            f"{driver}: {all_} published, {taken} taken, {tainted} tainted" for driver, all_, taken, tainted in counts
        )
        full = bool(counts) and all(taken >= all_ > 0 for _, all_, taken, _ in counts)
        hint = "every device is taken" if full else "no free device meets the selectors of the requests" if counts else ""
        yield Finding(
            cause="resource-claim-unallocated",
            subject=waiting.unit,
            since=waiting.since,
            affects=waiting.refs,
            params={"drivers": [*drivers], "all_taken": full},
            quotes=(*waiting.quotes, *(quote_field(waiting.unit, "ResourceSlices", shown) for _ in counts[:1])),
            statement=f"{pods_said(waiting)} cannot be scheduled: their ResourceClaims cannot be allocated"
            f"{f', {hint}' if hint else ''} (cannot allocate all claims{f'; {shown}' if shown else ''}).",
        )


@check("device-prepare-failed", weight=0.93)
def kubelet_cannot_prepare(topology: Topology) -> Iterator[Finding]:
    """FailedPrepareDynamicResources: the claim is allocated, and the driver's plugin on the node does not prepare it."""
    seen: set[Ref] = set()
    for pod, unit in pods_with_unit(topology):
        said = [event for event in topology.events_about(ref_of(pod)) if event.reason == "FailedPrepareDynamicResources"]
        if not said or is_ready(pod) or unit in seen:
            continue
        seen.add(unit)
        yield _prepare(topology, pod, unit, said[-1])


def _prepare(topology: Topology, pod: Manifest, unit: Ref, said: Happening) -> Finding:
    node, missing = text(pod, "spec", "nodeName"), _NOT_REGISTERED.search(said.message)
    plugin = next(
        (
            ref_of(one)
            for one in topology.of_kind("DaemonSet")
            if "dra" in name_of(one).replace("_", "-").split("-")
            and any(text(other, "spec", "nodeName") == node and not is_ready(other) for other in live_pods(topology, ref_of(one)))
        ),
        None,
    )
    driver = (missing[1] or "") if missing else ""
    absent = f", because driver {driver} is not registered there" if driver else ""
    who = f"; {plugin} does not run properly there" if plugin else ""
    return Finding(
        cause="device-prepare-failed",
        subject=plugin or unit,
        since=said.first,
        affects=(unit, ref_of(pod)),
        params={"driver": driver, "node": node, "not_registered": missing is not None, "is_plugin": plugin is not None},
        quotes=(quote_event(said),),
        statement=f"The kubelet on {node or 'the node'} cannot prepare the devices of {unit}{absent}{who}: {said.message[:250]}.",
    )
