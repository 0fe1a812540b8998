"""SQLite's log is carried over when it is quiet, or after many commits, and never by whoever waits for a record."""

import sqlite3
import threading

from sidecar.gate.checkpoints import MANY, carry_over_for_ever
from tests.fakes.sidecar_gate import make_world


class Ledger:
    """Told how many commits there are at each look; after the last it ends."""

    def __init__(self, *commits: int, fails: int = 0) -> None:
        self._left, self._fails = list(commits), fails
        self.carried: list[int] = []
        self.ended = threading.Event()
        self._at = self.settled = 0

    @property
    def commits(self) -> int:
        self._at = self._left.pop(0)
        if not self._left:
            self.ended.set()
        return self._at

    def lengthen(self) -> None:
        assert self.carried == []

    def settle(self) -> None:
        self.settled += 1

    def carry_over(self) -> bool:
        self.carried.append(self._at)
        self._fails -= 1
        return self._fails < 0


def carried(ledger: Ledger) -> list[int]:
    carry_over_for_ever(ledger, ledger.ended, pause=0.001)
    return ledger.carried


def test_it_is_done_once_when_nothing_was_committed_since_the_last_look():
    assert carried(Ledger(0, 0, 5, 9, 9, 9, 9, 10, 10)) == [9, 10]


def test_the_anchor_is_brought_onto_the_disk_at_each_look():
    ledger = Ledger(0, 1, 1)
    carried(ledger)
    assert ledger.settled == 3


def test_where_it_is_never_quiet_it_is_done_after_many_commits():
    assert carried(Ledger(MANY - 1, MANY + 1, MANY + 2, MANY + 3, 2 * MANY + 2)) == [MANY + 1, 2 * MANY + 2]


def test_what_could_not_be_done_is_tried_again():
    assert carried(Ledger(3, 3, 3, 3, fails=2)) == [3, 3, 3]


def test_commits_do_it_not_and_nothing_is_lost_by_it(tmp_path):
    world = make_world(tmp_path)
    log = next(tmp_path.rglob("*.db-wal"))
    for _ in range(40):
        world.desk.ledger.one("test", actor="one", body={"text": "x" * 200_000})
    assert log.stat().st_size > 40 * 200_000  # beyond the 4 MB at which SQLite does it by itself
    reader = sqlite3.connect(log.with_name(log.name.removesuffix("-wal")))
    assert world.desk.ledger.carry_over()
    assert world.desk.ledger.verify()[1] is None
    world.desk.ledger.one("test", actor="one", body={})
    assert reader.execute("SELECT count(*) FROM journal WHERE kind = 'test'").fetchone() == (41,)
    busy, pages, _ = reader.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    assert (busy, pages < 100) == (0, True)  # the log began anew
    reader.close()


def test_the_log_is_as_long_as_it_may_soon_be_before_it_is_needed(tmp_path):
    world = make_world(tmp_path)
    log = next(tmp_path.rglob("*.db-wal"))
    database = log.with_name(log.name.removesuffix("-wal"))
    before = database.stat().st_size
    world.desk.ledger.lengthen()
    length = log.stat().st_size
    assert length > 7_000_000
    for _ in range(40):
        world.desk.ledger.one("test", actor="one", body={"text": "x" * 50_000})
    assert world.desk.ledger.verify()[1] is None
    assert (log.stat().st_size, database.stat().st_size) == (length, before)


def test_a_log_that_cannot_be_made_longer_keeps_nobody_from_working(tmp_path):
    world = make_world(tmp_path)
    with world.desk.ledger.write() as transaction:
        thread = threading.Thread(target=world.desk.ledger.lengthen)
        thread.start()
        transaction.record("test", actor="one", body={})
    thread.join(10)
    assert world.desk.ledger.verify()[1] is None
