"""What both databases give the gate: writers alone, turns over all processes on PostgreSQL, one sidecar to a SQLite file."""

import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import Text, bindparam, func, literal, select, text

from sidecar.approvals import asking
from sidecar.approvals import store as approvals
from sidecar.errors import JournalUnavailable, SettingsError
from sidecar.gate import known
from sidecar.gate.binding import bound_to
from sidecar.gate.database import AdvisoryTurns, sole_use
from sidecar.gate.desk import Turns
from sidecar.gate.known import known_of
from sidecar.gate.lease import lease
from sidecar.gate.opening import bind_cluster
from sidecar.gate.perform import perform
from sidecar.gate.submit import submit
from sidecar.ports import ApiAnswer
from sidecar.statements import Statement
from tests.fakes.sidecar_gate import deployment, make_desk, make_world, plan, scale


@pytest.fixture
def world(tmp_path, database):
    return make_world(tmp_path, database())


def test_two_ledgers_on_one_database_append_one_after_the_other(world):
    other = make_desk(world)  # as another process has it: nothing in memory is shared
    began = threading.Event()

    def append() -> None:
        began.set()
        for _ in range(10):
            other.ledger.one("test", actor="other", body={})

    with world.desk.ledger.write() as transaction:
        thread = threading.Thread(target=append)
        thread.start()
        began.wait(5)
        time.sleep(0.1)  # the other one waits at the head
        transaction.record("test", actor="one")
    for _ in range(10):
        world.desk.ledger.one("test", actor="one", body={})
    thread.join(20)
    head, fault = world.desk.ledger.verify()
    assert (head.seq, fault) == (21, None)
    other.ledger.close()


def test_time_does_not_go_back_where_another_ledger_was_later(world):
    other = make_desk(world)
    world.clock.advance(seconds=600)
    other.ledger.one("test", actor="other", body={})
    world.clock.advance(seconds=-300)
    with world.desk.ledger.write() as transaction:
        assert transaction.now >= world.clock.now()
        assert transaction.now.isoformat() >= str(world.desk.ledger.documents()[-1]["at"]).replace("Z", "")
    other.ledger.close()


def test_a_text_with_nul_is_kept_as_an_escape_and_the_journal_stays_whole(world):
    world.desk.ledger.one("test", actor="a\x00b", body={"text": "c\x00d"})
    (record,) = world.desk.ledger.documents()
    assert (record["actor"], record["body"]) == ("a\\u0000b", {"text": "c\x00d"})
    assert world.desk.ledger.verify()[1] is None
    assert world.desk.ledger.documents(about="\x00") == []


def test_a_database_is_bound_to_the_first_cluster_it_meets(world):
    namespace = {"metadata": {"name": "kube-system", "uid": "uid-one"}}
    world.cluster.send = lambda call, credential=None: ApiAnswer(status=200, body=namespace)
    bind_cluster(world.desk.ledger, world.cluster)
    bind_cluster(world.desk.ledger, world.cluster)
    namespace["metadata"]["uid"] = "uid-two"
    with pytest.raises(SettingsError, match=r"uid-one.*uid-two"):
        bind_cluster(world.desk.ledger, world.cluster)
    with world.desk.ledger.read() as connection:
        assert bound_to(connection) == ("uid-one", "lab")
    world.cluster.send = lambda call, credential=None: ApiAnswer(status=403, body={})
    with pytest.raises(SettingsError, match="kube-system cannot be read"):
        bind_cluster(world.desk.ledger, world.cluster)


def test_a_denied_plan_is_put_again_and_no_other_is_written_over(world):
    world.judge.verdict = "deny"
    proposed = plan(scale(5))
    assert submit(proposed, desk=world.desk).state == "denied"
    with world.desk.ledger.read() as connection:
        denied = approvals.get(connection, proposed.digest)
    with world.desk.ledger.write() as transaction:
        approvals.put(transaction.connection, replace(denied, state="approved", reason=""))
    with world.desk.ledger.write() as transaction, pytest.raises(JournalUnavailable, match="meanwhile"):
        approvals.put(transaction.connection, replace(denied, reason="written over"))
    with world.desk.ledger.read() as connection:
        assert asking.counted(connection) == {"approved": 1}
    assert known_of(proposed.digest, desk=world.desk).state == "approved"
    assert known_of("0" * 64, desk=world.desk).state is None


def test_another_key_does_not_open_the_journal(world, monkeypatch):
    submit(plan(scale(5)), desk=world.desk)
    monkeypatch.setattr("tests.fakes.sidecar_gate.KEY", b"z" * 32)
    with pytest.raises(JournalUnavailable, match="audit_key_file"):
        make_desk(world)


def test_sqlite_is_for_one_sidecar(tmp_path):
    url = f"sqlite:///{tmp_path}/sidecar.db"
    assert sole_use(url) is not None
    with pytest.raises(SettingsError, match="another sidecar works on"):
        sole_use(url)
    with pytest.raises(SettingsError, match="No such file"):
        sole_use(f"sqlite:///{tmp_path}/nowhere/sidecar.db")


# turns on PostgreSQL: two objects stand for two processes


