"""A run with a model as a program that a test may kill: `python -m tests.agent.model.mortal FOLDER` starts or resumes the run
that lies there.

DIE_AT "reply": right after an answer was kept, before anything is recorded of it.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import agent.store.model_book
from agent.bootstrap import Source, workshop
from agent.settings import Settings
from agent.toolsets.snapshot import SnapshotCluster
from tests.agent.model.playing import QUESTION, crashing


def die_after(owner: object, name: str) -> None:
    work = getattr(owner, name)

    async def mortal(*args: object, **kwargs: object) -> object:
        done = await work(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(owner, name, mortal)


async def main(folder: Path) -> None:
    if os.environ.get("DIE_AT") == "reply":
        die_after(agent.store.model_book.SqlModelBook, "enter")
    settings = Settings(
        model="stand-in", model_url=os.environ["MODEL_URL"], model_retries=0, claim_seconds=1, sidecar_url="",
        database_url=f"sqlite:///{folder / 'runs.sqlite'}",
    )  # fmt: skip
    async with workshop(settings, Source(opened=SnapshotCluster(crashing()))) as shop:
        rows = await shop.store.rows(limit=1)
        row = rows[0] if rows else (await shop.take(question=QUESTION))[0]
        for _ in range(50):  # the claim of the one that was killed lapses within a second
            if await shop.work(row):
                break
            await asyncio.sleep(0.1)
        report = await shop.report(row.id)
    assert report is not None
    assert report.diagnosis is not None
    told = report.diagnosis.assessment
    assert told is not None
    print(json.dumps({"outcome": told.outcome, "calls": told.calls}))


asyncio.run(main(Path(sys.argv[1])))
