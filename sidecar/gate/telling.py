"""Finds what the record holds about a plan, a lease or an incident, for it to be told as a story. Reads only."""

from collections.abc import Mapping, Sequence

from sidecar.audit.story import Story, story_of
from sidecar.contract import Json
from sidecar.gate.ledger import Ledger

Document = Mapping[str, Json]


def stories(about: str, *, ledger: Ledger) -> list[tuple[Story, list[Document]]]:
    """One for each plan that `about` names (a plan's digest or its beginning, a lease, an incident), the oldest first, with
    the records that it is made of. Raises JournalUnavailable."""
    told = []
    for plan in _plans(about, ledger):
        own = ledger.documents(about=plan)
        records: list[Document] = sorted([*own, *_concerning(plan, own, ledger)], key=_seq)
        told.append((story_of(plan, records), records))
    return sorted(told, key=lambda one: one[0].first)


def _plans(about: str, ledger: Ledger) -> list[str]:
    found = ledger.documents(about=about) or ledger.documents_of_incident(about)
    return list(dict.fromkeys(str(record["plan"]) for record in found if record["plan"]))


def _concerning(plan: str, own: Sequence[Document], ledger: Ledger) -> list[Document]:
    """What happened to the whole sidecar, and to this plan with it, between its first record and its last."""
    if not own:
        return []
    lease = next((str(record["lease"]) for record in own if record["lease"]), "no lease")
    between = ledger.documents(after=_seq(own[0]), limit=_seq(own[-1]) - _seq(own[0]) + 1)
    return [record for record in between if _concerns(record, plan, lease)]


def _concerns(record: Document, plan: str, lease: str) -> bool:
    body = record["body"] if isinstance(record["body"], dict) else {}
    match record["kind"]:
        case "stopped":
            return plan in _texts(body.get("plans")) or lease in _texts(body.get("leases"))
        case "swept":
            return any(lease in name for name in _texts(body.get("removed")))
        case "anchor-missing":
            return True
        case _:
            return False


def _texts(node: Json) -> list[str]:
    return [str(item) for item in node] if isinstance(node, list) else []


def _seq(record: Document) -> int:
    return int(str(record["seq"]))
