"""The book of alerts and the look over the cluster as pages: what they show, to whom, and how often they look."""

import asyncio
import re
from dataclasses import replace
from urllib.parse import quote

from agent.app.lookout import KEPT, Lookout
from agent.app.people import PeopleFile
from agent.domain.incident import Alert
from agent.domain.objects import Ref
from agent.domain.scan import Scan, Trouble
from agent.errors import ClusterUnreachable
from agent.stages.receive import Notification
from tests.agent.app.visitor import service
from tests.fakes.agent_world import START, STORAGE, Script

HOSTILE = "<script>alert(1)</script>\u202e"
NARROWED = ("state=resolved", "done=left", "severity=critical", "ns=bank", "q=watchdog", "ns=sho", "done=x")


async def notified(http, *alerts: Alert, group: str = "g") -> None:
    await http.shop.intake(Notification(alerts=alerts, group_key=group))


def alert(number: int, *, name: str = "", resolved: bool = False, **labels: str) -> Alert:
    name = name or f"Alert{number}"
    return Alert(name=name, labels={"alertname": name, **labels}, fingerprint=f"{number:016x}", resolved=resolved)


def shown(page: str) -> list[str]:
    return re.findall(r"<strong>(.*?)</strong>", page)


async def test_a_link_in_somebody_elses_notification_leads_to_the_incident_or_to_the_book(tmp_path):
    async with service(tmp_path, Script(answer="never")) as http:
        await notified(http, alert(1, namespace="shop", severity="critical"), alert(2, name="Watchdog", severity="none"))
        run = next(row.run for row in await http.shop.book.latest(http.shop.reader.name, limit=9) if row.run)
        asked = [f"{1:016x}", f"{2:016x}", "0" * 8, "//evil.example", "x" * 5000]
        answers = [await http.get(f"/alerts/{quote(one, safe='')}") for one in asked]
        book = await http.read(answers[1].headers["location"])

    places = [answer.headers.get("location", "") for answer in answers]
    assert places[0] == f"/runs/{run}"
    assert shown(book) == ["Watchdog"]
    assert all(place.startswith("/alerts?q=") for place in places[1:3])
    assert not any("//" in place for place in places)


async def test_the_book_says_what_was_done_with_each_alert_and_why(tmp_path):
    async with service(tmp_path, Script(answer="never")) as http:
        await notified(
            http,
            alert(1, namespace="shop", severity="critical", pod=HOSTILE),
            alert(2, name="Watchdog", severity="none"),
            alert(3, namespace="bank", severity="warning", resolved=True),
        )
        page = await http.read("/alerts")
        run = (await http.shop.book.latest(http.shop.reader.name, limit=9))[0].run
        found = {
            query: shown(await http.read(f"/alerts?{query}"))
            for query in (
                "state=resolved",
                "done=left",
                "severity=critical",
                "ns=bank",
                "q=watchdog",
                f"q={run}",
                "ns=sho",
                "done=x",
            )
        }

    assert sorted(shown(page)) == ["Alert1", "Alert3", "Watchdog"]
    assert "Opened an incident" in page
    assert f'href="/runs/{run}"' in page
    assert "says that alerting works" in page
    assert "Over before it was taken up" in page
    assert "<script>alert" not in page
    assert "&lt;U+202E&gt;" in page
    assert found["state=resolved"] == ["Alert3"]
    assert sorted(found["done=left"]) == ["Alert3", "Watchdog"]
    assert found["severity=critical"] == found[f"q={run}"] == ["Alert1"]
    assert found["ns=bank"] == ["Alert3"]
    assert found["q=watchdog"] == ["Watchdog"]
    assert found["ns=sho"] == []
    assert len(found["done=x"]) == 3


async def test_the_book_is_paged_and_no_alert_is_left_out_between(tmp_path):
    async with service(tmp_path, Script(answer="never")) as http:
        await notified(http, *(alert(number, namespace="shop") for number in range(53)))
        whole = await http.read("/alerts?ns=shop")
        rest = await http.read(re.search('href="(/alerts\\?[^"]+)"', whole)[1].replace("&amp;", "&"))
        odd = await http.get("/alerts?before=never~1&state=x")

    first, second = shown(whole), shown(rest)
    assert (len(first), len(second), len({*first, *second})) == (50, 3, 53)
    assert odd.status_code == 200


