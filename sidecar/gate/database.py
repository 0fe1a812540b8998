"""The engine of the one database, SQLite or PostgreSQL, and turns that hold over every process on a PostgreSQL.

Both databases give the gate the same thing: a transaction that writes is alone from its first statement on (BEGIN IMMEDIATE;
on PostgreSQL READ COMMITTED, and the row of the journal's head locked first), and it is on disk when it is committed.
Knows no table.
"""

import fcntl
import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from sidecar.errors import JournalUnavailable, SettingsError
from sidecar.statements import printable, without_nul

CONNECT_SECONDS = 5
POOL_SECONDS = 10  # longer than this nobody waits for a connection: the answer is 503
_POSTGRES = (
    "default_transaction_isolation=read committed",
    "synchronous_commit=on",
    "statement_timeout=10s",
    "idle_in_transaction_session_timeout=60s",
    "client_min_messages=error",
)
_LENGTH = 24_000_000  # 300 verdicts, as many as are carried over at once (see sidecar.gate.checkpoints)
_PAGES = 10_000  # 40 MB of SQLite's log: then whoever commits next carries it over (see sidecar.gate.checkpoints)
TURN_SECONDS = 60  # what another process may take for one step or one revocation


def engine_for(url: str) -> Engine:
    """Every commit is on disk before it returns. Raises SettingsError for a bad URL."""
    with _as_setting():
        name = make_url(url).get_backend_name()
        if name not in ("sqlite", "postgresql"):
            raise ValueError(name)
        engine = _postgres(url, "lock_timeout=10s") if name == "postgresql" else _sqlite(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "before_cursor_execute", _without_nul, retval=True)
    return engine


@contextmanager
def _as_setting() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError:
        raise SettingsError(
            "setting LESTRADE_SIDECAR_DATABASE_URL names a database whose driver is not installed: install "
            "lestrade[postgresql], and write postgresql+psycopg://user@host/database"
        ) from None
    except (SQLAlchemyError, ImportError, ValueError):
        # Not in the library's words: they would repeat the URL, password and all.
        raise SettingsError(
            "setting LESTRADE_SIDECAR_DATABASE_URL is no URL of a database that can be used: write sqlite:///path or "
            "postgresql+psycopg://user@host/database"
        ) from None


def _sqlite(url: str) -> Engine:
    """Whoever is alone has the connection that was used last: what another one wrote, it would have to read anew."""
    return create_engine(url, pool_use_lifo=True) if make_url(url).database not in (None, "", ":memory:") else create_engine(url)


def _postgres(url: str, *settings: str, **more: Any) -> Engine:
    options = " ".join(f"-c {setting.replace(' ', chr(92) + ' ')}" for setting in (*_POSTGRES, *settings))
    return create_engine(
        url,
        pool_pre_ping=True,  # a server that was started again is not an error
        pool_timeout=POOL_SECONDS,
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "options": options,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
        },
        **more,
    )


