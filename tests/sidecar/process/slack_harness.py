"""The sidecar's process with the Slack channel switched on, against a fake Slack."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fakes.slack import APP, APP_TOKEN, BOT_TOKEN, CHANNEL, SECRET, TEAM, FakeSlack, send
from tests.sidecar.process.harness import Sidecar, running, sha256, token, wait_for

PEOPLE = {
    "ada": ("UADA", ("sre",)),
    "bob": ("UBOB", ("sre", "operator")),
    "eve": ("UEVE", ("viewer",)),
}
VARIABLE = "LESTRADE_SIDECAR_"


def settings_of(slack: FakeSlack, folder: Path, *, http: bool = True, socket: bool = False) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("bot", BOT_TOKEN), ("secret", SECRET), ("app", APP_TOKEN)):
        (folder / name).write_text(text + "\n")
    return {
        VARIABLE + "SLACK_BOT_TOKEN_FILE": str(folder / "bot"),
        **({VARIABLE + "SLACK_SIGNING_SECRET_FILE": str(folder / "secret")} if http else {}),
        **({VARIABLE + "SLACK_APP_TOKEN_FILE": str(folder / "app")} if socket else {}),
        VARIABLE + "SLACK_CHANNEL": CHANNEL,
        VARIABLE + "SLACK_TEAM": TEAM,
        VARIABLE + "SLACK_APP_ID": APP,
        VARIABLE + "SLACK_API_URL": slack.api_url,
    }


def write_people(sidecar: Sidecar, people: dict[str, tuple[str, tuple[str, ...]]], *more: str) -> None:
    entries = [
        f'[[person]]\nname = "{name}"\ntoken_sha256 = "{sha256(token(name))}"\nroles = {list(roles)}\nslack_user = "{user}"\n'
        for name, (user, roles) in people.items()
    ]
    (sidecar.folder / "people.toml").write_text("\n".join([*entries, *more]))


@contextmanager
def with_slack(folder: Path, *, http: bool = True, socket: bool = False, **settings: str) -> Iterator[tuple[Sidecar, FakeSlack]]:
    slack = FakeSlack().start()
    try:
        for user, _ in PEOPLE.values():
            slack.person(user)
        environment = settings_of(slack, folder / "slack", http=http, socket=socket)
        over = {VARIABLE + name.upper(): value for name, value in settings.items()}
        with running(folder, environment={**environment, **over}) as sidecar:
            write_people(sidecar, PEOPLE)
            sidecar.start()
            yield sidecar, slack
    finally:
        slack.end()


_COUNT = iter(range(1, 100_000))


def target(sidecar: Sidecar, kind: str = "Deployment", name: str = "web", api_version: str = "apps/v1") -> dict[str, Any]:
    found = sidecar.lab.get(kind, "shop", name)
    assert found is not None
    return {"apiVersion": api_version, "kind": kind, "namespace": "shop", "name": name, "uid": found["metadata"]["uid"]}


def plan(sidecar: Sidecar, *actions: dict[str, Any], **over: Any) -> dict[str, Any]:
    return {
        "incident": f"inc-{next(_COUNT)}",
        "attempt": 1,
        "cluster": "lab",
        "cause": {"slug": "oom-killed", "subject": target(sidecar)},
        "hypothesis": "too small",
        "steps": [
            {"id": f"step-{number}", "action": action, "why": "so", "expect": "better"}
            for number, action in enumerate(actions or (scale(sidecar),), start=1)
        ],
        **over,
    }


def scale(sidecar: Sidecar, replicas: int = 4) -> dict[str, Any]:
    return {"kind": "scale_workload", "target": target(sidecar), "replicas": replicas}


def delete_pod(sidecar: Sidecar) -> dict[str, Any]:
    """Cannot be undone: two people are asked."""
    pods = [found for found in sidecar.lab.store.list("", "pods") if found["metadata"]["namespace"] == "shop"]
    return {"kind": "delete_pod", "target": target(sidecar, "Pod", pods[0]["metadata"]["name"], "v1")}


def waiting(sidecar: Sidecar, slack: FakeSlack, *actions: dict[str, Any], **over: Any) -> tuple[str, dict[str, Any]]:
    """A plan that waits for people, by its digest, and its card."""
    status = sidecar.submit(plan(sidecar, *actions, **over))
    assert status["state"] == "waiting", status
    return status["plan"], card_of(slack, status["plan"])


def card_of(slack: FakeSlack, plan: str) -> dict[str, Any]:
    found: dict[str, Any] = wait_for(lambda: slack.card_of(plan), what="the card is posted")
    return found


def click(sidecar: Sidecar, slack: FakeSlack, card: dict[str, Any], action: str, user: str, **over: Any) -> Any:
    return send(sidecar._people_url, slack.click(card, action, user, **over))


def records(sidecar: Sidecar, about: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sidecar.person("ada").get("/v1/audit", params={"about": about, "limit": 1000}).json()["records"]
    return found


def state_of(sidecar: Sidecar, plan: str) -> str:
    return str(sidecar.agent.get(f"/v1/plans/{plan}").json()["state"])
