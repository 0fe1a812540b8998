"""Runs that are worked on in a process beside the service: either may die; nothing is lost, and nobody is left."""

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from agent.app.apart import Apart
from agent.app.crew import Crew
from agent.app.labour import MOST_BYTES, Hands, Told, Watch
from agent.app.meters import Meters
from agent.app.workers import Workers
from agent.chat.looking import Seen, Wanted
from agent.chat.streams import Excerpt
from agent.domain.document import to_document
from agent.domain.objects import Ref
from agent.errors import ClusterUnreachable, LestradeError
from agent.settings import Settings
from agent.store import Database, SqlEventLog
from tests.agent.app.test_meters import value
from tests.e2e import storm
from tests.fakes.agent_shop import fake_shop
from tests.fakes.agent_world import Script
from tests.servers import free_port


@asynccontextmanager
async def crew_of(folder: Path, **settings):
    """A crew, its shop, and the other end of its stream."""
    ours, theirs = socket.socketpair()
    keeper = subprocess.Popen(["sleep", "60"])  # noqa: ASYNC220
    async with fake_shop(folder, Script(), settings=Settings(**settings)) as shop:
        crew = Crew(Apart(ours, keeper.pid), shop, Meters())
        task = asyncio.create_task(crew.run())
        reader, writer = await asyncio.open_connection(sock=theirs)
        try:
            yield crew, shop, reader, writer
        finally:
            writer.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            keeper.poll()  # the crew has ended it


def tell(writer: asyncio.StreamWriter, **words: object) -> None:
    writer.write(json.dumps(words).encode() + b"\n")


async def until(true) -> None:
    async with asyncio.timeout(30):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_is_told_of_another_process_is_counted_and_half_a_line_is_nothing(tmp_path):
    async with crew_of(tmp_path) as (crew, _, reader, writer):
        tell(writer, hello=2**22 + 1)  # no pid: whatever it is might be ended
        assert await reader.readline() == b"go\n"
        writer.write(b'{"worked": "repai')  # killed in the middle of it
        writer.write(b"\n")
        tell(writer, owner="somebody")
        tell(writer, at_work=2)
        tell(writer, noted="stage", name="gather", attributes={"run": "run-1"}, failed="", seconds=0.5)
        tell(writer, worked="repaired", seconds=1.5)

        async def counted() -> bool:
            return value(crew._meters, "runs_finished_total", outcome="repaired") == 1

        await until(counted)
        assert crew.state == "working"
        assert value(crew._meters, "runs_working") == 2
        assert value(crew._meters, "stage_seconds_count", stage="gather") == 1


async def test_whoever_follows_a_run_hears_at_once_what_another_process_has_appended(tmp_path):
    async with crew_of(tmp_path) as (_, shop, _, writer):
        row, _ = await shop.take(question="why?")
        shop.events._look_seconds = 600  # it is told, or the test waits for too long
        followed = shop.events.follow(row.id, after=1)
        heard = asyncio.create_task(anext(followed))
        await asyncio.sleep(0.05)
        other = await Database.open(f"sqlite:///{shop.database.place}")
        await SqlEventLog(other).append(row.id, "gather", "read 3 objects")
        await other.close()
        tell(writer, told=True)

        async with asyncio.timeout(30):
            assert (await heard).text == "read 3 objects"
        await followed.aclose()


async def test_what_a_dead_process_had_claimed_is_free_at_once_but_not_when_it_dies_again_and_again(tmp_path):
    async with crew_of(tmp_path) as (crew, shop, _, writer):
        rows = [(await shop.take(question=f"why {number}?"))[0] for number in range(2)]

        async def die(owner: str, deaths: int) -> bool:
            """Whether its run is free."""
            run = rows[deaths - 1].id
            assert await shop.store.claim(run, owner, lease_seconds=600)
            tell(writer, owner=owner)
            tell(writer, died="by signal 9", again_in=0.5)
            tell(writer, at_work=deaths)  # is counted when all is done that the death is a reason for

            async def told() -> bool:
                return value(crew._meters, "runs_working") == deaths

            await until(told)
            assert value(crew._meters, "worker_deaths_total") == deaths
            return run in [run for run, _ in await shop.store.waiting(shop.reader.name, limit=9)]

        assert await die("first", 1)
        assert not await die("second", 2)  # it may be the run that kills it: others go first, until the claim lapses


