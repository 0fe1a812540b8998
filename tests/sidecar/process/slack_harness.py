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
def with_slack(folder: Path, *, http: bool = True, socket: bool = False) -> Iterator[tuple[Sidecar, FakeSlack]]:
    slack = FakeSlack().start()
    try:
        for user, _ in PEOPLE.values():
            slack.person(user)
        with running(folder, environment=settings_of(slack, folder / "slack", http=http, socket=socket)) as sidecar:
            write_people(sidecar, PEOPLE)
            sidecar.start()
            yield sidecar, slack
    finally:
        slack.end()


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