def _configure_sqlite(connection: Any, _: object) -> None:  # the driver's own connection
    connection.isolation_level = None  # we say BEGIN ourselves: the driver would say it late, and never IMMEDIATE
    for pragma in (
        "busy_timeout=5000",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"wal_autocheckpoint={_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def carried_over(engine: Engine) -> bool:
    """What stands in SQLite's log goes into the database as far as no reader still needs it; False where that failed. There
    is nothing to be done on PostgreSQL."""
    if engine.dialect.name != "sqlite":
        return True
    try:
        connection = engine.raw_connection()
        try:
            driver: Any = connection.driver_connection
            driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        finally:
            connection.close()
    except (SQLAlchemyError, sqlite3.Error):
        return False
    return True


def _begin_sqlite(connection: Connection) -> None:
    statement = "BEGIN IMMEDIATE" if connection.info.get("writes") else "BEGIN"
    driver: Any = connection.connection.driver_connection
    try:
        driver.execute(statement)  # there is no result: SQLAlchemy's own way takes ten times as long
    except sqlite3.Error as exc:
        raise OperationalError(statement, None, exc) from exc


def _without_nul(_: Connection, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> tuple[str, Any]:
    """PostgreSQL keeps no NUL in a text, and what others wrote may hold one: it is kept, and looked for, as an escape."""
    return statement, [_clean(given) for given in parameters] if many else _clean(parameters)


def _clean(parameters: Any) -> Any:
    values = parameters.values() if isinstance(parameters, dict) else parameters
    if not any(isinstance(value, str) and "\x00" in value for value in values):
        return parameters
    if isinstance(parameters, dict):
        return without_nul(parameters)
    return tuple(printable(value) for value in values)


def lengthened(engine: Engine) -> None:
    """SQLite's log made as long as it may soon be: a commit that is written over what is there takes half as long as one
    that makes a file longer, and where the file system is busy with that, a tenth. Nothing is committed by it: what does
    not fit into memory is put into the log, and is taken back. Raises nothing: it is only slower without."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return
    with suppress(SQLAlchemyError, sqlite3.Error, OSError):
        connection = engine.raw_connection()
        driver: Any = connection.driver_connection
        try:
            (kept,) = driver.execute("PRAGMA cache_size").fetchone()
            driver.execute("PRAGMA cache_size=20")
            try:
                driver.execute("BEGIN IMMEDIATE")
                driver.execute("CREATE TABLE room_in_the_log (room BLOB)")
                driver.execute("INSERT INTO room_in_the_log VALUES (zeroblob(?))", (_LENGTH,))
            finally:
                driver.rollback()  # of nothing, where it did not come to a transaction
                driver.execute(f"PRAGMA cache_size={kept}")
        finally:
            connection.close()
        descriptor = os.open(f"{engine.url.database}-wal", os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sole_use(url: str) -> int | None:
    """SQLite is for one sidecar: an open lock file's descriptor, None for a database that more may share.

    Raises SettingsError while another sidecar works on the same file. The lock ends with the process, however it ends.
    """
    with _as_setting():
        name = make_url(url).database
    if not url.startswith("sqlite") or not name or name == ":memory:":
        return None
    try:
        descriptor = os.open(Path(name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise SettingsError(f"database {name}: {exc.strerror}") from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise SettingsError(f"another sidecar works on {name}: SQLite is for one, PostgreSQL for several") from None
    return descriptor


class AdvisoryTurns:
    """One at a time for each name over all processes on one PostgreSQL: its session-level advisory locks.

    They end with the connection, so a process that dies holds nothing; `assure` tells one that lost its connection.
    """

    def __init__(self, url: str) -> None:
        settings = f"lock_timeout={TURN_SECONDS}s", "statement_timeout=0"
        self._engine = _postgres(url, *settings, pool_size=5, max_overflow=5, isolation_level="AUTOCOMMIT")
        self._mine = threading.local()

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Raises JournalUnavailable when the turn cannot be had."""
        number = int.from_bytes(hashlib.sha256(f"lestrade turn {name}".encode()).digest()[:8], "big", signed=True)
        outermost = getattr(self._mine, "connection", None) is None
        try:
            if outermost:
                self._mine.connection = self._engine.connect()
            self._mine.connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": number})
        except SQLAlchemyError as exc:
            self._leave(outermost, broken=outermost)
            raise JournalUnavailable(f"another sidecar is at work on {name[:20]}, or the database does not answer") from exc
        broken = False
        try:
            yield
        finally:
            try:
                self._mine.connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": number})
            except SQLAlchemyError:
                broken = True  # the end of the connection was the end of the turn
            self._leave(outermost, broken=broken)

    def assure(self) -> None:
        """Whether the turns of this thread still are its own; raises JournalUnavailable."""
        connection = getattr(self._mine, "connection", None)
        if connection is None:
            return
        try:
            connection.execute(text("SELECT 1"))
        except SQLAlchemyError as exc:
            raise JournalUnavailable("the turn was lost with the connection to the database") from exc

    def close(self) -> None:
        self._engine.dispose()

    def _leave(self, outermost: bool, *, broken: bool) -> None:
        connection = getattr(self._mine, "connection", None)
        if connection is not None and broken:
            connection.invalidate()
        if outermost:
            self._mine.connection = None
            if connection is not None:
                with suppress(SQLAlchemyError):
                    connection.close()


def turns_of(url: str) -> AdvisoryTurns | None:
    """None where one process is alone with the database."""
    return AdvisoryTurns(url) if make_url(url).get_backend_name() == "postgresql" else None