async def test_a_run_that_somebody_waits_for_is_done_by_the_other_process_and_what_went_wrong_there_is_what_it_was(tmp_path):
    async with crew_of(tmp_path) as (crew, shop, reader, writer):
        row, _ = await shop.take(question="why?")
        asked = [asyncio.create_task(crew.work(row))]
        tell(writer, owner="somebody")  # nothing is asked of it before
        async with asyncio.timeout(30):
            assert await reader.readline() == f"do {row.id}\n".encode()
            assert not await crew.work(row)  # it is at it
            tell(writer, did=row.id, worked=True, kind="", error="")
            assert await asked[0]
            for kind, told in (
                ("ClusterUnreachable", ClusterUnreachable),
                ("ModelUnavailable", LestradeError),
                ("os", LestradeError),
            ):
                failing = asyncio.create_task(crew.work(row))
                assert await reader.readline() == f"do {row.id}\n".encode()
                tell(writer, did=row.id, worked=False, kind=kind, error="nothing answers")
                with pytest.raises(told, match="nothing answers"):
                    await failing


async def test_a_run_whose_process_died_may_be_asked_for_again_and_one_that_is_called_off_is_stopped_there(tmp_path):
    async with crew_of(tmp_path) as (crew, shop, reader, writer):
        row, _ = await shop.take(question="why?")
        tell(writer, owner="somebody")
        async with asyncio.timeout(30):
            lost = asyncio.create_task(crew.work(row))
            await reader.readline()
            tell(writer, died="by signal 9", again_in=0.5)
            assert not await lost
            again = asyncio.create_task(crew.work(row))
            tell(writer, owner="another")
            assert await reader.readline() == f"do {row.id}\n".encode()
            again.cancel()
            assert await reader.readline() == f"stop {row.id}\n".encode()
            tell(writer, did=row.id, worked=False, kind="", error="")
            with pytest.raises(asyncio.CancelledError):
                await again


