"""A scenario played whole, as `lestrade demo --yes` does, but in the test's own process: so the laboratory can be asked."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.cli.demonstration import Demonstration
from agent.cli.governed import approve_everything, watch
from agent.cli.investigate import write_page
from agent.domain.report import Report
from lab.laboratory import Laboratory
from lab.scenarios import Scenario, load
from tests.e2e.ledger import Entry

NOBODY_SECONDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    scenario: Scenario
    account: dict[str, Any]
    report: Report
    page: Path
    log: list[Entry]
    targets: set[tuple[str, str, str]]  # (kind, namespace, name) of every target that an approved plan named
    world: dict[str, Any] = field(default_factory=dict)  # what `look` saw of the laboratory before the run


def play(name: str, folder: Path) -> Played:
    return asyncio.run(play_scenario(load(name), folder))


async def play_scenario(
    scenario: Scenario,
    folder: Path,
    *,
    look: Callable[[Laboratory], dict[str, Any]] = lambda lab: {},
    kind: type[Demonstration] = Demonstration,
) -> Played:
    began = time.monotonic()
    expires = NOBODY_SECONDS if scenario.governance.approver == "nobody" else None
    with kind(scenario, folder=folder, expires_seconds=expires) as demonstration:
        world = look(demonstration.lab)
        async with demonstration.shop() as shop:
            row = await demonstration.open_run(shop)
            people = asyncio.create_task(answering(demonstration))
            try:
                report = await watch(demonstration, shop, row)
            finally:
                people.cancel()
                await asyncio.gather(people, return_exceptions=True)
        page = write_page(report, folder / "reports")
        account = demonstration.account(report, seconds=time.monotonic() - began, page=page)
        log: list[Entry] = list(demonstration.lab.requests)
    targets = {
        (step.action.target.kind, step.action.target.namespace, step.action.target.name)
        for round_ in report.rounds
        if round_.lease
        for step in round_.plan.steps
    }
    return Played(scenario=scenario, account=account, report=report, page=page, log=log, targets=targets, world=world)


async def answering(demonstration: Demonstration) -> None:
    """The people of the scenario."""
    match demonstration.scenario.governance.approver:
        case "nobody":
            return
        case "deny":
            await approve_everything(demonstration, verdict="deny", reason="not now")
        case "approve":
            if demonstration.scenario.governance.sidecar == "up":
                await approve_everything(demonstration)
