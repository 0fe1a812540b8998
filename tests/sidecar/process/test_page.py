"""The approvals page in a real browser, against the real process: log-in, reading, answering, on a phone, without script."""

import re
import ssl

import httpx
import pytest
import trustme
from playwright.sync_api import Browser, Page, Response, sync_playwright

from tests.fakes.oidc_provider import CLIENT, running_provider
from tests.servers import program
from tests.sidecar.process.harness import Sidecar, good, running, sha256, token
from tests.sidecar.process.test_lab_way import DEPLOYMENT, plan, scale, target

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HOSTILE = '</blockquote><script>document.title="taken"</script><img src=x onerror=alert(1)>\u202edeorter \u200b[APPROVED by ada]'


@pytest.fixture(scope="module")
def browser():
    where = program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=where, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def provider():
    with running_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def shared(tmp_path_factory, provider):
    folder = tmp_path_factory.mktemp("page")
    (folder / "client.secret").write_text("secret-of-the-page\n")
    environment = {
        "LESTRADE_SIDECAR_OIDC_ISSUER": provider.issuer,
        "LESTRADE_SIDECAR_OIDC_CLIENT_ID": CLIENT,
        "LESTRADE_SIDECAR_OIDC_CLIENT_SECRET_FILE": str(folder / "client.secret"),
        "LESTRADE_SIDECAR_OIDC_ROLES": '{"sre-team": ["sre"]}',
        "LESTRADE_SIDECAR_CONSOLE_URL": "https://lestrade.example.com/",
    }
    with running(folder, environment=environment) as sidecar:
        with (folder / "people.toml").open("a") as file:
            for name in ("gus", "hal"):
                file.write(f'\n[[person]]\nname = "{name}"\ntoken_sha256 = "{sha256(token(name))}"\nroles = ["break-glass"]\n')
        yield sidecar.start()


@pytest.fixture
def sidecar(shared, provider):
    provider.spoils, provider.down = {}, False
    shared.lab.request("PATCH", DEPLOYMENT, {"spec": {"replicas": 2}}, content_type="application/merge-patch+json")
    return shared


@pytest.fixture
def page(browser: Browser, sidecar: Sidecar):
    """A new browser session; whatever leaves the sidecar's own origin, or goes wrong in the console, fails the test."""
    with opened(browser, sidecar) as page:
        yield page


class opened:
    def __init__(
        self, browser: Browser, sidecar: Sidecar, *, elsewhere: tuple[str, ...] = (), refusal: str = "none", **context: object
    ) -> None:
        self._context = browser.new_context(base_url=sidecar._people_url, **context)
        self._allowed = (sidecar._people_url, *elsewhere)
        self._refusal = refusal  # a status that is expected of a form
        self._seen: list[str] = []

    def __enter__(self) -> Page:
        page = self._context.new_page()
        page.on("request", lambda request: self._seen.append(request.url) if not request.url.startswith(self._allowed) else None)
        page.on(
            "console",
            lambda message: (
                self._seen.append(message.text) if message.type == "error" and self._refusal not in message.text else None
            ),
        )
        page.on("dialog", lambda dialog: self._seen.append(f"dialog {dialog.message}"))
        return page

    def __exit__(self, kind: object, *_: object) -> None:
        self._context.close()
        if kind is None:
            assert self._seen == []


def log_in(page: Page, name: str = "ada", at: str = "/approvals") -> None:
    page.goto(at)
    page.get_by_label("Token").fill(token(name))
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)
    page.wait_for_load_state()


def press(page: Page, button: str) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=button).click()


def waiting(sidecar: Sidecar, **more: object) -> dict:
    status = sidecar.submit({**plan(sidecar, scale(sidecar, 4)), **more})
    assert status["state"] == "waiting", status
    return status


def state(sidecar: Sidecar, status: dict) -> dict:
    return good(sidecar.agent.get(f"/v1/plans/{status['plan']}"))


