"""Where the progress of runs is kept: one row a run, replaced whole at each step. Knows nothing of stages.

A graph in which only one node is at work has no use for the notes that langgraph keeps of finished tasks beside those that still
run: the checkpoint after a node says the same, and follows at once. Nor does anybody ask for older checkpoints.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.base import get_checkpoint_metadata as metadata_of
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from agent.errors import InputError, StoreUnavailable

# Processes that start at once would all make the tables of the checkpoints.
_LOCK = "SELECT pg_try_advisory_lock(6114093) AS locked"
_UNLOCK = "SELECT pg_advisory_unlock(6114093)"

Turn = Callable[[], AbstractAsyncContextManager[None]]

_REPLACE = """UPDATE checkpoints SET checkpoint_id = ?, parent_checkpoint_id = NULL, type = ?, checkpoint = ?, metadata = ?
WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ? RETURNING 1"""
_ANY = "SELECT 1 FROM checkpoints WHERE thread_id = ? LIMIT 1"
_BEGIN = """INSERT OR REPLACE INTO checkpoints (checkpoint_id, type, checkpoint, metadata, thread_id, checkpoint_ns)
VALUES (?, ?, ?, ?, ?, ?)"""


class OneRowSaver(AsyncSqliteSaver):
    """langgraph's saver on a connection that commits each statement (`isolation_level=None`): a step costs one statement, one
    turn of the database's thread and one commit, instead of two of each and five turns.
    `turn` is entered for it: others write too."""

    def __init__(self, connection: aiosqlite.Connection, turn: Turn) -> None:
        super().__init__(connection)
        self._turn = turn

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Most runs are new, and have nothing to read: that is seen in one turn."""
        if not await self.conn.execute_fetchall(_ANY, (str(config["configurable"]["thread_id"]),)):
            return None
        return await super().aget_tuple(config)

    async def aput(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> RunnableConfig:
        place = config["configurable"]
        run, namespace, before = str(place["thread_id"]), place["checkpoint_ns"], place.get("checkpoint_id")
        kind, body = self.serde.dumps_typed(checkpoint)
        about = json.dumps(metadata_of(config, metadata), ensure_ascii=False).encode("utf-8", "ignore")
        row = (checkpoint["id"], kind, body, about, run, namespace)
        async with self._turn():
            if not before or not await self.conn.execute_fetchall(_REPLACE, (*row, before)):
                await self.conn.execute_fetchall(_BEGIN, row)
        return {"configurable": {"thread_id": run, "checkpoint_ns": namespace, "checkpoint_id": checkpoint["id"]}}

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Nothing: see above. What a node wrote is in the checkpoint after it."""


# Only what is older goes: a process that lost its claim and did not know it yet must not take away what its successor kept.
_PRUNE = """DELETE FROM checkpoints WHERE thread_id = %s AND checkpoint_ns = %s AND checkpoint_id COLLATE "C" < %s"""
_PRUNE_VALUES = """DELETE FROM checkpoint_blobs WHERE thread_id = %s AND checkpoint_ns = %s
AND version COLLATE "C" < (%s::jsonb ->> channel)"""


def _lean(saver: type[BaseCheckpointSaver[str]]) -> type[Any]:
    """langgraph's saver for PostgreSQL, whose class is known only where it is installed: it keeps the latest checkpoint of a run
    and no notes beside it."""

    async def aput(
        self: Any, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> RunnableConfig:
        place = await saver.aput(self, config, checkpoint, metadata, new_versions)
        thread = (place["configurable"]["thread_id"], place["configurable"]["checkpoint_ns"])
        async with self._cursor(pipeline=True) as cursor:
            await cursor.execute(_PRUNE, (*thread, checkpoint["id"]))
            await cursor.execute(_PRUNE_VALUES, (*thread, json.dumps(checkpoint["channel_versions"])))
        return place

    return type("LeanSaver", (saver,), {"aput": aput, "aput_writes": _not_kept})


async def _not_kept(
    _: object, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
) -> None:
    """`aput_writes` of a saver whose class is known only where it is installed."""


@contextmanager
def kept_or_unavailable(run: str) -> Iterator[None]:
    """What the database of the checkpoints says no with, as ours."""
    try:
        yield
    except aiosqlite.Error as exc:
        raise StoreUnavailable(f"the progress of run {run} cannot be kept: {exc}") from exc
    except Exception as exc:
        if type(exc).__module__.partition(".")[0] not in ("psycopg", "psycopg_pool"):  # may not be installed
            raise
        raise StoreUnavailable(f"the progress of run {run} cannot be kept: {_first_line(exc)}") from exc


@asynccontextmanager
async def checkpoints(place: Path | str, turn: Turn = nullcontext) -> AsyncIterator[BaseCheckpointSaver[str]]:
    """The saver in the database that also holds the runs: a SQLite file, or a PostgreSQL URL. `turn` is entered around what is
    written to a file, where others of this process write to it too. Raises StoreUnavailable."""
    if str(place).startswith("postgresql://"):
        async with _shared_checkpoints(str(place)) as shared:
            yield shared
        return
    try:
        async with aiosqlite.connect(str(place), isolation_level=None) as connection:
            await connection.execute("PRAGMA busy_timeout=10000")
            saver = OneRowSaver(connection, turn)
            await saver.setup()
            yield saver
    except aiosqlite.Error as exc:
        raise StoreUnavailable(f"checkpoints cannot be kept in {place}: {exc}") from exc


@asynccontextmanager
async def _shared_checkpoints(url: str) -> AsyncIterator[BaseCheckpointSaver[str]]:
    try:
        postgres = import_module("langgraph.checkpoint.postgres.aio")
        psycopg, pools, rows = (import_module(name) for name in ("psycopg", "psycopg_pool", "psycopg.rows"))
    except ImportError:
        raise InputError("database URL: PostgreSQL needs more libraries: install lestrade[postgresql]") from None
    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": rows.dict_row, "connect_timeout": 5}
    pool = pools.AsyncConnectionPool(
        url, kwargs=options, min_size=1, max_size=8, timeout=10, open=False, check=pools.AsyncConnectionPool.check_connection
    )
    try:
        await pool.open(wait=True, timeout=10)
        try:
            async with pool.connection() as connection:
                # Asked again and again, not waited for: indexes made "concurrently" wait for whoever waits.
                for _ in range(600):
                    if (await (await connection.execute(_LOCK)).fetchone())["locked"]:
                        break
                    await asyncio.sleep(0.1)
                else:
                    raise StoreUnavailable("checkpoints cannot be kept in PostgreSQL: somebody else is making their tables")
                try:
                    await postgres.AsyncPostgresSaver(connection).setup()
                finally:
                    await connection.execute(_UNLOCK)
            yield _lean(postgres.AsyncPostgresSaver)(pool)
        finally:
            await pool.close(timeout=5)
    except (psycopg.Error, pools.PoolTimeout) as exc:
        raise StoreUnavailable(f"checkpoints cannot be kept in PostgreSQL: {_first_line(exc)}") from exc


def _first_line(exc: Exception) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0]
