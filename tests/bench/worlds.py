"""What the rows measure on: a snapshot taken of the laboratory, a sidecar with a real OPA, plans of ten steps."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.bootstrap import Source, workshop
from agent.domain.incident import Incident
from agent.rendering import render
from agent.settings import Settings
from agent.toolsets.kubernetes import connect
from lab.laboratory import Laboratory
from lab.scenarios import load

REF = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web", "uid": "unknown"}


def snapshot_of_sixty(base: Path) -> tuple[Path, str]:
    """The objects of a played scenario as a snapshot file; the question asked about it."""
    scenario = load("missing-variable")
    with Laboratory.start(scenario) as lab:
        lab.play()
        reader = connect(kubeconfig=lab.kubeconfig())
        try:
            names = [found["metadata"]["name"] for found in asyncio.run(reader.namespaces()).objects]
            seen = asyncio.run(reader.overview(names))
        finally:
            reader.close()
        now = lab.clock.now()
    document = {
        "snapshot": 1,
        "cluster": {"name": "bench", "version": "v1.36.2"},
        "now": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "objects": list(seen.objects),
        "logs": [],
        "metrics": [],
        "alerts": [],
    }
    path = base / "snapshot.json"
    path.write_text(json.dumps(document))
    return path, scenario.question


def incident_of(question: str) -> Incident:
    return Incident(id="inc-bench", cluster="bench", opened_at=datetime.now(UTC), question=question)


async def whole_run(path: Path, incident: Incident) -> None:
    """From the file to the page, the store and the graph included."""
    settings = Settings(database_url=f"sqlite:///{path.parent / 'agent.sqlite'}", reports=path.parent)
    async with workshop(settings, Source(snapshot=path)) as shop:
        row, _ = await shop.take(question=incident.question)
        await shop.work(row)
        report = await shop.report(row.id)
        assert report is not None
        assert render(report, "html")


def plan_document(*, steps: int, attempt: int = 1, ref: dict[str, str] = REF, incident: str = "inc-bench") -> dict[str, Any]:
    return {
        "incident": incident,
        "attempt": attempt,
        "cluster": "lab",
        "cause": {"slug": "oom-killed", "subject": ref},
        "hypothesis": "measured, not meant",
        "steps": [
            {
                "id": f"step-{number}",
                "action": {"kind": "scale_workload", "target": ref, "replicas": number},
                "why": "measured",
                "expect": "an answer",
            }
            for number in range(1, steps + 1)
        ],
    }
