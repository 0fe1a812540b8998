"""The connection: one engine, opened once, with the pragmas that durability needs. Knows no table's meaning."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from agent.errors import InputError, StoreUnavailable
from agent.store.tables import metadata


class Database:
    """`Database.open(url)` makes missing tables. `now` is the wall clock unless a test drives it."""

    def __init__(self, engine: AsyncEngine, path: Path, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self.path = path  # of the SQLite file: the graph's checkpoints lie beside the runs
        self.now = now

    @classmethod
    async def open(cls, url: str, *, now: Callable[[], datetime] | None = None) -> "Database":
        """`sqlite:///relative` or `sqlite:////absolute`. Raises InputError for another kind, StoreUnavailable."""
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise InputError("database URL: not a URL; expected sqlite:///path") from None
        if parsed.get_backend_name() != "sqlite" or not parsed.database:
            raise InputError(f"database URL: {parsed.get_backend_name()} is not served yet; expected sqlite:///path")
        path = Path(parsed.database)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise StoreUnavailable(f"runs cannot be kept in {path}: {exc.strerror}") from exc
        engine = create_async_engine(parsed.set(drivername="sqlite+aiosqlite"))
        event.listen(engine.sync_engine, "connect", _pragmas)
        database = cls(engine, path, now or (lambda: datetime.now(UTC)))
        async with database.transaction() as connection:
            await connection.run_sync(metadata.create_all)
        return database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Committed at the end, or not at all. Raises StoreUnavailable.

        Write first: a SQLite transaction that begins with a read cannot wait for its turn to write.
        """
        try:
            async with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as exc:
            raise StoreUnavailable(f"runs cannot be kept in {self.path}: {_plain(exc)}") from exc

    async def close(self) -> None:
        await self._engine.dispose()


def _pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "busy_timeout=10000", "foreign_keys=ON", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _plain(exc: BaseException) -> str:
    """The driver's own words, without SQL and parameters, which may hold what was stored."""
    return str(getattr(exc, "orig", None) or type(exc).__name__).splitlines()[0]
