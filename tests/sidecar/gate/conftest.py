"""The gate on both databases: every test of this folder runs on SQLite and on a real PostgreSQL."""

from collections.abc import Callable, Iterator

import pytest

from tests.servers import PostgresServer, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Each call gives the URL of an empty database, "" for a SQLite file in the test's own folder."""
    if request.param == "sqlite":
        yield lambda: ""
        return
    server: PostgresServer = request.getfixturevalue("postgres")

    def fresh() -> str:
        server.drop()
        return server.fresh()

    yield fresh
    server.drop()
