"""`lestrade silence`: the alerts of a run are silenced for a while, if policy and people let it. The sidecar does it."""

from collections.abc import Mapping
from pathlib import Path

from agent.bootstrap import Source, workshop
from agent.cli.person import person
from agent.cli.terminal import console, run, settings_from, tell
from agent.errors import InputError
from agent.rendering.silences import silence_lines
from agent.stages.silence import Wish
from sidecar.contract import Json

NOBODY_LET_IT = 3


def of_run(run_id: str, wish: Wish, config: Path | None, *, context: str) -> int:
    return run(_silence(run_id, wish, config, context))


def wished(minutes: int, *, alert: str, comment: str) -> Wish:
    said = comment.strip()[:500].encode(errors="replace").decode()  # a terminal may hand over bytes that are no UTF-8
    return Wish(minutes=minutes, comment=said, alert=alert, asked_by=person())


async def _silence(run_id: str, wish: Wish, config: Path | None, context: str) -> int:
    settings, out = settings_from(config), console()

    async def say(text: str, data: Mapping[str, Json] | None = None, /) -> None:
        link = (data or {}).get("plan")
        page = f" {settings.approvals_url.rstrip('/')}/approvals/{link}" if settings.approvals_url and link else ""
        tell(out, "sidecar", f"{text}{page}", style="blue")

    async with workshop(settings, Source(context=context)) as shop:
        row, report = await shop.store.row(run_id), await shop.report(run_id)
        if row is None:
            raise InputError(f"no run {run_id} (see `lestrade runs list`)")
        if report is None:
            raise InputError(f"run {run_id} has no report yet: silences are for incidents that were looked into")
        if row.incident.cluster != shop.reader.name:
            raise InputError(f"run {run_id} is about cluster {row.incident.cluster}, this is {shop.reader.name} (see --context)")
        rounds, left = await shop.silence(report, wish, tell=say)
    for line in silence_lines(rounds, left):
        print(line)
    if not rounds and not left:
        named = f" called {wish.alert}" if wish.alert else ""
        raise InputError(f"run {run_id} is about no alert{named} that fires: there is nothing to be silenced")
    return 0 if rounds and not left and all(round_.end == "helped" for round_ in rounds) else NOBODY_LET_IT