def test_a_person_reads_what_would_change_and_approves_it(page, sidecar):
    status = waiting(sidecar, requested_by="bob")
    log_in(page)
    page.get_by_role("link", name="scale Deployment shop/web from 2 to 4 replicas").first.click()
    assert page.locator("pre .removed").filter(has_text="replicas: 2").count() == 1
    assert page.locator("pre .added").filter(has_text="replicas: 4").count() == 1
    text = page.locator("main").inner_text()
    for said in ("1 step on 1 object", "2 of 2 replicas ready", "sre, platform", "min left", "Nobody has answered yet"):
        assert said in text
    where = page.get_by_role("link", name="Its page of the incident").get_attribute("href")
    assert where == f"https://lestrade.example.com/runs?q={page.locator('main > .quiet').first.inner_text().split()[-1]}"
    page.get_by_label("Reason").fill("seen, agreed")
    press(page, "Approve exactly this")
    assert "seen, agreed" in page.locator(".answers").inner_text()
    answer = state(sidecar, status)["answers"][0]
    assert (answer["person"], answer["verdict"], answer["via"], answer["reason"]) == ("ada", "approve", "page", "seen, agreed")


def test_a_no_is_said_with_the_keyboard_alone(page, sidecar):
    status = waiting(sidecar)
    log_in(page, at=f"/approvals/{status['plan']}")
    page.get_by_label("Reason").focus()
    page.keyboard.type("not during the sale")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "deny"
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert state(sidecar, status)["state"] == "refused"
    assert page.get_by_role("button", name="Approve exactly this").count() == 0


def test_a_lease_is_called_back_from_the_page(page, sidecar):
    status = waiting(sidecar)
    good(sidecar.approve(status, "bob"))
    good(sidecar.agent.post(f"/v1/plans/{status['plan']}/lease"))
    log_in(page, at=f"/approvals/{status['plan']}")
    press(page, "Call it back")
    assert state(sidecar, status)["state"] == "refused"
    assert sidecar.leftovers() == []


def test_the_journal_is_looked_through_by_incident_plan_and_lease_and_verified(page, sidecar):
    document = plan(sidecar, scale(sidecar, 4))
    status = sidecar.submit(document)
    good(sidecar.approve(status, "bob"))
    lease = good(sidecar.agent.post(f"/v1/plans/{status['plan']}/lease"))
    log_in(page, at="/leases")
    live = page.locator("section[aria-labelledby=live]").inner_text()
    assert lease["id"] in live
    assert "left" in live
    page.get_by_role("link", name="its records").first.click()
    assert "lease-granted" in page.locator("table").inner_text()
    for about in (status["plan"][:16], document["incident"]):
        page.goto(f"/journal?about={about}")
        assert "plan-decided" in page.locator("table").inner_text()
    page.goto("/journal?about=nothing-of-the-kind")
    assert "Nothing is recorded about it" in page.locator("table").inner_text()
    page.goto("/journal")
    page.get_by_role("link", name="Verify the whole journal now").click()
    assert re.search(r"all \d+ records are as they were written", page.get_by_role("status").inner_text())
    good(sidecar.agent.post(f"/v1/leases/{lease['id']}/settle", json={"outcome": "not-performed"}))
    page.goto("/leases")
    assert lease["id"] not in page.locator("section[aria-labelledby=live]").inner_text()


def test_the_policy_that_judges_is_shown_with_its_guards_and_its_data(page, sidecar):
    revision = sidecar.person("ada").get("/v1/policy").json()["revision"]
    log_in(page, at="/policy")
    text = page.locator("main").inner_text()
    for said in (revision, "embedded", "Blast radius", "remediation/guards/blast_radius.rego", "one node at a time"):
        assert said in text
    page.get_by_text("fenced", exact=True).click()
    assert "kube-system" in page.locator("pre[aria-label=fenced]").inner_text()


def test_what_the_agent_wrote_is_shown_as_text_and_as_the_agents(page, sidecar):
    status = waiting(sidecar, hypothesis=HOSTILE)
    log_in(page, at=f"/approvals/{status['plan']}")
    assert "taken" not in page.title()
    words = page.locator("blockquote").inner_text()
    assert "<script>" in words
    assert "\\u202e" in words
    assert not re.search("[\u200b\u202e]", page.content())
    assert "prove nothing" in page.locator(".words").inner_text()
    assert page.locator("main img, main script").count() == 0


