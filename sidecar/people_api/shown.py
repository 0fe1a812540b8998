"""What the pages show, out of the use cases and the store. Knows no HTML."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import yaml

from sidecar.approvals import GLASS_ROLE
from sidecar.approvals import store as approvals
from sidecar.approvals.reviews import Review
from sidecar.contract import ApprovalView, Json
from sidecar.contract.lease import LeaseState
from sidecar.credentials import store as leases
from sidecar.execution import store as steps
from sidecar.gate.desk import Desk
from sidecar.gate.glass import open_reviews
from sidecar.gate.standing import standing
from sidecar.gate.stop import Stopped, state_of_stop
from sidecar.policy.portrait import Portrait
from sidecar.ports import PolicyStanding

_RECORDS = 100
_MOST_ABOUT = 1000
_MOST_OVER = 200
_NOT_OVER: tuple[LeaseState, ...] = ("minting", "live", "settling", "revocation_pending")
_GISTS = ("verdict", "comes_to", "code", "step", "reason", "reasons", "note", "outcome", "path")


def cards(desk: Desk, state: Literal["waiting", "all"]) -> list[ApprovalView]:
    with desk.ledger.read() as connection:
        found = [entry.plan.digest for entry in approvals.listed(connection, ("waiting",) if state == "waiting" else ())]
    current = (standing(digest, desk=desk) for digest in found)
    views = [status.approval for status in current if status is not None and status.approval is not None]
    return [view for view in views if state == "all" or view.state == "waiting"]


def card(desk: Desk, digest: str) -> dict[str, Any] | None:
    """One approval: the view, its diffs line by line, and what may still be said."""
    status = standing(digest, desk=desk)
    if status is None or status.approval is None:
        return None
    return {
        "view": status.approval,
        "state": status.state,
        "why": status.reason,
        "diffs": {change.step: _lines(change.diff) for change in status.approval.changes},
        "answerable": status.state in ("waiting", "approved"),
        "revocable": status.state == "leased",
        "glass_role": GLASS_ROLE,
    }


class Policy(Protocol):
    """The policy that judges, as it stands."""

    def standing(self) -> PolicyStanding: ...

    def portrait(self) -> Portrait | None: ...


class _NoPolicy:
    def standing(self) -> PolicyStanding:
        return PolicyStanding(revision="none")

    def portrait(self) -> None:
        return None


NO_POLICY: Policy = _NoPolicy()


def leases_of(desk: Desk) -> dict[str, Any]:
    """Those that can still write, however old, and the latest that are over, each with what was done under it; the newest
    first."""
    with desk.ledger.read() as connection:

        def found(states: Sequence[LeaseState], limit: int) -> list[dict[str, Any]]:
            return [
                {
                    "lease": held.lease,
                    "settlement": held.settlement,
                    "steps": list(steps.of_lease(connection, held.lease.id, "do").values()),
                }
                for held in leases.listed(connection, states, limit=limit)
            ]

        return {"live": found(_NOT_OVER, _MOST_ABOUT), "over": found(("settled",), _MOST_OVER)}


def journal(desk: Desk, before: int, about: str = "") -> dict[str, Any]:
    """A page of the journal, the newest first, all of it or of one incident, plan (or the beginning of its digest) or lease.
    `before`: only older ones than this, 0 for all; `older`: what the next page's is, 0 where there is none."""
    found = desk.ledger.latest(limit=_RECORDS + 1, before=before, about=about)
    records = [{**record, "gist": _gist(record["body"])} for record in found[:_RECORDS]]
    return {"records": records, "older": records[-1]["seq"] if len(found) > _RECORDS else 0}


def policy(found: Policy) -> dict[str, Any]:
    portrait = found.portrait()
    rules = portrait.rules if portrait is not None else ()
    return {
        "standing": found.standing(),
        "guards": [rule for rule in rules if rule.kind == "guard"],
        "others": [rule for rule in rules if rule.kind != "guard" and rule.title],
        "platform": {key: _as_yaml(value) for key, value in (portrait.platform if portrait is not None else {}).items()},
    }


def _as_yaml(value: Json) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)
    return text.removesuffix("...\n").rstrip()


def reviews_of(desk: Desk) -> list[Review]:
    """Open ones first."""
    return sorted(
        open_reviews(desk=desk, closed=True), key=lambda review: (review.closed_by is not None, -review.opened_at.timestamp())
    )


def stop(desk: Desk) -> Stopped:
    return state_of_stop(desk=desk)


def _lines(diff: str) -> list[tuple[str, str]]:
    """Each line with what it is: a person who sees no colours still sees the sign."""
    return [(_kind(line), line) for line in diff.splitlines()]


def _kind(line: str) -> str:
    if line.startswith(("--- ", "+++ ", "@@")):
        return "place"
    return {"+": "added", "-": "removed"}.get(line[:1], "same")


def _gist(body: Json) -> str:
    said: Mapping[str, Json] = body if isinstance(body, dict) else {}
    decision = said.get("decision")
    parts = [f"verdict: {decision.get('verdict')}"] if isinstance(decision, dict) else []
    parts += [f"{name}: {said[name]}" for name in _GISTS if said.get(name) not in (None, "", [], {})]
    return "; ".join(parts)[:300]
