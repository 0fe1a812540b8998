"""Connections to the database that stay open from one use to the next: to open one, as SQLAlchemy does it, takes several
times as long as what is asked of SQLite. Knows no table.

Only for a file of SQLite: where a server may have been started anew, each connection is looked at before it is used.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, QueuePool

MOST = 2  # the rest of the pool is for whoever comes at the same time


class Kept:
    """Safe to be used from several threads: each use has a connection to itself, the one that was used last where there is
    one: what another one wrote, it would have to read anew."""

    def __init__(self, engine: Engine, *, most: int = MOST) -> None:
        self._engine = engine
        self._most = most if engine.dialect.name == "sqlite" and isinstance(engine.pool, QueuePool) else 0
        self._idle: list[Connection] = []

    @contextmanager
    def one(self, *, writes: bool = False) -> Iterator[Connection]:
        """What is begun on it and not committed is taken back. One that failed is not used again. `writes`: whoever begins is
        alone from the beginning."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._engine.connect()
        try:
            connection.info["writes"] = writes
            yield connection
            if connection.in_transaction():
                connection.rollback()
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < self._most:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """What is in use at this moment ends with its use."""
        self._most = 0
        while self._idle:
            self._idle.pop().close()