async def test_the_cluster_is_looked_over_and_each_cause_can_be_asked_about(tmp_path):
    hostile = replace(STORAGE, finding=replace(STORAGE.finding, statement=f"It says {HOSTILE}"))
    troubles = (
        Trouble(cause=STORAGE.finding.cause, effect="down", roots=(STORAGE,), victims=(Ref("Service", "shop", "checkout"),)),
        Trouble(cause="", effect="at risk", roots=(hostile,) * 9),
    )
    found = replace(scan(), outcome="fault", troubles=troubles, unready=1, gaps=(("Secret objects", "no rights"),))

    async def look() -> Scan:
        return replace(found, namespaces=("shop", "bank"))

    async with service(tmp_path) as http:
        http.app.state.lookout = Lookout(look)
        page = await http.read("/scan")
        question = re.search('name="question" value="([^"]+)"', page)[1]
        asked = await http.fill("/ask", where="/scan", question=question)
        row = await http.shop.store.row(asked.headers["location"].rpartition("/")[2])
        elsewhere = await http.read("/scan?ns=bank")

    assert "1 of 1 workloads lacks pods; 1 cause found." in page
    assert STORAGE.finding.statement in page
    assert "Felt by Service shop/checkout" in page
    assert "in 9 places" in page
    assert "Secret objects: no rights" in page
    assert "<script>alert" not in page
    assert (row.incident.question, row.incident.look_only) == (question, True)
    assert "Nothing of it concerns bank" in elsewhere


async def test_the_look_over_the_cluster_is_a_scan_of_what_the_reader_shows(tmp_path):
    async with service(tmp_path) as http:
        page = await http.read("/scan")
        unseen = await http.read("/scan?ns=%3Cb%3E")

    assert "could not be looked over" not in page
    assert re.search("[0-9]+ workloads?", page)
    assert "<b>" not in unseen


async def test_whoever_is_not_known_sees_no_alert_and_sets_off_no_look(tmp_path):
    async with service(tmp_path, people_file=PeopleFile(tmp_path / "people.toml").path) as http:
        answers = [await http.get(path) for path in ("/alerts", "/scan", "/chat")]

    assert [answer.status_code for answer in answers] == [303] * 3


def scan() -> Scan:
    return Scan(
        cluster="lab", at=START, outcome="healthy", namespaces=("shop",), troubles=(), seen={"Pod": 1}, workloads=1, unready=0
    )


async def test_many_who_look_at_once_and_again_are_one_look_for_a_while():
    clock, looks = [0.0], []

    async def look() -> Scan:
        looks.append(1)
        await asyncio.sleep(0)
        return scan()

    lookout = Lookout(look, elapsed=lambda: clock[0])
    sights = await asyncio.gather(*(lookout.sight() for _ in range(10)))
    clock[0] += KEPT - 1
    again = await lookout.sight()
    assert all(one.scan == scan() and not one.is_looking for one in (*sights, again))
    assert len(looks) == 1

    clock[0] += 1
    await lookout.sight()
    assert len(looks) == 2


async def test_a_long_look_keeps_nobody_waiting_and_the_last_one_is_shown_meanwhile():
    clock, go = [0.0], asyncio.Event()

    async def look() -> Scan:
        await go.wait()
        return scan()

    lookout = Lookout(look, elapsed=lambda: clock[0])
    first = await lookout.sight(patience=0)
    assert (first.scan, first.is_looking) == (None, True)

    go.set()
    assert (await lookout.sight()).scan is not None
    go.clear()
    clock[0] += KEPT
    later = await lookout.sight(patience=0)
    assert (later.scan is not None, later.is_looking) == (True, True)
    await lookout.close()


async def test_what_cannot_be_looked_at_is_said_and_tried_again():
    clock, broken = [0.0], [True]

    async def look() -> Scan:
        if broken[0]:
            raise ClusterUnreachable("nothing answers at https://cluster")
        return scan()

    lookout = Lookout(look, elapsed=lambda: clock[0])
    sight = await lookout.sight()
    assert (sight.scan, sight.trouble) == (None, "nothing answers at https://cluster")

    broken[0] = False
    clock[0] += KEPT
    sight = await lookout.sight()
    assert (sight.scan, sight.trouble) == (scan(), "")
