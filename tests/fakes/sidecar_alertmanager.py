"""A fake of sidecar.ports.Silencer: alerts that fire, and silences with their lives. `before` may raise, or lose an answer."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sidecar.contract import Matcher
from sidecar.errors import AlertmanagerRefused, AlertmanagerUnavailable
from sidecar.ports import FiringAlert, NewSilence, Silence

CRASHES = {"alertname": "KubePodCrashLooping", "namespace": "shop", "pod": "web-7d9f5c8b64-x2kqz", "severity": "warning"}

WEB = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web", "uid": "uid-web"}


@dataclass
class FakeAlertmanager:
    alerts: list[dict[str, str]] = field(default_factory=lambda: [dict(CRASHES)])
    absent: str = ""
    down: bool = False
    refuses: bool = False
    asked: int = 0
    wanted: dict[str, NewSilence] = field(default_factory=dict)
    silences: dict[str, Silence] = field(default_factory=dict)
    before: Callable[[str], Any] = field(default=lambda what: None)
    after: Callable[[str], Any] = field(default=lambda what: None)

    def standing(self) -> list[NewSilence]:
        return [self.wanted[id_] for id_, silence in self.silences.items() if silence.stands]

    def firing(self, matchers: tuple[Matcher, ...]) -> tuple[FiringAlert, ...]:
        self._answers("firing")
        self.asked += 1
        found = [labels for labels in self.alerts if _covers(matchers, labels)]
        return tuple(
            FiringAlert(labels=labels, silenced=any(_covers(one.matchers, labels) for one in self.standing())) for labels in found
        )

    def made(self, marker: str, identifier: str = "") -> Silence | None:
        self._answers("made")
        if identifier:
            return self.silences.get(identifier)
        mine = [self.silences[id_] for id_, wanted in self.wanted.items() if marker and wanted.comment.endswith(marker)]
        return next((one for one in mine if one.stands), mine[0] if mine else None)

    def make(self, wanted: NewSilence) -> str:
        self._answers("make")
        if self.refuses:
            raise AlertmanagerRefused("Alertmanager does not take the silence: 400")
        identifier = f"silence-{len(self.silences) + 1}"
        self.wanted[identifier] = wanted
        self.silences[identifier] = Silence(id=identifier, state="active", ends_at=wanted.ends_at.isoformat())
        self.after("make")
        return identifier

    def expire(self, identifier: str) -> None:
        self._answers("expire")
        self.silences[identifier] = replace(self.silences[identifier], state="expired")
        self.after("expire")

    def _answers(self, what: str) -> None:
        self.before(what)
        if self.down:
            raise AlertmanagerUnavailable("Alertmanager does not answer")


def _covers(matchers: tuple[Matcher, ...], labels: dict[str, str]) -> bool:
    return all(labels.get(one.name) == one.value for one in matchers)


def silence(minutes: int = 60, *, target: dict[str, Any] | None = None, **labels: str) -> dict[str, Any]:
    """The action, about Deployment shop/web; labels given are in place of the usual ones."""
    named = labels or {name: CRASHES[name] for name in ("alertname", "namespace", "severity")}
    return {
        "kind": "silence_alert",
        "target": target or WEB,
        "matchers": [{"name": name, "value": value} for name, value in named.items()],
        "minutes": minutes,
        "comment": "being repaired",
    }