@pytest.fixture
def turns(postgres):
    url = postgres.fresh()
    pair = AdvisoryTurns(url), AdvisoryTurns(url)
    yield pair
    for one in pair:
        one.close()
    postgres.drop()


def in_background(work) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_turn_is_waited_for_over_processes_and_other_names_are_free(turns):
    one, other = turns
    seen: list[str] = []

    def second() -> None:
        with other.alone("lease-b"), other.alone("lease-a"):
            seen.append("second")

    with one.alone("lease-a"):
        with one.alone("inner"):
            pass
        thread = in_background(second)
        time.sleep(0.2)
        seen.append("first")
        one.assure()
    thread.join(10)
    assert seen == ["first", "second"]


def test_however_many_turns_the_agent_has_people_get_theirs_and_none_that_is_taken(turns):
    people = Turns(elsewhere=turns[0])
    agents = replace(people, elsewhere=turns[1])
    all_taken, over = threading.Barrier(11), threading.Event()

    def held(name: str) -> None:
        with agents.alone(name):
            all_taken.wait(60)
            over.wait(60)

    threads = [in_background(lambda number=number: held(f"lease-{number}")) for number in range(10)]  # as many as it may have
    all_taken.wait(60)
    with people.alone("plan"):
        pass

    def afterwards() -> None:
        with people.alone("lease-0"):
            pass

    waiting = in_background(afterwards)
    waiting.join(0.2)
    assert waiting.is_alive()
    over.set()
    for thread in (*threads, waiting):
        thread.join(60)
    assert not waiting.is_alive()


def test_a_turn_that_was_lost_with_its_connection_is_not_taken_for_held(turns, postgres):
    one, other = turns
    with one.alone("lease-a"):
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'")
        for _ in range(2):  # and it does not come back by itself
            with pytest.raises(JournalUnavailable, match="the turn was lost"):
                one.assure()
        with other.alone("lease-a"):
            other.assure()
    with one.alone("lease-a"):
        one.assure()


def test_a_turn_without_a_server_is_an_answer_and_nothing_is_left_behind(turns, postgres):
    one, _ = turns
    postgres.stop()
    try:
        with pytest.raises(JournalUnavailable), one.alone("lease-a"):
            pass
    finally:
        postgres.start()
    with one.alone("lease-a"):
        one.assure()


@pytest.mark.parametrize("after", [2**31, 99_999_999_999, 2**53])
def test_records_after_a_number_that_will_never_be_are_none(world, after):
    world.desk.ledger.one("test", actor="one", body={})
    assert world.desk.ledger.documents(after=after, limit=5) == []


def test_what_a_verdict_asks_fails_like_everything_else_that_asks_the_database(world):
    from_nowhere = Statement(text("SELECT 1 FROM there_is_no_such_table"))
    with pytest.raises(JournalUnavailable), world.desk.ledger.read() as connection:
        from_nowhere.first(connection, {})
    with pytest.raises(JournalUnavailable), world.desk.ledger.read() as connection:
        Statement(text("SELECT 1 WHERE 1 = 2")).one(connection, {})
    with pytest.raises(JournalUnavailable), world.desk.ledger.read() as connection:
        from_nowhere.glance(connection, {})
    with pytest.raises(JournalUnavailable), world.desk.ledger.read() as connection:
        Statement(text("SELECT 1 WHERE 1 = 2")).glance(connection, {})
    assert world.desk.ledger.verify()[1] is None


def test_what_a_verdict_asks_is_asked_with_every_value_and_without_nul(world):
    query = Statement(select(bindparam("wanted", type_=Text) + ":", literal(7)))
    with world.desk.ledger.read() as connection:
        assert query.one(connection, {"wanted": "a\x00b"}) == ("a\\u0000b:", 7)
    with pytest.raises((KeyError, JournalUnavailable)), world.desk.ledger.read() as connection:
        query.one(connection, {})


def test_a_step_that_begins_while_the_record_is_read_is_counted(world, monkeypatch):
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    world.judge.verdict = "allow"
    held = lease(submit(plan(scale(5)), desk=world.desk).plan, desk=world.desk)
    read = known.lent

    def meanwhile(*given, **more):
        perform(held.id, "step-1", desk=world.desk)
        return read(*given, **more)

    monkeypatch.setattr(known, "lent", meanwhile)

    assert len(known_of("0" * 64, desk=world.desk).history.performed) >= 1


def test_what_is_read_at_a_glance_keeps_no_view_of_the_database(world):
    count = Statement(select(func.count()).select_from(approvals.PLANS))
    with world.desk.ledger.read() as connection:
        assert count.glance(connection, {}) == (0,)
        submit(plan(scale(5)), desk=world.desk)
        assert count.glance(connection, {}) == (1,)
    with world.desk.ledger.write() as transaction:
        approvals.move(transaction.connection, plan(scale(5)).digest, was=("approved",), becomes="void", reason="")
        assert count.glance(transaction.connection, {}) == (1,), "inside of a transaction, as that sees it"


def test_what_a_verdict_changes_is_undone_with_its_transaction(world):
    def broken_off() -> None:
        with world.desk.ledger.write() as transaction:
            transaction.record("test", actor="one")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken_off()
    assert world.desk.ledger.head().seq == 0
    assert world.desk.ledger.documents() == []
