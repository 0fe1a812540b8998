"""`lestrade snapshot`: what a cluster looks like now, in a file without secrets, to be looked at elsewhere or later."""

import asyncio
from pathlib import Path

from agent.cli.terminal import console, run, settings_from, tell
from agent.errors import InputError
from agent.eyes import Source, eyes
from agent.ports import Observed
from agent.scanning import chosen
from agent.settings import Settings
from agent.stages.gather import Limits, gather
from agent.toolsets import keeping
from agent.toolsets.alertmanager import active_alerts
from agent.topology.fields import kind_of, text

MOST_LOGS = 400
NOT_KEPT = ("logs", "metrics")  # what is missing of these shows when the file is read


def snapshot(namespaces: tuple[str, ...], *, everything: bool, output: Path, tail: int, context: str, config: Path | None) -> int:
    if bool(namespaces) == everything:
        raise InputError("give the namespaces with -n, or --all for every one")
    if not output.absolute().parent.is_dir():
        raise InputError(f"{output}: there is no folder {output.absolute().parent}")
    if output.is_dir():
        raise InputError(f"{output}: is a folder; name a file, such as {output / 'snapshot.json.gz'}")
    return run(_snapshot(settings_from(config), namespaces, output, tail, context), interrupted="nothing was written")


async def _snapshot(settings: Settings, namespaces: tuple[str, ...], output: Path, tail: int, context: str) -> int:
    out = console()
    async with eyes(settings, Source(context=context), whole=True) as (reader, metrics):
        limits = Limits(log_tail=tail, log_streams=MOST_LOGS, metrics_minutes=settings.metrics_window_minutes)
        spaces = await chosen(reader, namespaces)
        sight = await gather(spaces, reader=reader, metrics=metrics, limits=limits)
    seen, alerts = sight.observed, list[dict[str, object]]()
    if settings.alertmanager_url:
        try:
            alerts = await active_alerts(settings.alertmanager_url, spaces)
        except InputError as exc:  # a snapshot without alerts is a snapshot
            tell(out, "not in it", str(exc), style="yellow")
    objects = [gap for gap in seen.gaps if gap.what.split()[0] not in NOT_KEPT]
    size = await asyncio.to_thread(
        keeping.write,
        output,
        cluster=reader.name,
        version=_version(seen),
        now=seen.now,
        objects=seen.objects,
        logs=seen.logs,
        series=sight.series,
        gaps=objects,
        alerts=alerts,
    )
    for gap in objects:
        tell(out, "not in it", f"{gap.what}: {gap.why}", style="yellow")
    if lost := sum(1 for gap in seen.gaps if gap.what.startswith("logs of ")):
        tell(
            out,
            "not in it",
            f"{lost} logs that the cluster does not give (gone with their container, or not started)",
            style="yellow",
        )
    tell(
        out,
        "kept",
        f"{len(seen.objects):,} objects, {len(seen.logs):,} logs, {len(sight.series):,} metric series, {len(alerts)} alerts",
        style="dim",
    )
    print(f"{output}: {size / 1e6:.1f} MB, secrets removed. Look at it with: lestrade scan --snapshot {output}")
    return 0


def _version(seen: Observed) -> str:
    """The newest kubelet's; the API server's own stands in no object."""
    nodes = [one for one in seen.objects if kind_of(one) == "Node"]
    return max((text(one, "status", "nodeInfo", "kubeletVersion") for one in nodes), default="")
