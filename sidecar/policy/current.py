"""The judge that is current, and what is known about it: replaced in one step, while questions go on. Knows no file."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from sidecar.contract import Decision, Fix, Json, Plan, Reason
from sidecar.policy.document import denial
from sidecar.policy.judge import RegoJudge, utc_now
from sidecar.policy.portrait import Portrait
from sidecar.ports import Facts, PolicyStanding, nothing

NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A judge by a bundle that is fit to judge by. `version` and `signed_by` as its signature says, None and "" where none
    is asked for; `unreached`: why its engine could not be given the rules yet."""

    judge: RegoJudge
    engine: str
    version: int | None = None
    signed_by: str = ""
    unreached: str = ""
    reading: Json = None  # what the bundle's data says about reading
    portrait: Portrait | None = None  # the bundle for people to read

    @property
    def revision(self) -> str:
        return self.judge.revision


class CurrentPolicy:
    """Implements sidecar.ports.Judge: by the judge that is current at the moment of the question, from its first to its
    last word. The one before it, and its engine, end with the last question that was put to them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._judge: RegoJudge | None = None
        self._reading: Json = None
        self._portrait: Portrait | None = None
        self._standing = PolicyStanding(revision=NONE)

    @property
    def revision(self) -> str:
        judge = self._judge
        return judge.revision if judge is not None else NONE

    @property
    def unread(self) -> frozenset[str]:
        judge = self._judge
        return judge.unread if judge is not None else frozenset()

    def decide(self, plan: Plan, facts: Facts, *, meanwhile: Callable[[], None] = nothing) -> Decision:
        judge = self._judge
        if judge is not None:
            return judge.decide(plan, facts, meanwhile=meanwhile)
        reason = Reason(
            rule="policy-unavailable",
            message=_none_yet(self._standing),
            fix=Fix(op="wait", text="submit it again when a bundle was admitted"),
        )
        return denial([reason], plan=plan, facts=facts, revision=NONE, at=utc_now())

    def reading(self) -> Json:
        """What may be read, as the current bundle's data says it; None while there is no bundle."""
        return self._reading

    def portrait(self) -> Portrait | None:
        """The current bundle for people to read; None while there is none."""
        return self._portrait

    def standing(self) -> PolicyStanding:
        """Asks the engine whether it can answer; at most as long as a question takes."""
        judge, standing = self._judge, self._standing
        return replace(standing, unavailable=judge.why_not() if judge is not None else _none_yet(standing))

    def put(self, admitted: Admitted, *, at: datetime) -> None:
        with self._lock:
            self._standing = replace(
                self._standing,
                revision=admitted.revision,
                engine=admitted.engine,
                loaded_at=at,
                version=admitted.version,
                signed_by=admitted.signed_by,
                pending=False,
            )
            self._judge = admitted.judge
            self._reading = admitted.reading
            self._portrait = admitted.portrait

    def refused(self, why: str, *, at: datetime) -> None:
        """What lies in the folder is not what judges, and why."""
        with self._lock:
            self._standing = replace(self._standing, refusal=why, refused_at=at, pending=True)

    def unchanged(self) -> None:
        """What lies in the folder is what judges (again)."""
        with self._lock:
            self._standing = replace(self._standing, pending=False)


def _none_yet(standing: PolicyStanding) -> str:
    refusal = " ".join(standing.refusal.split())
    return f"no policy bundle was admitted yet{': ' if refusal else ''}{refusal}"[:500]
