"""Probes as a kubelet runs them: period, thresholds, and its words when one fails. Pure but for its own counters."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lab.world.kinds import Object


@dataclass(frozen=True, slots=True)
class Answer:
    """ok, or what the kubelet says after "Readiness probe failed: "."""

    ok: bool
    message: str = ""


@dataclass
class ProbeRun:
    """One probe of one run of a container. `passing` None until a threshold is reached for the first time."""

    kind: str
    spec: Object
    began: datetime
    passing: bool | None = None
    due: datetime | None = None
    successes: int = 0
    failures: int = 0

    def __post_init__(self) -> None:
        # a program takes a moment to listen: the first look comes after it, as it mostly does
        self.due = self.began + timedelta(seconds=max(self.spec.get("initialDelaySeconds") or 0, 2))

    @property
    def period(self) -> timedelta:
        return timedelta(seconds=self.spec.get("periodSeconds") or 10)

    def look_soon(self, now: datetime) -> None:
        """The program changed: a probe that rested looks again at its next turn."""
        if self.due is None:
            turns = (now - self.began) // self.period + 1
            self.due = self.began + turns * self.period

    def note(self, answer: Answer, now: datetime) -> None:
        """Count one answer. A steadily passing probe rests until the program changes, to spare the simulation."""
        if answer.ok:
            self.successes, self.failures = self.successes + 1, 0
            if self.successes >= (self.spec.get("successThreshold") or 1):
                self.passing = True
        else:
            self.failures, self.successes = self.failures + 1, 0
            if self.failures >= (self.spec.get("failureThreshold") or 3):
                self.passing = False
        self.due = None if self.passing and answer.ok else now + self.period


def ask(spec: Object, ip: str, ports: list[Object], *, listening: frozenset[int], well: bool) -> Answer:
    """`well`: the endpoint asked would answer yes."""
    if "httpGet" in spec:
        return _http(spec["httpGet"], ip, ports, listening, well)
    if "tcpSocket" in spec:
        port = number(spec["tcpSocket"]["port"], ports)
        return Answer(True) if port in listening else Answer(False, f"dial tcp {ip}:{port}: connect: connection refused")
    if "grpc" in spec:
        port = spec["grpc"]["port"]
        if port not in listening:
            return Answer(False, f'timeout: failed to connect service "{ip}:{port}" within 1s: context deadline exceeded')
    return Answer(True) if well else Answer(False, "command terminated with exit code 1")


def _http(get: Object, ip: str, ports: list[Object], listening: frozenset[int], well: bool) -> Answer:
    port = number(get.get("port"), ports)
    if port is None:
        return Answer(False, f'couldn\'t find port: "{get.get("port")}"')
    host = get.get("host") or ip
    url = f"{(get.get('scheme') or 'HTTP').lower()}://{host}:{port}{get.get('path') or '/'}"
    if port not in listening:
        return Answer(False, f'Get "{url}": dial tcp {host}:{port}: connect: connection refused')
    return Answer(True) if well else Answer(False, "HTTP probe failed with statuscode: 503")


def number(port: Any, ports: list[Object]) -> int | None:
    """A port by number or by the name a container gives it."""
    if isinstance(port, int):
        return port
    if str(port).isdigit():
        return int(port)
    return next((p["containerPort"] for p in ports if p.get("name") == port), None)
