"""Abuse of approvals and of the people's side, against the real process and the laboratory."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.fakes.oidc_provider import AUDIENCE, FakeProvider, running_provider
from tests.sidecar.process.harness import AGENT_TOKEN, Sidecar, good, running, sha256, token, wait_for
from tests.sidecar.process.test_lab_way import DEPLOYMENT, plan, scale, target

PEOPLE = {
    "ada": 'roles = ["sre"]\noidc_subject = "sub-ada"\naliases = ["ada.lovelace"]\nemail = "ada@example.com"',
    "bob": 'roles = ["sre", "operator"]',
    "dan": 'roles = ["operator"]',
    "eve": 'roles = ["viewer"]',
    "ida": 'roles = ["sre", "break-glass"]\naliases = ["ida.r"]',
    "gus": 'roles = ["break-glass"]',
    "hal": 'roles = ["break-glass", "operator"]',
    "lestrade-agent": 'roles = ["sre"]\nbot = true',
}


@dataclass
class People:
    """The sidecar under test, with its people, its identity provider and its clock."""

    sidecar: Sidecar
    provider: FakeProvider
    _listed: dict[str, str] = field(default_factory=lambda: dict(PEOPLE))

    def write(self, **changes: str | None) -> None:
        """The people file anew; None takes somebody out."""
        for name, entry in changes.items():
            self._listed[name] = entry if entry is not None else ""
        entries = [
            f'[[person]]\nname = "{name}"\ntoken_sha256 = "{sha256(token(name))}"\n{entry}\n'
            for name, entry in self._listed.items()
            if entry
        ]
        path = self.sidecar.folder / "people.toml"
        path.with_suffix(".new").write_text("".join(entries))
        path.with_suffix(".new").replace(path)

    def by_token(self, text: str) -> httpx.Client:
        return httpx.Client(
            base_url=self.sidecar._people_url, headers={"Authorization": f"Bearer {text}"}, timeout=40, follow_redirects=False
        )

    def outsider(self, subject: str, *groups: str, **claims: object) -> httpx.Client:
        return self.by_token(self.provider.token(subject, groups=list(groups), **claims))

    def pass_time(self, passed: float, moved: float = 0.0) -> None:
        self.clock.with_suffix(".new").write_text(f"{passed} {moved}")
        self.clock.with_suffix(".new").replace(self.clock)

    @property
    def clock(self) -> Path:
        return self.sidecar.folder / "clock"

    def passed(self) -> float:
        return float(self.clock.read_text().split()[0]) if self.clock.exists() else 0.0


def opened(folder: Path, provider: FakeProvider):
    environment = {
        "LESTRADE_SIDECAR_OIDC_ISSUER": provider.issuer,
        "LESTRADE_SIDECAR_OIDC_AUDIENCE": AUDIENCE,
        "LESTRADE_SIDECAR_OIDC_CLIENT_ID": "lestrade-page",
        "LESTRADE_SIDECAR_OIDC_ROLES": '{"sre-team": ["sre"], "operators": ["operator"]}',
    }
    arguments = ("-m", "tests.sidecar.process.timed", str(folder / "clock"))
    return running(folder, environment=environment, arguments=arguments)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with running_provider() as provider, opened(tmp_path_factory.mktemp("people"), provider) as sidecar:
        people = People(sidecar, provider)
        people.write()
        sidecar.start()
        yield people


@pytest.fixture
def people(shared):
    shared._listed = dict(PEOPLE)
    shared.write()
    if shared.sidecar.process.poll() is not None:
        shared.sidecar.start()
    if shared.provider.down:  # whoever was not answered does not ask again at once: another test would meet that
        shared.provider.down = False
        wait_for(
            lambda: shared.outsider("sub-gil", "sre-team").get("/approvals").status_code != 503,
            what="the provider is asked again",
        )
    shared.sidecar.lab.request("PATCH", DEPLOYMENT, {"spec": {"replicas": 2}}, content_type="application/merge-patch+json")
    yield shared
    shared._listed = dict(PEOPLE)
    shared.write()
    if shared.sidecar.process.poll() is not None:
        return
    for lease in good(shared.sidecar.person("bob").get("/v1/leases"))["leases"]:
        if lease["state"] != "settled":
            shared.sidecar.settle(lease, "unknown")


def waiting(people: People, *actions: dict, **more: object) -> dict:
    status = people.sidecar.submit({**plan(people.sidecar, *(actions or (scale(people.sidecar, 3),))), **more})
    assert status["state"] == "waiting", status
    return status


def deadly(people: People) -> dict:
    """A plan that two people have to approve: it cannot be undone."""
    pod = next(pod for pod in people.sidecar.lab.store.list("", "pods") if pod["metadata"]["namespace"] == "shop")
    named = {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "shop",
        "name": pod["metadata"]["name"],
        "uid": pod["metadata"]["uid"],
    }
    status = waiting(people, {"kind": "delete_pod", "target": named})
    assert status["approval"]["count"] == 2
    return status


def say(client: httpx.Client, status: dict, verdict: str = "approve", **over: str) -> httpx.Response:
    body = {"plan": status["plan"], "verdict": verdict, "revision": status["decision"]["revision"], "reason": ""}
    return client.post(f"/approvals/{status['plan']}", json=body | over)


def lease_of(people: People, status: dict) -> httpx.Response:
    return people.sidecar.agent.post(f"/v1/plans/{status['plan']}/lease")


def standing(people: People, status: dict) -> dict:
    return good(people.sidecar.agent.get(f"/v1/plans/{status['plan']}"))


def records(people: People, status: dict, kind: str = "") -> list[dict]:
    found = good(people.sidecar.person("bob").get("/v1/audit", params={"about": status["plan"], "limit": 1000}))["records"]
    return [record for record in found if not kind or record["kind"] == kind]


def refused(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.json()["code"] == code, response.text
    assert "token-of-" not in response.text


# C1


def test_C1_an_approval_counts_for_one_plan_under_one_policy_in_one_cluster_and_once(people):
    ada = people.sidecar.person("ada")
    one, other = waiting(people), waiting(people)
    writes = len(people.sidecar.lab.writes())
    refused(say(ada, other, plan=one["plan"]), 409, "stale-plan")
    refused(say(ada, one, revision="another"), 409, "stale-plan")
    refused(say(ada, {**one, "plan": "0" * 64}), 404, "unknown-plan")
    assert people.sidecar.submit({**plan(people.sidecar, scale(people.sidecar)), "cluster": "prod"})["state"] == "denied"
    assert good(say(ada, one))["state"] == "approved"
    refused(lease_of(people, other), 409, "not-approved")
    assert len(people.sidecar.lab.writes()) == writes

    lease = good(lease_of(people, one))
    assert good(lease_of(people, one))["id"] == lease["id"], "asking again is the same lease, not another"
    people.sidecar.perform(lease)
    people.sidecar.settle(lease)
    writes = len(people.sidecar.lab.writes())
    assert good(lease_of(people, one))["state"] == "settled"
    assert people.sidecar.perform(lease)["repeated"]
    refused(say(people.sidecar.person("bob"), one), 409, "not-waiting")
    assert len(people.sidecar.lab.writes()) == writes
    assert [record["body"]["code"] for record in records(people, one, "answer-refused")] == ["stale-plan", "not-waiting"]


# C5


@pytest.mark.parametrize("asker", ["ada", " ADA ", "ada.lovelace", "Ada@Example.com", "sub-ada"])
def test_C5_whoever_asked_does_not_approve_under_any_of_their_names(people, asker):
    status = waiting(people, requested_by=asker)
    writes = len(people.sidecar.lab.writes())
    refused(say(people.sidecar.person("ada"), status), 403, "own-request")
    refused(say(people.outsider("sub-ada", "sre-team"), status), 403, "own-request")
    assert standing(people, status)["state"] == "waiting"
    assert {record["body"]["code"] for record in records(people, status, "answer-refused")} == {"own-request"}
    assert len(people.sidecar.lab.writes()) == writes


def test_C5_a_bot_and_the_agent_itself_do_not_approve(people):
    status = waiting(people)
    refused(say(people.sidecar.person("lestrade-agent"), status), 403, "bot")
    refused(say(people.by_token(AGENT_TOKEN), status), 401, "not-authenticated")
    assert people.sidecar.agent.post(f"/approvals/{status['plan']}", json={}).status_code == 404
    assert standing(people, status)["state"] == "waiting"
    assert records(people, status, "answer-refused")[0]["body"]["code"] == "bot"


# C6


def test_C6_somebody_without_the_role_approves_nothing(people):
    status = waiting(people)
    writes = len(people.sidecar.lab.writes())
    refused(say(people.outsider("sub-new", "staff"), status), 401, "not-authenticated")
    for client in (people.sidecar.person("eve"), people.sidecar.person("gus"), people.outsider("sub-new", "operators")):
        refused(say(client, status), 403, "no-role")
        refused(say(client, status, "deny"), 403, "no-role")
    assert standing(people, status)["state"] == "waiting"
    assert len(records(people, status, "answer-refused")) == 6
    assert len(people.sidecar.lab.writes()) == writes


# C7


def test_C7_one_person_counts_once_whatever_the_account(people):
    status = deadly(people)
    ada, also_ada = people.sidecar.person("ada"), people.outsider("sub-ada", "sre-team")
    for client in (ada, ada, also_ada):
        assert good(say(client, status))["state"] == "waiting"
    same_address = people.outsider("sub-any", "sre-team", email="Ada@example.com", email_verified=True)
    refused(say(same_address, status), 401, "not-authenticated")
    people.write(ada=None, ada2='roles = ["sre"]\noidc_subject = "sub-ada"')
    state = good(say(also_ada, status))["state"]
    assert state == "waiting", "the same subject under another name: the first answer counts no longer"


def test_C7_an_account_listed_later_is_not_a_second_person(people):
    status = deadly(people)
    outsider = people.outsider("sub-kim", "sre-team")
    assert good(say(outsider, status))["state"] == "waiting"
    people.write(kim='roles = ["sre"]\noidc_subject = "sub-kim"')
    assert good(say(people.sidecar.person("kim"), status))["state"] == "waiting"
    assert good(say(people.sidecar.person("bob"), status))["state"] == "approved"


def test_C7_both_at_once_is_still_one_person(people):
    status = deadly(people)
    with ThreadPoolExecutor(8) as pool:
        clients = [people.sidecar.person("ada") if number % 2 else people.outsider("sub-ada") for number in range(8)]
        states = {came.json()["state"] for came in pool.map(lambda client: say(client, status), clients)}
    assert states == {"waiting"}
    assert len(standing(people, status)["answers"]) == 1


def test_C7_a_people_file_with_an_account_of_two_people_knows_nobody(people):
    people.write(twin='roles = ["sre"]\noidc_subject = "sub-ada"')
    assert people.sidecar.person("bob").get("/approvals").status_code == 401


# C8


def test_C8_whoever_is_struck_off_counts_neither_at_the_lease_nor_at_the_next_step(people):
    approved = waiting(people)
    assert good(say(people.sidecar.person("ada"), approved))["state"] == "approved"
    people.write(ada=None)
    refused(lease_of(people, approved), 409, "approval-lapsed")

    people.write(ada=PEOPLE["ada"])
    leased = waiting(people, scale(people.sidecar, 3), {"kind": "restart_workload", "target": target(people.sidecar)})
    assert good(say(people.sidecar.person("ada"), leased))["state"] == "approved"
    lease = good(lease_of(people, leased))
    assert people.sidecar.perform(lease, "step-1")["status"] == "performed"
    people.write(ada='roles = ["viewer"]')
    writes = len(people.sidecar.lab.writes())
    second = people.sidecar.perform(lease, "step-2")
    assert (second["status"], second["reason"]) == ("refused", "not-approved")
    assert len(people.sidecar.lab.writes()) == writes
    assert len(records(people, leased, "step-turned-away")) == 1


def test_C8_whoever_left_the_group_counts_no_longer_from_the_next_token_on(people):
    status = waiting(people, scale(people.sidecar, 3))
    now = int(time.time())
    assert good(say(people.outsider("sub-lea", "sre-team", iat=now - 30), status))["state"] == "approved"
    lease = good(lease_of(people, status))
    assert people.outsider("sub-lea", iat=now).get("/approvals").status_code == 401
    writes = len(people.sidecar.lab.writes())
    assert people.sidecar.perform(lease)["reason"] == "not-approved"
    assert len(people.sidecar.lab.writes()) == writes


def test_C8_a_membership_nobody_confirmed_for_an_hour_counts_no_longer(people):
    status = deadly(people)
    outsider = people.outsider("sub-old", "sre-team", iat=int(time.time()) - 3590, exp=int(time.time()) + 9000)
    assert good(say(outsider, status))["state"] == "waiting"
    people.pass_time(people.passed() + 20)
    assert good(say(people.sidecar.person("bob"), status))["state"] == "waiting"
    assert outsider.get("/approvals").status_code == 401


# Before the clock is moved: what an identity provider says of people holds for an hour.


def test_E4_the_kill_switch_ends_every_lease_and_two_people_lift_it(people):
    sidecar = people.sidecar
    settings = {
        "path": "/data/mode",
        "before": sidecar.lab.get("ConfigMap", "shop", "settings")["data"]["mode"],
        "after": "other",
    }
    held = []
    for action in (
        scale(sidecar, 3),
        {"kind": "change_fields", "target": target(sidecar, "ConfigMap", "settings", "v1"), "changes": [settings]},
    ):
        status = waiting(people, action)
        assert good(say(sidecar.person("ada"), status))["state"] == "approved"
        held.append(good(lease_of(people, status)))
    stopped = good(sidecar.person("eve").post("/v1/stop", json={"reason": "enough\u202e"}))
    assert [found["state"] for found in stopped["settlements"]] == ["settled", "settled"]
    assert sidecar.leftovers() == []
    writes = len(sidecar.lab.writes())
    assert {sidecar.perform(lease)["status"] for lease in held} == {"refused"}
    assert len(sidecar.lab.writes()) == writes
    sidecar.kill()
    sidecar.start()
    lifts = {"lift": True}
    operator = people.outsider("sub-op", "operators")
    assert good(operator.post("/v1/stop", json=lifts))["lifting"] == [f"oidc:{people.provider.issuer}#sub-op"]
    assert good(operator.post("/v1/stop", json=lifts))["stopped"] is True
    refused(sidecar.person("ada").post("/v1/stop", json=lifts), 403, "no-role")
    assert good(sidecar.person("dan").post("/v1/stop", json=lifts))["stopped"] is False


# C9: the gate's clock is the process's own, with an offset that the test sets; everything else is real


def test_C9_an_answer_after_the_deadline_is_refused_and_expired_stays_expired(people):
    status = waiting(people)
    people.pass_time(people.passed() + 1801)
    refused(say(people.sidecar.person("ada"), status), 409, "expired")
    assert standing(people, status)["state"] == "expired"
    people.pass_time(people.passed(), -3600)
    refused(say(people.sidecar.person("ada"), status), 409, "expired")
    assert standing(people, status)["state"] == "expired"
    people.pass_time(people.passed())


@pytest.mark.parametrize("moved", [-3600, 3600])
def test_C9_a_clock_that_was_set_approves_lends_and_performs_nothing_more(tmp_path, moved):
    with running_provider() as provider, opened(tmp_path, provider) as sidecar:
        people = People(sidecar, provider)
        people.write()
        sidecar.start()
        before, approved = waiting(people), waiting(people)
        leased = waiting(people, {"kind": "restart_workload", "target": target(sidecar)})
        assert good(say(sidecar.person("ada"), leased))["state"] == "approved"
        lease = good(lease_of(people, leased))
        assert good(say(sidecar.person("ada"), approved))["state"] == "approved"
        writes = len(sidecar.lab.writes())
        people.pass_time(0, moved)
        assert say(sidecar.person("ada"), before).json()["code"] == ("clock-unsure" if moved < 0 else "expired")
        assert lease_of(people, approved).json()["code"] in (("clock-unsure",) if moved < 0 else ("expired", "not-approved"))
        assert sidecar.perform(lease)["reason"] in ("clock-unsure", "lease-over")
        elsewhere = target(sidecar, "ConfigMap", "settings", "v1")
        faster = {
            "kind": "change_fields",
            "target": elsewhere,
            "changes": [{"path": "/data/mode", "before": "slow", "after": "fast"}],
        }
        judged = sidecar.submit(plan(sidecar, faster))
        assert judged["state"] == "denied"
        assert "clock-unsure" in [reason["rule"] for reason in judged["decision"]["reasons"]]
        assert sidecar.person("ada").get("/readyz").status_code == 503
        kinds = {write.path.split("/")[-2] for write in sidecar.lab.writes()[writes:] if write.method == "PATCH"}
        assert "deployments" not in kinds
        # A no and the kill switch never wait for a clock.
        people.pass_time(0, 0)
        assert good(sidecar.person("eve").post("/v1/stop", json={"reason": "the clock"}))["stopped"] is True


# C10


def test_C10_a_no_wins_before_and_after_a_yes_until_the_lease(people):
    first = waiting(people)
    assert good(say(people.sidecar.person("ada"), first))["state"] == "approved"
    assert good(say(people.sidecar.person("bob"), first, "deny"))["state"] == "refused"
    refused(lease_of(people, first), 409, "not-approved")
    other = waiting(people)
    assert good(say(people.sidecar.person("bob"), other, "deny"))["state"] == "refused"
    refused(say(people.sidecar.person("ada"), other), 409, "not-waiting")
    assert good(say(people.sidecar.person("bob"), other, "deny"))["state"] == "refused", "saying it again changes nothing"
    assert say(people.sidecar.person("bob"), other).json()["state"] == "refused", "a no is never taken back"


def test_C10_a_no_after_the_lease_takes_the_rights_back_at_once(people):
    status = waiting(people)
    say(people.sidecar.person("ada"), status)
    lease = good(lease_of(people, status))
    refused(say(people.sidecar.person("eve"), status, "deny"), 403, "no-role")
    good(say(people.sidecar.person("bob"), status, "deny"))
    # By the time that the no is answered: nobody has to wait for a round of the reaper.
    assert people.sidecar.leftovers() == []
    writes = len(people.sidecar.lab.writes())
    assert people.sidecar.perform(lease)["status"] == "refused"
    assert len(people.sidecar.lab.writes()) == writes
    assert {"answer", "lease-settled"} <= {record["kind"] for record in records(people, status)}


# C11


def test_C11_no_answer_is_expired_and_told_as_such(people):
    status = waiting(people)
    people.pass_time(people.passed() + 1801)
    told = standing(people, status)
    assert (told["state"], told["reason"]) == ("expired", "nobody answered in time")
    refused(lease_of(people, status), 409, "not-approved")
    assert [record["kind"] for record in records(people, status)].count("plan-expired") == 1


# C14


def test_C14_fifty_cards_in_a_minute_are_not_dealt(people):
    sidecar = people.sidecar
    sidecar.end()
    people.pass_time(people.passed() + 7200)
    sidecar.start(
        LESTRADE_SIDECAR_MOST_CARDS_A_MINUTE="10",
        LESTRADE_SIDECAR_MOST_CARDS_AN_HOUR="15",
        LESTRADE_SIDECAR_MOST_CARDS_WAITING="20",
    )
    try:
        plans = [plan(sidecar, scale(sidecar, 3)) for _ in range(50)]
        with ThreadPoolExecutor(4) as pool:
            dealt = list(pool.map(sidecar.submit, plans))
        assert [status["state"] for status in dealt].count("waiting") == 10
        rules = {status["decision"]["reasons"][-1]["rule"] for status in dealt if status["state"] == "denied"}
        assert rules == {"too-many-cards"}
        assert len(good(sidecar.person("ada").get("/approvals"))["approvals"]) == 10
        people.pass_time(people.passed() + 61)
        later = [sidecar.submit(plan(sidecar, scale(sidecar, 3)))["state"] for _ in range(10)]
        assert later.count("waiting") == 5, "an hour takes so many for one namespace, however slowly they come"
    finally:
        sidecar.end()
        people.pass_time(people.passed() + 7200)


# C15


def test_C15_a_request_outlives_a_restart_with_nothing_implied_and_another_channel_works(people):
    sidecar = people.sidecar
    one, two = waiting(people), deadly(people)
    assert good(say(sidecar.person("ada"), two))["state"] == "waiting"
    sidecar.kill()
    sidecar.start()
    assert [standing(people, status)["state"] for status in (one, two)] == ["waiting", "waiting"]
    assert [len(standing(people, status)["answers"]) for status in (one, two)] == [0, 1]
    refused(lease_of(people, one), 409, "not-approved")
    people.provider.down = True  # one channel away: the others go on
    assert "approved" in sidecar.command("approvals", "approve", two["plan"][:12], name="bob").stdout
    assert good(say(sidecar.person("ada"), one))["state"] == "approved"


def test_C15_an_identity_provider_that_is_down_lets_nobody_in(people):
    people.provider.down = True
    people.sidecar.kill()
    people.sidecar.start()
    refused(people.outsider("sub-gil", "sre-team").get("/approvals"), 503, "identity-unavailable")
    assert people.sidecar.person("ada").get("/approvals").status_code == 200


# C16


def test_C16_the_glass_is_broken_by_two_people_for_minutes_loudly_and_looked_at_by_another(people):
    sidecar = people.sidecar
    status = waiting(people)
    short = status["plan"][:12]
    why = ("--reason", "checkout is down and nobody of sre answers")

    def breaks(name: str):
        return sidecar.command("approvals", "break-glass", short, *why, name=name)

    assert breaks("ada").returncode == 1  # sre, but not of that role
    assert sidecar.command("approvals", "break-glass", short, "--reason", "now", name="gus").returncode == 1
    assert "one more person" in breaks("gus").stdout
    assert "one more person" in breaks("gus").stdout
    assert standing(people, status)["state"] == "waiting"
    writes = len(sidecar.lab.writes())
    refused(lease_of(people, status), 409, "not-approved")
    assert len(sidecar.lab.writes()) == writes
    assert "approved" in breaks("hal").stdout

    lease = good(lease_of(people, status))
    lasts = httpx_time(lease["expires_at"]) - httpx_time(lease["granted_at"])
    assert lasts <= 301
    loud = records(people, status, "glass-broken")
    assert [(record["body"]["people"], record["body"]["lease_seconds"] <= 300) for record in loud] == [(["gus", "hal"], True)]
    wait_for(lambda: any('"glass broken"' in line for line in sidecar.lines), what="the log says so")
    sidecar.settle(lease)

    review = sidecar.command("approvals", "reviews").stdout
    assert short in review
    assert "checkout is down" in review
    closing = ("approvals", "reviews", "--close", short, "--note", "it was justified, see the report")
    assert sidecar.command(*closing, name="hal").returncode == 1, "not by those who broke it"
    assert sidecar.command(*closing, name="eve").returncode == 1
    assert short in sidecar.command("approvals", "reviews").stdout
    assert "looked at by bob" in sidecar.command(*closing, name="bob").stdout
    assert short not in sidecar.command("approvals", "reviews").stdout
    assert len(records(people, status, "glass-reviewed")) == 1


def test_C16_what_policy_denies_no_glass_opens_and_who_asked_breaks_none(people):
    sidecar = people.sidecar
    fenced = {**target(sidecar), "namespace": "kube-system"}
    denied = sidecar.submit(plan(sidecar, {"kind": "restart_workload", "target": fenced}))
    assert denied["state"] == "denied"

    def breaks(name: str, status: dict) -> httpx.Response:
        body = {"plan": status["plan"], "revision": status["decision"]["revision"], "reason": "everything is on fire"}
        return sidecar.person(name).post(f"/v1/glass/{status['plan']}", json=body)

    for name in ("gus", "hal"):
        refused(breaks(name, denied), 404, "unknown-plan")
    own = waiting(people, requested_by="ida.r")
    refused(breaks("ida", own), 403, "own-request")
    lapsed = waiting(people)
    assert good(breaks("gus", lapsed))["state"] == "waiting"
    people.write(gus='roles = ["viewer"]')
    assert good(breaks("hal", lapsed))["state"] == "waiting", "whoever lost the role counts no longer"
    stopped = waiting(people)
    assert good(breaks("hal", stopped))["state"] == "waiting"
    assert good(say(sidecar.person("ada"), stopped, "deny"))["state"] == "refused", "one no is enough"
    refused(breaks("ida", stopped), 409, "not-waiting")


def httpx_time(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


ANONYMOUS = (
    ("GET", "/approvals"),
    ("GET", "/approvals/" + "a" * 64),
    ("POST", "/approvals/" + "a" * 64),
    ("GET", "/v1/leases"),
    ("GET", "/v1/audit"),
    ("GET", "/v1/stop"),
    ("POST", "/v1/stop"),
    ("POST", "/v1/glass/" + "a" * 64),
    ("GET", "/v1/reviews"),
    ("POST", "/v1/reviews/" + "a" * 64),
)


def test_D6_without_credentials_nothing_is_shown_and_nothing_is_done(people):
    url = people.sidecar._people_url
    forged = people.provider.token("sub-ada", aud="somebody-else")
    for headers in (
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": f"Bearer {AGENT_TOKEN}"},
        {"Authorization": f"Bearer {forged}"},
    ):
        with httpx.Client(base_url=url, headers=headers) as client:
            for method, path in ANONYMOUS:
                refused(client.request(method, path, json={} if method == "POST" else None), 401, "not-authenticated")
    assert good(people.sidecar.person("bob").get("/v1/stop"))["stopped"] is False
    for text in (token("ada"), token("bob")):
        answer = people.sidecar.agent.get("/v1/plans/" + "a" * 64, headers={"Authorization": f"Bearer {text}"})
        assert answer.status_code == 401
    recent = good(people.sidecar.person("bob").get("/v1/audit", params={"limit": 1000}))["records"]
    assert any(record["kind"] == "refused" and record["body"]["status"] == 401 for record in recent)


def test_D6_a_session_opens_pages_only_and_its_forms_come_from_its_own_pages(people):
    url = people.sidecar._people_url
    status = waiting(people)
    where = f"/approvals/{status['plan']}"
    with httpx.Client(base_url=url, headers={"Accept": "text/html"}, follow_redirects=False) as browser:
        assert browser.get(where).headers["location"].startswith("/login")
        form = {"plan": status["plan"], "revision": status["decision"]["revision"], "verdict": "approve", "csrf": "x"}
        assert browser.post(f"{where}/answer", data=form, headers={"Origin": url}).status_code == 401
        assert browser.post("/login", data={"token": token("ada")}, headers={"Origin": "https://evil.example"}).status_code == 403
        assert browser.post("/login", data={"token": token("ada")}).status_code == 403
        assert browser.post("/login", data={"token": "guess"}, headers={"Origin": url}).status_code == 401
        assert browser.post("/login", data={"token": token("ada")}, headers={"Origin": url}).status_code == 303
        page = browser.get(where).text
        csrf = page.split('name="csrf" value="')[1].split('"')[0]
        for data, origin in (
            (form, url),
            ({**form, "csrf": csrf}, "https://evil.example"),
            ({**form, "csrf": csrf}, "null"),
            ({**form, "csrf": ""}, url),
        ):
            assert browser.post(f"{where}/answer", data=data, headers={"Origin": origin}).status_code == 403
        assert browser.post(f"{where}/answer", json={**form, "csrf": csrf}, headers={"Origin": url}).status_code == 415
        assert browser.post(where, json=form, headers={"Accept": "*/*"}).status_code == 401, "a cookie is nothing to the API"
        assert browser.get("/v1/audit", headers={"Accept": "*/*"}).status_code == 401
        assert standing(people, status)["state"] == "waiting"
        tampered = dict(browser.cookies)
        name, value = next(iter(tampered.items()))
        for forged in (value[:-1] + ("0" if value[-1] != "0" else "1"), value.split(".")[0] + ".", "." + value, "x"):
            answer = httpx.get(f"{url}{where}", headers={"Accept": "text/html"}, cookies={name: forged}, follow_redirects=False)
            assert answer.status_code == 303
        people.write(ada=None)
        assert browser.get(where).status_code == 303, "whoever is struck off is logged in no longer"
        people.write(ada=PEOPLE["ada"])
        assert browser.post(f"{where}/answer", data={**form, "csrf": csrf}, headers={"Origin": url}).status_code == 303
        assert standing(people, status)["answers"][0]["via"] == "page"
    assert token("ada") not in json.dumps(records(people, status)) + "".join(people.sidecar.lines)


def test_D6_what_no_browser_sends_is_refused_and_never_a_fault_of_ours(people):
    url = people.sidecar._people_url
    bodies = (b"", b"\xff\xfe", b"a=b&" * 5000, b"csrf=%C3%A9&verdict=approve", b"token=%00", b"x" * 2_000_000)
    with httpx.Client(base_url=url, headers={"Accept": "text/html", "Origin": url}, follow_redirects=False) as browser:
        assert browser.post("/login", data={"token": token("ada")}).status_code == 303
        for path in (
            "/stop",
            "/logout",
            "/login",
            f"/reviews/{'a' * 64}",
            f"/approvals/{'a' * 64}/answer",
            "/approvals/x/answer",
        ):
            for body in bodies:
                came = browser.post(path, content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
                assert 400 <= came.status_code < 500, (path, body[:20], came.status_code)
        for host in ("[", "a:b:c", "x y", "[::1", "\u00e9".encode()):
            for path in ("/login", "/approvals", "/login/callback?code=x"):
                assert browser.get(path, headers={"Host": host}).status_code < 500
            assert browser.post("/login", headers={"Host": host}, data={"token": token("ada")}).status_code == 403
        for path in (
            "/approvals/%00",
            "/journal?before=%00",
            "/journal?before=" + "9" * 30,
            "/login?goes_to=//evil",
            "/reviews/%2e%2e",
        ):
            assert browser.get(path).status_code < 500
    assert good(people.sidecar.person("bob").get("/v1/stop"))["stopped"] is False


def test_D6_guessing_tokens_is_slowed_down(people):
    url = people.sidecar._people_url
    with httpx.Client(base_url=url, headers={"Accept": "text/html", "Origin": url}) as browser:
        codes = [
            browser.post("/login", data={"token": f"guess-{number}"}, headers={"X-Forwarded-For": f"10.0.0.{number}"}).status_code
            for number in range(12)
        ]
        assert codes[-1] == 429
        assert codes.count(401) <= 10
    assert people.sidecar.person("ada").get("/approvals").status_code == 200, "and nobody else is kept out"
