"""The connection: one engine, opened once, with the pragmas that durability needs. Knows no table's meaning."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateIndex, CreateTable

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
        if parsed.get_backend_name() == "sqlite" and not parsed.database:
            raise InputError("database URL: names no file; expected sqlite:///path")
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
        try:
            async with database.transaction() as connection:
                await connection.run_sync(_is_ours, path)
                for table in metadata.sorted_tables:  # another process may be doing the same
                    await connection.execute(CreateTable(table, if_not_exists=True))
                    for index in table.indexes:
                        await connection.execute(CreateIndex(index, if_not_exists=True))
        except BaseException:
            await database.close()
            raise
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


def _is_ours(connection: Connection, path: Path) -> None:
    """Nothing is written into the database of another program. Raises StoreUnavailable."""
    there = inspect(connection)
    names = set(there.get_table_names())
    ours = names & set(metadata.tables)
    for name in ours:
        if missing := set(metadata.tables[name].columns.keys()) - {column["name"] for column in there.get_columns(name)}:
            words = f"its table {name} has no {', '.join(sorted(missing))}"
            raise StoreUnavailable(f"runs cannot be kept in {path}: it is of another program or version ({words})")
    if names and not ours:
        raise StoreUnavailable(f"runs cannot be kept in {path}: it is the database of another program")


def _pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "busy_timeout=10000", "foreign_keys=ON", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _plain(exc: BaseException) -> str:
    """The driver's own words, without SQL and parameters, which may hold what was stored."""
    return str(getattr(exc, "orig", None) or type(exc).__name__).splitlines()[0]