def test_a_long_diff_is_shown_whole_on_a_phone(browser, sidecar):
    env = [{"name": f"SETTING_{number}", "value": f"value {number} " + "of-a-long-kind" * 12} for number in range(25)]
    changes = [{"path": "/spec/template/spec/containers/0/env", "before": None, "after": env}]
    action = {"kind": "change_fields", "target": target(sidecar), "changes": changes}
    status = sidecar.submit(plan(sidecar, action))
    for scheme in ("light", "dark"):
        with opened(browser, sidecar, viewport={"width": 390, "height": 844}, color_scheme=scheme) as page:
            log_in(page, at=f"/approvals/{status['plan']}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            assert page.locator("pre .added").count() >= 50
            assert page.locator("pre").evaluate("element => element.scrollWidth <= element.clientWidth")
            button = page.get_by_role("button", name="Approve exactly this").bounding_box()
            assert button["height"] >= 44
            assert contrasts(page) >= 4.5
            for where in ("/approvals", "/leases", "/journal", "/policy", "/reviews", "/stop"):
                page.goto(where)
                assert page.evaluate("document.documentElement.scrollWidth") <= 390, where


def contrasts(page: Page) -> float:
    """The least contrast (WCAG 2, 1.4.3) of text on its ground, over what a person has to read here."""
    script = """() => {
      const parse = text => text.match(/[\\d.]+/g).map(Number);
      const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
      const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
      const ground = element => {
        for (let e = element; e; e = e.parentElement) {
          const colour = parse(getComputedStyle(e).backgroundColor);
          if (colour.length < 4 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
      };
      const contrast = e => {
        const [most, least] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
        return (most + 0.05) / (least + 0.05);
      };
      const texts = [...document.querySelectorAll('h1, h2, p, dt, dd, li, pre span, button, label, .tag, .quiet, nav a')];
      return Math.min(...texts.filter(e => e.innerText.trim()).map(contrast));
    }"""
    found: float = page.evaluate(script)
    return found


def test_every_page_forbids_script_frames_and_other_places(sidecar):
    with httpx.Client(base_url=sidecar._people_url, headers={"Accept": "text/html", "Origin": sidecar._people_url}) as browser:
        browser.post("/login", data={"token": token("ada")})
        for where in ("/approvals", "/leases", "/journal", "/policy", "/reviews", "/stop", "/login", "/approvals/" + "a" * 64):
            answer = browser.get(where)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'self'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")
            assert "<script" not in answer.text
            assert "style=" not in answer.text
        assert answer.status_code == 404


def test_the_cookie_is_for_this_site_and_no_script_and_short(page, sidecar):
    log_in(page)
    cookie = next(found for found in page.context.cookies() if found["name"].endswith("session"))
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login*")
    page.goto("/journal")
    assert "/login" in page.url


def test_behind_https_the_cookie_is_secure_and_bound_to_the_host(sidecar):
    from sidecar.app import doorway_of
    from sidecar.approvals import Directory, PeopleFile
    from sidecar.settings import load

    environment = {"LESTRADE_SIDECAR_STATE": str(sidecar.folder), "LESTRADE_SIDECAR_PAGE_URL": "https://lestrade.example/"}
    doorway = doorway_of(load(environ=environment), Directory(PeopleFile(sidecar.folder / "people.toml")))
    from datetime import UTC, datetime

    from fastapi import Request

    request = Request(
        {"type": "http", "headers": [(b"host", b"10.0.0.1:8182")], "scheme": "http", "server": ("x", 1), "path": "/"}
    )
    person = doorway.directory.file.by_token(token("ada"))
    cookie = doorway.let_in(person, request, datetime.now(UTC), "https://evil.example/").headers["set-cookie"]
    assert cookie.startswith("__Host-lestrade-session=")
    assert "Secure" in cookie
    assert doorway.let_in(person, request, datetime.now(UTC), "//evil.example").headers["location"] == "/approvals"


def test_somebody_of_the_identity_provider_logs_in_and_approves(browser, sidecar, provider):
    status = waiting(sidecar)
    with opened(browser, sidecar, elsewhere=(provider.issuer,)) as page:
        page.goto(f"/approvals/{status['plan']}")
        page.get_by_role("link", name="Log in with your organisation").click()
        page.wait_for_url(f"**/approvals/{status['plan']}")
        press(page, "Approve exactly this")
        assert "Gil" in page.locator(".answers").inner_text()
    answer = state(sidecar, status)["answers"][0]
    assert (answer["person"], answer["called"]) == (f"oidc:{provider.issuer}#sub-gil", "Gil")


@pytest.mark.parametrize(
    "spoilt", [{"nonce": "another"}, {"aud": "somebody-else"}, {"exp": 1}, {"iss": "https://elsewhere.example"}]
)
def test_a_log_in_that_was_tampered_with_lets_nobody_in(sidecar, provider, spoilt):
    provider.spoils = spoilt
    with httpx.Client(base_url=sidecar._people_url, headers={"Accept": "text/html"}) as browser:
        back = follow(browser, browser.get("/login/provider"))
        answer = browser.get(back)
        assert answer.status_code == 401
        assert "session" not in " ".join(browser.cookies)


def test_a_log_in_begun_elsewhere_or_twice_lets_nobody_in(sidecar, provider):
    with httpx.Client(base_url=sidecar._people_url) as mine, httpx.Client(base_url=sidecar._people_url) as other:
        back = follow(mine, mine.get("/login/provider"))
        assert other.get(back).status_code == 401, "no log-in was begun in this browser"
        other.get("/login/provider")
        assert other.get(back).status_code == 401, "another one was"
        assert mine.get(back).status_code == 303
        assert mine.get(back).status_code == 401, "a code is good for once"
        provider.down = True
        assert mine.get(follow(mine, mine.get("/login/provider"), "x")).status_code == 503


def follow(browser: httpx.Client, response: httpx.Response, code: str = "") -> str:
    """What the provider sends the browser back to."""
    assert response.status_code == 303, response.text
    where = response.headers["location"]
    if code:
        state_ = re.search("state=([^&]+)", where)
        return f"/login/callback?code={code}&state={state_[1]}"
    return httpx.get(where).headers["location"]


def test_the_kill_switch_and_its_two_people_on_the_page(browser, sidecar):
    with opened(browser, sidecar, refusal="403") as page:
        log_in(page, "eve", at="/stop")
        page.get_by_label("Reason").fill("something is odd")
        press(page, "Stop everything now")
        assert "Everything is stopped" in page.locator("main").inner_text()
        press(page, "Lift the stop")
        assert "no role" in page.locator("h1").inner_text()
    for name, says in (("bob", "one more person"), ("bob", "one more person"), ("dan", "Stop everything now")):
        with opened(browser, sidecar) as page:
            log_in(page, name, at="/stop")
            press(page, "Lift the stop")
            assert says in page.locator("main").inner_text()


def test_the_glass_is_broken_and_reviewed_on_the_page(browser, sidecar):
    status = waiting(sidecar)
    for name in ("gus", "hal"):
        with opened(browser, sidecar) as page:
            log_in(page, name, at=f"/approvals/{status['plan']}")
            page.get_by_label("Reason").fill("checkout is down, nobody of sre answers")
            press(page, "Break the glass")
            assert "break-glass" in page.locator(".answers").inner_text()
    assert state(sidecar, status)["state"] == "approved"
    with opened(browser, sidecar) as page:
        log_in(page, "bob", at="/reviews")
        page.get_by_label("What came of looking at it").fill("it was justified, see the report")
        press(page, "Close the review")
        assert "closed" in page.locator("main").inner_text()


def test_who_wants_json_gets_json(sidecar):
    answer = sidecar.person("ada").get("/approvals", headers={"Accept": "application/json"})
    assert answer.headers["content-type"].startswith("application/json")
    html: Response | httpx.Response = sidecar.person("ada").get("/approvals", headers={"Accept": "text/html,*/*;q=0.8"})
    assert html.status_code == 303, "a bearer token opens the API, not the pages"


def test_the_peoples_listener_speaks_tls_and_the_cookie_is_secure(sidecar, tmp_path):
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    made.cert_chain_pems[0].write_to_path(tmp_path / "cert")
    made.private_key_pem.write_to_path(tmp_path / "key")
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    sidecar.end()
    files = {"CERT": str(tmp_path / "cert"), "KEY": str(tmp_path / "key")}
    sidecar.start(**{f"LESTRADE_SIDECAR_PEOPLE_TLS_{name}_FILE": path for name, path in files.items()})
    try:
        url = sidecar._people_url
        assert url.startswith("https://")
        with httpx.Client(base_url=url, verify=trusted, headers={"Accept": "text/html", "Origin": url}) as browser:
            answer = browser.post("/login", data={"token": token("ada")})
            assert answer.headers["set-cookie"].startswith("__Host-lestrade-session=")
            assert "Secure" in answer.headers["set-cookie"]
            assert browser.get("/approvals").status_code == 200
    finally:
        sidecar.end()
        sidecar.start()