class Written:
    """A stream of which each line is kept."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def is_closing(self) -> bool:
        return False

    def write(self, line: bytes) -> None:
        self.lines.append(line)

    @property
    def told(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines]


async def test_hands_do_what_they_are_told_stop_it_and_say_what_came_of_it(tmp_path):
    written = Written()
    async with fake_shop(tmp_path, Script()) as shop:
        rows = [(await shop.take(question=f"why {number}?"))[0] for number in range(3)]
        finished = shop.work

        async def work(row) -> bool:
            if row.id == rows[1].id:
                raise ClusterUnreachable("nothing answers")
            if row.id == rows[2].id:
                await asyncio.Event().wait()
            return await finished(row)

        shop.work = work
        hands = Hands(shop, Workers(shop, Meters()), Told(written))
        for row in rows:
            hands.begin(row.id)

        async def said() -> bool:
            return len(written.lines) == 2

        await until(said)
        hands.stop(rows[2].id)
        await hands.close()

    assert {line["did"]: (line["worked"], line["kind"], line["error"]) for line in written.told} == {
        rows[0].id: (True, "", ""),
        rows[1].id: (False, "ClusterUnreachable", "nothing answers"),
        rows[2].id: (False, "", ""),
    }


SEEN = Seen(subject=Ref("Pod", "shop", "web"), excerpts=(Excerpt(title="log of shop/web", lines=("née " * 30_000,)),))


class Glancing:
    """Sees what it is given, or what goes wrong."""

    def __init__(self, *seen) -> None:
        self.seen = list(seen)
        self.wanted = []

    async def look(self, wanted):
        self.wanted.append(wanted)
        seen = self.seen.pop(0)
        if isinstance(seen, Exception):
            raise seen
        if seen == "nothing yet":
            await asyncio.Event().wait()
        return seen


async def test_what_is_read_without_a_run_is_read_by_the_other_process_and_what_goes_wrong_there_is_what_it_was(tmp_path):
    wanted = Wanted(what="logs", question="show me the logs of web")
    async with crew_of(tmp_path) as (crew, _, reader, writer):
        tell(writer, owner="somebody")
        for failure, told in ((None, to_document(SEEN)), (ClusterUnreachable("nothing answers"), None)):
            looking = asyncio.create_task(crew.look(wanted))
            word, number, asked = (await reader.readline()).decode().split(" ", 2)
            assert (word, json.loads(asked)["question"]) == ("see", wanted.question)
            tell(writer, saw=int(number), what=told, kind=type(failure).__name__ if failure else "", error=str(failure))
            if failure is None:
                assert await looking == SEEN
            else:
                with pytest.raises(ClusterUnreachable, match="nothing answers"):
                    await looking

        dying = asyncio.create_task(crew.scan())
        assert (await reader.readline()).endswith(b" null\n")
        tell(writer, died="by signal 9", again_in=30.0)
        with pytest.raises(LestradeError, match="ended meanwhile"):
            await dying

        tell(writer, owner="another")
        left = asyncio.create_task(crew.scan())
        number = (await reader.readline()).split()[1]
        left.cancel()
        assert await reader.readline() == b"leave %s\n" % number


async def test_what_is_wanted_of_a_process_that_died_as_soon_as_it_was_there_is_asked_of_the_next_one(tmp_path):
    async with crew_of(tmp_path) as (crew, _, reader, writer):
        looking = asyncio.create_task(crew.scan())
        await asyncio.sleep(0)
        tell(writer, owner="somebody")
        tell(writer, died="by signal 9", again_in=0.5)
        tell(writer, hello=2**22 + 1)  # it heeds nothing before `go`
        assert await reader.readline() == b"go\n"
        tell(writer, owner="another")
        assert (await reader.readline()).endswith(b" null\n")
        looking.cancel()


async def test_whoever_reads_for_the_service_says_what_it_saw_and_leaves_what_nobody_wants():
    written, wanted = Written(), Wanted(what="logs", question="show me the logs of web")
    glances = Glancing(SEEN, ClusterUnreachable("nothing answers"), ValueError("secret"), "nothing yet")
    watch = Watch(glances, Told(written))
    for number in range(4):
        watch.begin(str(number), json.dumps(to_document(wanted)))

    async def said() -> bool:
        return len(written.lines) == 3

    await until(said)
    watch.leave("3")
    await watch.close()

    assert glances.wanted == [wanted] * 4
    told = {line["saw"]: line for line in written.told}
    assert told[0]["what"] == to_document(SEEN)
    assert (told[1]["kind"], told[1]["error"]) == ("ClusterUnreachable", "nothing answers")
    assert "secret" not in told[2]["error"]
    assert sorted(told) == [0, 1, 2]


async def test_a_run_that_is_called_off_before_its_first_step_is_told_of_and_may_be_asked_for_again(tmp_path):
    written = Written()
    async with fake_shop(tmp_path, Script()) as shop:
        row, _ = await shop.take(question="why?")
        hands = Hands(shop, Workers(shop, Meters()), Told(written))
        hands.begin(row.id)
        hands.stop(row.id)  # both lines may come in one turn

        async def said(times: int) -> bool:
            return len(written.lines) == times

        await until(lambda: said(1))
        hands.begin(row.id)
        await until(lambda: said(2))
    assert [line["worked"] for line in written.told] == [False, True]


async def test_an_error_that_is_long_or_no_text_is_told_in_a_line_that_is_heard(tmp_path):
    written = Written()
    async with fake_shop(tmp_path, Script()) as shop:
        row, _ = await shop.take(question="why?")

        async def work(_) -> bool:
            raise ClusterUnreachable("\ud800" + "no answer, " * 10_000)

        shop.work = work
        hands = Hands(shop, Workers(shop, Meters()), Told(written))
        hands.begin(row.id)

        async def said() -> bool:
            return len(written.lines) == 1

        await until(said)
    assert len(written.lines[0]) < 60_000
    assert written.told[0]["kind"] == "ClusterUnreachable"


async def test_a_question_that_a_process_died_of_waits_until_no_other_such_run_is_worked_on(tmp_path):
    written = Written()
    async with fake_shop(tmp_path, Script()) as shop:
        rows = [(await shop.take(question=f"why {number}?"))[0] for number in range(2)]
        for row in rows:
            assert await shop.store.claim(row.id, "dead", lease_seconds=60)
        await shop.store.let_go("dead")
        free, finished = asyncio.Event(), shop.work

        async def work(row) -> bool:
            await free.wait()
            return await finished(row)

        shop.work = work
        hands = Hands(shop, Workers(shop, Meters()), Told(written))

        async def said(times: int) -> bool:
            return len(written.lines) == times

        for row in rows:
            hands.begin(row.id)
        await until(lambda: said(1))
        later = str(written.told[0]["did"])
        free.set()
        await until(lambda: said(2))
        hands.begin(later)
        await until(lambda: said(3))
    assert [line["worked"] for line in written.told] == [False, True, True]
    assert [line["did"] == later for line in written.told] == [True, False, True]


async def test_where_nobody_begins_it_again_runs_are_worked_on_in_the_service(tmp_path):
    async with crew_of(tmp_path) as (crew, shop, _, writer):
        row, _ = await shop.take(question="why is checkout slow?")
        crew.wake()  # what is not read any more makes of an end a broken connection
        writer.close()

        async def finished() -> bool:
            return (await shop.store.row(row.id)).state == "finished"

        await until(finished)
        assert crew.state == "gone"


async def test_a_line_that_is_too_long_is_nothing_and_the_next_is_heard(tmp_path):
    async with crew_of(tmp_path) as (crew, _, _, writer):
        tell(writer, noted="stage", name="x" * (MOST_BYTES + 1), attributes={}, failed="", seconds=0.5)
        tell(writer, owner="somebody")

        async def heard() -> bool:
            return crew.state == "working"

        await until(heard)


async def test_a_process_that_stands_still_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("agent.app.crew.LOOK_SECONDS", 0.01)
    still = await asyncio.create_subprocess_exec("sleep", "60")
    async with crew_of(tmp_path) as (_, _, _, writer):
        tell(writer, hello=still.pid)
        async with asyncio.timeout(30):
            assert await still.wait() == -signal.SIGKILL


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Linux only: who is whose child is read from /proc")
async def test_a_service_whose_workers_are_killed_goes_on_and_leaves_nobody_behind_when_it_is_killed_itself(tmp_path):
    url, port = f"sqlite:///{tmp_path / 'agent.sqlite'}", free_port()
    service = storm.Process("serve", tmp_path, str(port), **storm.settings_of(url, workers=2) | {"claim_seconds": 3600})
    sent: Counter[str] = Counter()
    with storm.processes(service):
        await storm.up(service, port)
        assert service.running is not None
        (keeper,) = children(service.running.pid)
        (worker,) = children(keeper)
        pouring = asyncio.create_task(storm.pour(port, 0.3, sent, []))
        await asyncio.sleep(0.2)
        os.kill(worker, signal.SIGKILL)
        await pouring
        await storm.drained(url, within=60)  # what it held is not waited for: a claim would last an hour
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            ready, counted = (await http.get("/readyz")).json(), (await http.get("/metrics")).text
        left = [*children(keeper), keeper]
        service.kill()

        async def nobody() -> bool:
            return not any(map(is_alive, left))

        await until(nobody)
    await storm.assert_accounted_for(url, tmp_path, sent)

    assert ready == {"status": "ready", "runs": "working"}
    assert "lestrade_worker_deaths_total 1.0" in counted
    assert len(left) == 2
