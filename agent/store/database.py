"""The connection: one engine, opened once, with what durability needs on either database. Knows no table's meaning."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from agent.errors import InputError, StoreUnavailable
from agent.store.line import Doorway, Line
from agent.store.tables import metadata

EXPECTED = "expected sqlite:///path or postgresql://user@host/database"
MAKING = 6_114_091  # PostgreSQL's advisory locks are numbers: two that start at once would both make the tables
_ALONE = text("SELECT pg_advisory_xact_lock(6114092)")
WRITERS = 4  # threads of one process that write to PostgreSQL at the same time
POOL_SECONDS = 10  # longer than this nobody waits for a connection
_POSTGRES = (
    "default_transaction_isolation=read\\ committed",
    "statement_timeout=30s",
    "lock_timeout=15s",
    "idle_in_transaction_session_timeout=60s",
    "client_min_messages=error",
)

Made = TypeVar("Made")


class Database:
    """`Database.open(url)` makes missing tables. `now` is the wall clock unless a test drives it.

    `transaction` is for whoever reads, or writes one thing now and then; `perform` for what is written all the time.
    """

    def __init__(self, engine: AsyncEngine, writing: tuple[Engine, Engine], place: str, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self.place = place  # the SQLite file, or PostgreSQL's URL as its own driver takes it: checkpoints lie beside the runs
        self.now = now
        self._doorway = None if self.is_shared else Doorway(Path(f"{place}-line"))
        self.line = Line(self._doorway)  # of those that write to the SQLite file, the checkpoints too
        self._writing = writing  # what waits for the disk, and what does not
        self._threads = ThreadPoolExecutor(WRITERS if self.is_shared else 1, thread_name_prefix="lestrade-store")

    @property
    def is_shared(self) -> bool:
        """Whether processes on other machines may use it too."""
        return self._engine.dialect.name == "postgresql"

    @property
    def shown(self) -> str:
        """Where it is, for people: without a password, which may stand in the query too."""
        return self._engine.url.set(query={}).render_as_string(hide_password=True) if self.is_shared else self.place

    @classmethod
    async def open(cls, url: str, *, now: Callable[[], datetime] | None = None) -> "Database":
        """`sqlite:///relative`, `sqlite:////absolute`, `postgresql://user@host/database`. Raises InputError for another kind,
        StoreUnavailable."""
        parsed = _parsed(url)
        clock = now or (lambda: datetime.now(UTC))
        made = _postgres(parsed) if parsed.get_backend_name() == "postgresql" else _sqlite(parsed)
        database = cls(*made, clock)
        try:
            async with database.transaction() as connection:
                if database.is_shared:
                    await connection.execute(text(f"SELECT pg_advisory_xact_lock({MAKING})"))
                await connection.run_sync(_as_ours, database.shown)
        except BaseException:
            await database.close()
            raise
        return database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Committed at the end, or not at all. Raises StoreUnavailable.

        Write first: a SQLite transaction that begins with a read cannot wait for its turn to write.
        """
        with self._kept():
            async with self._engine.begin() as connection:
                yield connection

    async def perform(
        self, work: Callable[[Connection], Made], *, alone: bool = False, first: bool = False, soon: bool = False
    ) -> Made:
        """A transaction that writes, whole, in one go: `work` has its connection to itself and must not wait for anything else.

        It is done in one turn of a thread: otherwise each statement is a turn of the loop, or of a thread of its own, while
        nobody else may write. With SQLite all stand in line for it. `alone`: as with `turn`. `first`: somebody waits for it.
        `soon`: that it outlives this process is enough, and not yet that it outlives the database's machine: it is on the disk
        with the next that is not so, since what is written stays in order. Raises StoreUnavailable.
        """
        loop = asyncio.get_running_loop()
        with self._kept():
            async with self.line.turn(first=first) if alone or not self.is_shared else nullcontext():
                return await loop.run_in_executor(self._threads, self._perform, work, alone, soon)

    def _perform(self, work: Callable[[Connection], Made], alone: bool, soon: bool) -> Made:
        with self._writing[soon].begin() as connection:
            if not self.is_shared:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            elif alone:
                connection.execute(_ALONE)
            return work(connection)

    @contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as exc:
            raise StoreUnavailable(f"runs cannot be kept in {self.shown}: {_plain(exc)}") from exc

    @asynccontextmanager
    async def making(self) -> AsyncIterator[None]:
        """While somebody makes tables in a shared database that are not ours, one process at a time."""
        async with self.transaction() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({MAKING})"))
            yield

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may read, decide and write: no other turn, of any process, is between its begin and its end."""
        async with self.line.turn(), self.transaction() as connection:  # our own wait in line: SQLite would have them poll
            if self.is_shared:
                await connection.execute(_ALONE)
            else:
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    def insert(self, table: Table) -> "sqlite.Insert | postgresql.Insert":
        """An insert that knows what to do on conflict."""
        return postgresql.insert(table) if self.is_shared else sqlite.insert(table)

    async def close(self) -> None:
        await self._engine.dispose()
        for engine in self._writing:
            await asyncio.get_running_loop().run_in_executor(self._threads, engine.dispose)
        self._threads.shutdown()
        if self._doorway is not None:
            self._doorway.close()


def is_away(exc: BaseException) -> bool:
    """Whether it is the database that does not answer, or is not let write, and not what was to be written."""
    return isinstance(exc.__cause__, OperationalError | InterfaceError | PoolTimeout | OSError)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InputError(f"database URL: not a URL; {EXPECTED}") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise InputError(f"database URL: {parsed.get_backend_name()} is not served; {EXPECTED}")
    if parsed.database in (None, "", ":memory:"):  # what ends with a connection keeps nothing
        raise InputError(f"database URL: names no {'file' if parsed.get_backend_name() == 'sqlite' else 'database'}; {EXPECTED}")
    return parsed


def _sqlite(url: URL) -> tuple[AsyncEngine, tuple[Engine, Engine], str]:
    path = Path(url.database or "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StoreUnavailable(f"runs cannot be kept in {path}: {exc.strerror}") from exc
    engine = create_async_engine(url.set(drivername="sqlite+aiosqlite"))
    direct = url.set(drivername="sqlite+pysqlite")
    lasting, soon = (create_engine(direct, pool_size=1, max_overflow=0) for _ in range(2))
    for one in (engine.sync_engine, lasting, soon):
        event.listen(one, "connect", _pragmas if one is not soon else partial(_pragmas, synchronous="NORMAL"))
    return engine, (lasting, soon), str(path)


def _postgres(url: URL) -> tuple[AsyncEngine, tuple[Engine, Engine], str]:
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise InputError(f"database URL: the driver {url.drivername} is not used here; write postgresql://user@host/database")
    driven = url.set(drivername="postgresql+psycopg")
    with _installed():
        # A server that was started again is not an error.
        engine = create_async_engine(driven, pool_pre_ping=True, pool_timeout=POOL_SECONDS, connect_args=_arguments("on"))
        lasting, soon = (
            create_engine(
                driven,
                pool_size=WRITERS,
                max_overflow=0,
                pool_pre_ping=True,
                pool_timeout=POOL_SECONDS,
                connect_args=_arguments(synchronous),
            )
            for synchronous in ("on", "off")
        )
    for one in (engine.sync_engine, lasting, soon):
        event.listen(one, "before_cursor_execute", _without_nul, retval=True)
    return engine, (lasting, soon), url.set(drivername="postgresql").render_as_string(hide_password=False)


def _arguments(synchronous: str) -> dict[str, object]:
    options = " ".join(f"-c {one}" for one in (*_POSTGRES, f"synchronous_commit={synchronous}"))
    return {"connect_timeout": 5, "options": options, "tcp_user_timeout": 20_000}


@contextmanager
def _installed() -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise InputError("database URL: PostgreSQL's driver is not installed: install lestrade[postgresql]") from None


def _as_ours(connection: Connection, shown: str) -> None:
    """Tables and columns that are missing are made; nothing is written into the database of another program.

    Raises StoreUnavailable.
    """
    there = inspect(connection)
    names = set(there.get_table_names())
    ours = names & set(metadata.tables)
    if names and not ours and connection.dialect.name == "sqlite":
        raise StoreUnavailable(f"runs cannot be kept in {shown}: it is the database of another program")
    later = []
    for name in ours:
        has = {column["name"] for column in there.get_columns(name)}
        missing = [column for column in metadata.tables[name].columns if column.name not in has]
        # What came with a later version has a default that the database knows; the rest was there from the beginning.
        if foreign := sorted(column.name for column in missing if column.server_default is None):
            words = f"its table {name} has no {', '.join(foreign)}"
            raise StoreUnavailable(f"runs cannot be kept in {shown}: it is of another program or version ({words})")
        later += missing
    for column in later:
        clause = CreateColumn(column).compile(dialect=connection.dialect)
        connection.execute(text(f"ALTER TABLE {column.table.name} ADD COLUMN {clause}"))
    for table in metadata.sorted_tables:  # another process may be doing the same
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))


def _pragmas(connection: Any, _record: object, *, synchronous: str = "FULL") -> None:
    cursor = connection.cursor()
    # The first is heeded only by a file that is made just now: one of before gives space back by VACUUM alone.
    for pragma in (
        "auto_vacuum=INCREMENTAL",
        "journal_mode=WAL",
        "busy_timeout=10000",
        "foreign_keys=ON",
        f"synchronous={synchronous}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _without_nul(_: Connection, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> tuple[str, Any]:
    """PostgreSQL keeps no NUL in a text, and what others wrote may hold one: it is kept as a space."""
    return statement, [_clean(given) for given in parameters] if many else _clean(parameters)


def _clean(parameters: Any) -> Any:
    if not isinstance(parameters, dict):
        return parameters
    return {key: value.replace("\x00", " ") if isinstance(value, str) else value for key, value in parameters.items()}


def _plain(exc: BaseException) -> str:
    """The driver's own words, without SQL and parameters, which may hold what was stored."""
    return str(getattr(exc, "orig", None) or type(exc).__name__).splitlines()[0]
