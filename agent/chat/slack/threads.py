"""The message of an incident, as it stands now: while it is looked into, while a plan waits for people, when it is over. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.chat.slack import blocks as kit
from agent.chat.slack.answer import parts
from agent.chat.slack.blocks import Block, Message
from agent.chat.slack.text import notification
from agent.domain.incident import Alert, Incident
from agent.domain.report import Report
from agent.ports import RunEvent, RunRow
from agent.rendering.wording import OUTCOMES

_MOST_ALERTS, _MOST_STEPS, _MOST_LINES = 6, 6, 20
_MOST_FIRST = 5000  # JSON of what fires
_SHOWN_LABELS = ("severity", "namespace", "pod", "deployment", "statefulset", "node", "job", "service", "instance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A run as far as it came. `report` is there when it has ended."""

    row: RunRow
    told: tuple[RunEvent, ...]
    report: Report | None


def thread(found: Standing, *, public_url: str = "", approvals_url: str = "") -> Message:
    title = f"{_state(found)}: {_names(found.row.incident)}"
    for squeeze in (1, 3, 10):  # of what fires, less where it would leave no room for what came of it
        first = [kit.header(title), kit.rich(*_alerts(found, squeeze))]
        said = found.report.headline if found.report is not None else found.row.headline
        if found.report is not None or found.row.state == "finished":  # without a report: it broke, or came to nothing
            first.append(kit.rich(kit.section(kit.words(said, bold=True, limit=800 // squeeze))))
        if kit.size(first) <= _MOST_FIRST:
            break
    url = page_of(public_url, found.row.id)
    if found.report is not None:
        more, last = parts(found.report, url=url)
        return Message(text=notification(f"{title}. {said}"), blocks=kit.within(first, more, last))
    last = [_print(found)]
    links = [kit.link("Follow it live", url)] if url else []
    plan = waits_for(found.told)
    if plan and approvals_url:
        links += [kit.words("   ")] * bool(links) + [kit.link("Open the approval", f"{approvals_url}/approvals/{plan}")]
    if links:
        last.insert(0, kit.rich(kit.section(*links)))
    return Message(text=notification(title), blocks=kit.within(first, _so_far(found), last))


def page_of(public_url: str, run: str) -> str:
    return f"{public_url}/runs/{run}" if public_url else ""


def waits_for(told: Sequence[RunEvent]) -> str:
    """The digest of the plan that waits for people now, "" for none."""
    last = told[-1] if told else None
    if last is None or last.stage != "authorize" or not last.text.startswith("waiting for"):
        return ""
    plan = last.data.get("plan")
    return plan if isinstance(plan, str) and plan.isalnum() else ""


def resolved(found: Standing) -> bool:
    """Whether Alertmanager says that all of it is over: the incident's alerts are kept as they were seen last."""
    alerts = found.row.incident.alerts
    return bool(alerts) and all(alert.resolved for alert in alerts)


def storm(listed: Sequence[RunRow], *, public_url: str = "") -> Message:
    """One message for the many incidents that came faster than people read."""
    ended = sum(row.state == "finished" for row in listed)
    title = f"{len(listed)} more incidents"
    counted: dict[str, int] = {}
    for row in listed:
        counted[_names(row.incident)] = counted.get(_names(row.incident), 0) + 1
    said = f"They came faster than people read, so they share this message. Looked into: {ended} of {len(listed)}."
    most = sorted(counted.items(), key=lambda found: (-found[1], found[0]))
    kinds = [kit.section(kit.words(f"{count} × {names}", limit=200)) for names, count in most[:8]]
    lines = [_line(row, public_url) for row in listed[-_MOST_LINES:]]
    more = [kit.rich(kit.section(kit.words("Latest", bold=True)), kit.bullets(*lines))] if lines else []
    return Message(text=notification(title), blocks=kit.within([kit.header(title), kit.context(said)], _packed(kinds, more), []))


def _packed(kinds: Sequence[Block], more: Sequence[Block]) -> Iterator[Block]:
    if kinds:
        yield kit.rich(kit.section(kit.words("What fires", bold=True)), kit.bullets(*kinds))
    yield from more


def _line(row: RunRow, public_url: str) -> Block:
    going_on = "queued" if row.state == "queued" else "looking into it"
    state = OUTCOMES[row.outcome][0] if row.outcome in OUTCOMES else going_on
    runs = [kit.words(f"{_names(row.incident)}: {state}", limit=200)]
    if url := page_of(public_url, row.id):
        runs += [kit.words("  "), kit.link("open", url)]
    return kit.section(*runs)


def _state(found: Standing) -> str:
    if found.report is not None:
        words, _ = OUTCOMES[found.report.outcome]
        return f"Resolved · {words}" if resolved(found) else words
    if found.row.state == "finished":
        return OUTCOMES[found.row.outcome][0] if found.row.outcome in OUTCOMES else "Ended"
    if waits_for(found.told):
        return "Waiting for approval"
    if resolved(found):
        return "Resolved, still looking"
    return "Queued" if found.row.state == "queued" else "Looking into it"


def _names(incident: Incident) -> str:
    names = ", ".join(dict.fromkeys(alert.name for alert in incident.alerts)) or incident.question or "an incident"
    places = ", ".join(dict.fromkeys(place for alert in incident.alerts if (place := alert.labels.get("namespace", ""))))
    return f"{names} in {places}" if places else names


def _alerts(found: Standing, squeeze: int) -> Iterator[Block]:
    alerts = found.row.incident.alerts
    summary = next((_summary(alert) for alert in alerts if _summary(alert)), "")
    if summary:
        yield kit.section(kit.words(summary, limit=600 // squeeze))
    items = [kit.section(*_alert(alert, squeeze)) for alert in alerts[:_MOST_ALERTS]]
    if len(alerts) > _MOST_ALERTS:
        items.append(kit.section(kit.words(f"and {len(alerts) - _MOST_ALERTS} more alerts")))
    yield kit.bullets(*(items or [kit.section(kit.words(_names(found.row.incident), limit=300))]))


def _alert(alert: Alert, squeeze: int) -> Iterator[Block]:
    yield kit.words(alert.name, bold=True, limit=200 // squeeze)
    shown = ", ".join(f"{name} {value}" for name in _SHOWN_LABELS if (value := alert.labels.get(name, "")))
    if shown:
        yield kit.words(f"  {shown}", limit=300 // squeeze)
    if alert.starts_at is not None:
        yield kit.words("  since ")
        yield kit.moment(alert.starts_at)
    if alert.resolved:
        yield kit.words("  resolved", bold=True)


def _summary(alert: Alert) -> str:
    return alert.annotations.get("summary") or alert.annotations.get("description") or ""


def _so_far(found: Standing) -> Iterator[Block]:
    diagnosis = _latest(found.told, "diagnose", "outcome")
    if diagnosis is not None:
        yield kit.rich(kit.section(kit.words("Diagnosis  ", bold=True), kit.words(diagnosis.text, limit=1200)))
    plan = _latest(found.told, "propose", "plan")
    if plan is not None:
        yield kit.rich(kit.section(kit.words("Plan  ", bold=True), kit.words(plan.text, limit=800)))
    others = [event for event in found.told if event not in (diagnosis, plan)]
    steps = [kit.section(kit.words(f"{event.stage}: {event.text}", limit=300)) for event in others[-_MOST_STEPS:]]
    if steps:
        yield kit.rich(kit.section(kit.words("Now", bold=True)), kit.bullets(*steps))


def _latest(told: Sequence[RunEvent], stage: str, field: str) -> RunEvent | None:
    return next((event for event in reversed(told) if event.stage == stage and field in event.data), None)


def _print(found: Standing) -> Block:
    return kit.context(
        f"{found.row.id} · cluster {found.row.incident.cluster} · opened {found.row.created_at:%Y-%m-%d %H:%M} UTC"
    )
