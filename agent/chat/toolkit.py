"""What a program may ask of Lestrade by name: investigate, scan, explain, runs, report, propose. Never approve.

Each answer is a text for whoever reads it and the same in plain JSON, both bounded. Knows no protocol.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from agent.bootstrap import Workshop
from agent.chat import wording
from agent.chat.conversation import said_safely
from agent.chat.talk import waiting_for
from agent.chat.working import Works, repair_under_way, waits_for_people
from agent.domain.document import to_document
from agent.domain.report import Report
from agent.domain.runbook import Page
from agent.domain.session import Reply
from agent.errors import InputError, LestradeError, NotThere
from agent.ports import RunEvent, RunRow
from agent.reasoning.names import nearest
from agent.rendering import render
from agent.rendering.markdown import text
from agent.runbooks import Library, load_library
from agent.scanning import Scanner
from sidecar.contract import Json

LONGEST = 20_000  # characters of one answer
MOST_TROUBLES, MOST_RUNS = 25, 100

Happens = Callable[[RunEvent], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """`data` says the same as `text`, for programs."""

    text: str
    data: Mapping[str, Json]


class Toolkit:
    """Every method raises LestradeError."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._works = Works(shop, at_once=shop.settings.chat_workers)
        self._library: Library = load_library(shop.settings.runbooks)
        self._scanner = Scanner(shop.settings, reader=shop.reader, metrics=shop.means.metrics)

    async def investigate(self, question: str, *, asked_by: str, happens: Happens) -> Given:
        """One question to its answer; nothing is changed, and nothing proposed."""
        row, _ = await self._shop.take(question=said_safely(question), asked_by=asked_by, look_only=True)
        self._works.begin(row)
        async for event in self._works.follow(row):
            await happens(event)
        report = await self._report(row.id)
        reply = wording.of_report(report, governed=self._shop.governed, acting=False)
        cited = {name for cause in reply.causes for name in cause.evidence}
        quoted = [to_document(piece) for piece in report.evidence if piece.id in cited][:12]
        return Given(text=_cut(f"{reply.text}\n\nRun: {row.id}"), data={**_said(reply), "evidence": quoted})

    async def scan(self, namespaces: tuple[str, ...]) -> Given:
        """Everything that is wrong, grouped by cause, worst effect first."""
        found = await self._scanner.scan(namespaces)
        lines = [f"{found.outcome}: {found.unready} of {found.workloads} workloads lack pods."]
        for trouble in found.troubles[:MOST_TROUBLES]:
            lines.append(f"- {trouble.effect.upper()}: {trouble.cause or 'cause not seen'}, {len(trouble.roots)} place(s)")
            lines += [f"  - {text(root.finding.statement)}" for root in trouble.roots[:2]]
        if len(found.troubles) > MOST_TROUBLES:
            lines.append(f"- and {len(found.troubles) - MOST_TROUBLES} more")
        lines += [f"Not seen: {text(what)}: {text(why)}" for what, why in found.gaps[:10]]
        troubles: list[Json] = [
            {
                "cause": one.cause,
                "effect": one.effect,
                "subjects": [str(root.finding.subject) for root in one.roots[:20]],
                "statement": one.roots[0].finding.statement if one.roots else "",
            }
            for one in found.troubles[:MOST_TROUBLES]
        ]
        data: dict[str, Json] = {
            "cluster": found.cluster,
            "outcome": found.outcome,
            "workloads": found.workloads,
            "unready": found.unready,
            "troubles": troubles,
            "not_seen": [f"{what}: {why}" for what, why in found.gaps[:50]],
        }
        return Given(text=_cut("\n".join(lines)), data=data)

    async def explain(self, name: str) -> Given:
        """The runbook page of a cause, or the pages that an alert leads to."""
        page = self._library.pages.get(name)
        pages = [page] if page is not None else list(self._library.for_alert(name))
        if not pages:
            near = [found for found, _ in nearest(name[:80], self._library.pages.keys(), least=0.5, most=5)]
            hint = f"; is one of these meant: {', '.join(near)}?" if near else ""
            raise NotThere(f"no runbook page is called {name[:80]!r}, and none names an alert of that name{hint}")
        told: list[Json] = [
            {"cause": one.cause, "title": one.title, "path": one.path, "alerts": list(one.alerts)} for one in pages[:20]
        ]
        return Given(text=_cut("\n\n".join(map(_page, pages[:4]))), data={"pages": told})

    async def runs(self, limit: int) -> Given:
        rows = await self._shop.store.rows(limit=max(1, min(limit, MOST_RUNS)))
        lines = [f"- {row.id} {row.created_at:%Y-%m-%d %H:%M} {row.state} {row.outcome}: {text(_about(row))}" for row in rows]
        told: list[Json] = [
            {
                "run": row.id,
                "opened": row.created_at.isoformat(),
                "state": row.state,
                "outcome": row.outcome,
                "about": _about(row),
                "headline": row.headline,
            }
            for row in rows
        ]
        return Given(text=_cut("\n".join(lines) or "no runs yet"), data={"runs": told})

    async def report(self, run: str, form: Literal["md", "json"], offset: int) -> Given:
        """A page of it; `next` is where the next begins, or null."""
        whole = render(await self._report(run), form)
        if not 0 <= offset <= len(whole):
            raise InputError(f"the report has {len(whole)} characters; there is nothing at {offset}")
        page = whole[offset : offset + LONGEST]
        after = offset + len(page)
        following: Json = after if after < len(whole) else None
        return Given(text=page, data={"run": run, "total": len(whole), "next": following})

    async def propose(self, run: str, *, asked_by: str, happens: Happens) -> Given:
        """The remedy for what the run found, submitted for judgement; to its end, or until it waits for people."""
        row = await self._shop.store.row(run)
        if row is None:
            raise NotThere(f"there is no run {run[:80]}")
        found = await self._report(run)
        if not found.diagnosis or not found.diagnosis.causes:
            raise InputError(f"run {run} named no cause, so there is nothing to propose")
        if not self._shop.governed:
            raise InputError(
                f"there is no sidecar that a plan could be proposed to. {wording.plan(found, governed=False)}"[:LONGEST]
            )
        under_way = await repair_under_way(self._shop, row.incident.id)
        proposed = under_way or await self._shop.again(row, asked_by=asked_by)
        self._works.begin(proposed)
        async for event in self._works.follow(proposed):
            await happens(event)
            if waits_for_people(event):
                told = await self._shop.events.told(proposed.id)
                said = waiting_for(proposed, told, self._shop.settings.approvals_url)
                return Given(text=_cut(said), data={"run": proposed.id, "outcome": "waiting", "statement": event.text})
        report = await self._report(proposed.id)
        reply = wording.of_report(report, governed=True, acting=True)
        return Given(text=_cut(f"{reply.text}\n\nRun: {proposed.id}"), data=_said(reply))

    async def close(self) -> None:
        await self._works.close()

    async def _report(self, run: str) -> Report:
        report = await self._shop.report(run)
        if report is not None:
            return report
        row = await self._shop.store.row(run)
        if row is None:
            raise NotThere(f"there is no run {run[:80]}")
        raise LestradeError(f"run {row.id} has no report: it is {row.state}{f' ({row.headline})' if row.headline else ''}")


def _page(page: Page) -> str:
    sections = "\n\n".join(f"## {name}\n\n{body.strip()}" for name, body in page.sections.items())
    return f"# {page.title} ({page.cause})\n\n{sections}"


def _about(row: RunRow) -> str:
    return row.incident.question or ", ".join(dict.fromkeys(alert.name for alert in row.incident.alerts))


def _said(reply: Reply) -> dict[str, Json]:
    """What a program makes use of; the text is told beside it, and what can be said next is for people."""
    body = to_document(reply)
    assert isinstance(body, dict)
    return {name: value for name, value in body.items() if name not in ("text", "meant", "suggestions")}


def _cut(words: str) -> str:
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 60].rstrip()}\n\n(cut: the rest stands in the report)"
