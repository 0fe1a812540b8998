"""An incident as people live through it, in a real browser: the alert comes in, its page tells what happens, somebody approves on
the sidecar's page, and the report shows that it helped. With a script and without, on a wide screen and on a phone."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from agent.app.people import PeopleFile
from agent.cli.demonstration import Demonstration
from lab.scenarios import load
from tests.browsing import chromium, faults, shoot, visiting
from tests.forked import Forked
from tests.servers import free_port

pytestmark = pytest.mark.timeout(300)
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
expect.set_options(timeout=60_000)


class Console(Demonstration):
    """The demonstration with people who have to log in at the agent's pages, which know where the sidecar's are."""

    def settings(self):
        file = PeopleFile(self.folder / "agent-people.toml")
        if not file.names():
            self.token = file.add("ada")
        return super().settings().model_copy(update={"approvals_url": self.people_url, "people_file": file.path})


@dataclass
class Place:
    url: str
    demonstration: Console

    @property
    def origins(self) -> tuple[str, str]:
        return self.url, self.demonstration.people_url

    def alarm(self) -> str:
        """What Alertmanager would send; the run it opened."""
        answers = [httpx.post(f"{self.url}/webhooks/alertmanager", json=one).json() for one in self.demonstration.lab.alerts()]
        return str(answers[0]["run"])


@contextmanager
def served(demonstration: Console) -> Iterator[str]:
    """As users do, with the process beside it that works on runs; at its end it is told to end, and does so in order."""
    port, log = free_port(), demonstration.folder / "serve.log"
    given = demonstration.settings().model_dump(mode="json", exclude_defaults=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LESTRADE_")}
    environment = kept | {f"LESTRADE_{name.upper()}": str(value) for name, value in given.items()}
    command = [sys.executable, "-m", "agent.cli", "serve", "--listen", f"127.0.0.1:{port}"]
    with log.open("wb") as told:
        process = Forked(command, env=environment, cwd=demonstration.folder, stdout=told, stderr=told)
    try:
        for _ in range(600):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).json().get("runs") == "working":
                    break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("browser")
    with Console(load("memory-limit"), folder=folder) as demonstration, served(demonstration) as url:
        yield Place(url, demonstration)


def log_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)


def test_from_the_alert_to_a_report_that_shows_that_it_helped(browser, place):
    demonstration = place.demonstration
    with visiting(browser, *place.origins, viewport={"width": 1280, "height": 900}) as page:
        page.goto(place.url)
        log_in(page, demonstration.token)
        expect(page.get_by_text("Nothing was looked into yet")).to_be_visible()
        run = place.alarm()
        expect(page.locator(f"a[href='/runs/{run}']")).to_be_visible()  # without being loaded again
        shoot(page, "1-incidents")
        page.locator(f"a[href='/runs/{run}']").click()

        # Nor is this page, from here on: what it shows comes to it.
        page.evaluate("window.stayed = true")
        expect(page.get_by_role("heading", name="People are asked")).to_be_visible()
        expect(page.locator("#told")).to_contain_text("waiting for 1 approval")
        expect(page.get_by_role("heading", name="Cause and affected")).to_be_visible()
        assert page.locator("svg.picture .cause").count() == 1
        assert page.locator("pre.diff .added").filter(has_text="memory: 128Mi").count() == 1
        assert page.evaluate("window.stayed")
        assert faults(page) == []
        shoot(page, "2-live")
        fault_is_seen_on_the_other_pages(page, place, run)

        with page.context.expect_page() as opened:
            page.get_by_role("link", name="Look at it and answer").click(modifiers=["Control"])
        log_in(opened.value, demonstration.people[0].token)
        assert faults(opened.value) == []
        shoot(opened.value, "3-approval")
        approved_on_a_phone_without_any_script(browser, place, run)

        expect(page.get_by_role("heading", level=1)).to_contain_text("Repaired")
        expect(page.locator("svg.chart").first).to_be_visible()
        words = page.locator("main").inner_text()
        for said in (
            "Repaired and verified",
            "“seen, agreed”",
            "minted for",
            "step-1 performed",
            "the old token was refused",
            "seen",
        ):
            assert said in words
        assert faults(page) == []
        shoot(page, "4-repaired")
        for form, begins in (("md", "# Repaired"), ("json", "{"), ("html", "<!doctype html>")):
            with page.expect_download() as download:
                page.locator(f"a[download='{run}.{form}']").click()
            assert download.value.path().read_text().startswith(begins)
        page.get_by_role("link", name="Read it as one page").click()
        expect(page.locator("svg.chart").first).to_be_visible()
        shoot(page, "5-report")


def fault_is_seen_on_the_other_pages(page: Page, place: Place, run: str) -> None:
    """Beside the incident, in a page of the same browser."""
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Cluster", exact=True).click(modifiers=["Control"])
    other = opened.value
    expect(other.locator("article.card").first).to_be_visible()
    assert faults(other) == []
    shoot(other, "2-cluster")
    other.get_by_role("link", name="Alerts", exact=True).click()
    expect(other.locator(f".alerts a[href='/runs/{run}']").first).to_be_visible()
    assert faults(other) == []
    shoot(other, "2-alerts")
    other.close()


def approved_on_a_phone_without_any_script(browser: Browser, place: Place, run: str) -> None:
    """The same incident, seen by somebody else."""
    with visiting(browser, *place.origins, java_script_enabled=False, **PHONE) as page:
        page.goto(f"{place.url}/runs/{run}")
        log_in(page, place.demonstration.token)
        page.get_by_role("link", name="Look at it and answer").click()
        log_in(page, place.demonstration.people[0].token)
        page.get_by_label("Reason").fill("seen, agreed")
        page.get_by_role("button", name="Approve exactly this").click()
        expect(page.locator(".answers")).to_contain_text("seen, agreed")
        page.goto(f"{place.url}/runs/{run}")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Repaired")  # the page loads itself again until then
        expect(page.locator("svg.chart").first).to_be_visible()
        shoot(page, "3-repaired-phone-without-script")


def test_what_is_asked_without_any_script_is_answered_too(browser, place):
    with visiting(browser, *place.origins, java_script_enabled=False) as page:
        page.goto(f"{place.url}/runs")
        log_in(page, place.demonstration.token)
        page.get_by_label("Ask", exact=True).fill("is everything in namespace shop healthy?")
        page.get_by_role("button", name="Ask").click()
        expect(page.locator(".tags")).to_contain_text("No active fault")  # the page loads itself again until then
        expect(page.locator("main")).to_contain_text("asked by ada")
        expect(page.get_by_role("link", name="Download as Markdown")).to_be_visible()
        shoot(page, "6-asked-without-script")


def test_a_conversation_tells_its_steps_as_they_happen_and_knows_what_was_spoken_of(browser, place):
    with visiting(browser, *place.origins, viewport={"width": 1100, "height": 800}) as page:
        page.goto(f"{place.url}/chat")
        log_in(page, place.demonstration.token)
        page.get_by_label("Begin a conversation").fill("why does checkout in namespace shop fail?")
        page.keyboard.press("Enter")
        expect(page.locator("#turn-1 .reply .tag")).to_contain_text("No active fault")  # without being loaded again by anybody
        page.get_by_label("Say", exact=True).fill("what changed there?")
        page.keyboard.press("Enter")
        expect(page.locator("#turn-2 .reply")).to_contain_text("changes to namespace shop")
        expect(page.get_by_role("button", name="Forget this conversation")).to_be_visible()
        assert faults(page) == []
        shoot(page, "6-chat")


def test_every_page_can_be_read_on_a_phone_and_used_with_keys_alone(browser, place):
    with visiting(browser, *place.origins, **PHONE) as page:
        page.goto(f"{place.url}/connections")
        assert faults(page) == []
        log_in(page, place.demonstration.token)
        expect(page.get_by_text("ready: plans are judged")).to_be_visible()
        assert faults(page) == []
        shoot(page, "7-connections-phone")
        for name in ("alerts", "scan", "chat"):
            page.goto(f"{place.url}/{name}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert faults(page) == [], name
            shoot(page, f"7-{name}-phone")
        page.goto(f"{place.url}/runs")
        assert faults(page) == []
        shoot(page, "8-incidents-phone")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.innerText") == "Skip to content"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "question"
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        page.clock.install()
        page.goto(f"{place.url}/runs")
        page.locator(".runs a").first.focus()
        old = page.locator("#found").element_handle()
        page.clock.run_for(5_100)  # the list comes anew, and whoever is in it stays there
        page.wait_for_function("old => !old.isConnected", arg=old)
        assert page.evaluate("document.activeElement.matches('.runs a')")
        page.keyboard.press("Enter")
        page.wait_for_url("**/runs/run-*")
        assert faults(page) == []
        shoot(page, "9-incident-phone")
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login*")


def test_the_sidecars_pages_can_be_read_by_everybody_too(browser, place):
    with visiting(browser, *place.origins, **PHONE) as page:
        page.goto(f"{place.demonstration.people_url}/leases")
        log_in(page, place.demonstration.people[0].token)
        for name in ("leases", "journal", "policy", "stop", "reviews", "approvals?state=all"):
            page.goto(f"{place.demonstration.people_url}/{name}")
            assert faults(page) == [], name
            shoot(page, f"sidecar-{name.partition('?')[0]}-phone")
