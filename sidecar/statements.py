"""The few statements that every verdict and every lease needs, put together once for each database and handed to its driver
as they are.

SQLAlchemy's own way through a statement takes ten times as long as the database, several times for each verdict. What it
does for every other statement is done here as well: the driver's errors come out as SQLAlchemy's, and a text with NUL is
kept, and looked for, as an escape. Knows no table.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ClauseElement, Connection
from sqlalchemy.exc import DBAPIError, NoResultFound


class Statement:
    """`wanted`: with named parameters; or one for each database, by the dialect's name."""

    def __init__(self, wanted: ClauseElement | dict[str, ClauseElement]) -> None:
        self._wanted = wanted
        self._known: dict[str, _Compiled] = {}

    def one(self, connection: Connection, given: dict[str, Any]) -> tuple[Any, ...]:
        """The first row; raises NoResultFound when there is none."""
        return _there(_first(self._executed(connection, given)))

    def first(self, connection: Connection, given: dict[str, Any]) -> tuple[Any, ...] | None:
        """The first row, None when there is none."""
        return _first(self._executed(connection, given))

    def glance(self, connection: Connection, given: dict[str, Any]) -> tuple[Any, ...]:
        """As `one`, but on SQLite it begins no transaction, which takes twice as long as the read."""
        alone = connection.dialect.name == "sqlite"
        return _there(_first(self._handed(connection, given) if alone else self._executed(connection, given)))

    def mapping(self, connection: Connection, given: dict[str, Any]) -> dict[str, Any] | None:
        """The first row by the names of its columns, None when there is none."""
        cursor = self._executed(connection, given)
        names, row = [column[0] for column in cursor.description], cursor.fetchone()
        cursor.close()
        return dict(zip(names, row, strict=True)) if row is not None else None

    def all(self, connection: Connection, given: dict[str, Any]) -> list[tuple[Any, ...]]:
        cursor = self._executed(connection, given)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        cursor.close()
        return rows

    def change(self, connection: Connection, given: dict[str, Any]) -> int:
        """How many rows were changed."""
        return int(self._executed(connection, given).rowcount)

    def _executed(self, connection: Connection, given: dict[str, Any]) -> Any:
        if not connection.in_transaction():
            connection.begin()  # as SQLAlchemy does before a first statement: ends with the connection
        return self._handed(connection, given)

    def _handed(self, connection: Connection, given: dict[str, Any]) -> Any:
        dialect = connection.dialect
        known = self._known.get(dialect.name) or self._compiled(connection)
        values = {**known.constants, **without_nul(given)}
        driver: Any = connection.connection.driver_connection
        try:
            return driver.execute(known.sql, values if known.order is None else [values[name] for name in known.order])
        except dialect.loaded_dbapi.Error as exc:
            raise DBAPIError.instance(known.sql, None, exc, dialect.loaded_dbapi.Error, dialect=dialect) from exc

    def _compiled(self, connection: Connection) -> "_Compiled":
        dialect = connection.dialect
        wanted = self._wanted[dialect.name] if isinstance(self._wanted, dict) else self._wanted
        compiled: Any = wanted.compile(dialect=dialect)
        known = _Compiled(
            sql=str(compiled),
            order=tuple(compiled.positiontup) if compiled.positional else None,
            constants={name: bound.value for name, bound in compiled.binds.items() if not bound.required},
        )
        self._known[dialect.name] = known
        return known


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    """`order`: of the parameters, None where they go by name; `constants`: values that stand in the statement itself."""

    sql: str
    order: tuple[str, ...] | None
    constants: dict[str, Any]


def _first(cursor: Any) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = cursor.fetchone()
    cursor.close()  # an open one would keep SQLite's view of the database as it was
    return row


def _there(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    if row is None:
        raise NoResultFound("a row that is always there is not")
    return row


def without_nul(given: dict[str, Any]) -> dict[str, Any]:
    """PostgreSQL keeps no NUL in a text, and what others wrote may hold one."""
    for value in given.values():
        if isinstance(value, str) and "\x00" in value:
            return {name: printable(each) for name, each in given.items()}
    return given


def printable(value: Any) -> Any:
    return value.replace("\x00", "\\u0000") if isinstance(value, str) else value
