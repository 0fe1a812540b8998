"""Connections that stay open between uses: the same again, clean, and none that failed."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from sidecar.gate.database import engine_for
from sidecar.gate.kept import Kept


@pytest.fixture
def kept(tmp_path):
    engine = engine_for(f"sqlite:///{tmp_path / 'kept.db'}")
    found = Kept(engine)
    with found.one() as connection, connection.begin():
        connection.execute(text("CREATE TABLE things (name TEXT)"))
    yield found
    found.close()
    assert engine.pool.checkedout() == 0
    engine.dispose()


def names(kept):
    with kept.one() as connection:
        return [row.name for row in connection.execute(text("SELECT name FROM things"))]


def test_the_same_connection_serves_again_and_sees_what_others_committed_meanwhile(kept):
    with kept.one() as first:
        assert first.execute(text("SELECT count(*) FROM things")).scalar() == 0
    with kept.one() as again, kept.one() as other:
        assert again is first
        assert other is not first
        with other.begin():
            other.execute(text("INSERT INTO things VALUES ('new')"))
    assert names(kept) == ["new"]


def test_what_was_not_committed_is_taken_back(kept):
    with kept.one() as connection:
        connection.execute(text("INSERT INTO things VALUES ('half')"))

    assert names(kept) == []


def test_a_connection_on_which_something_failed_is_not_used_again(kept):
    with pytest.raises(OperationalError), kept.one() as failed:
        failed.execute(text("no statement"))
    assert failed.closed
    assert names(kept) == []
