"""What is wrong in the cluster now, as `lestrade scan` tells it, with a way from each cause to a question about it."""

from collections.abc import Iterable

from fastapi import FastAPI, Request, Response

from agent.app.console.layout import page
from agent.app.identity import Visit
from agent.app.lookout import Lookout
from agent.domain.scan import Effect, Scan, Trouble
from agent.rendering.scanning import question, reservation, verdict
from agent.stages.unseen import unseen

TONES: dict[Effect, str] = {"down": "bad", "degraded": "warn", "at risk": "calm"}
MOST, ROOTS_TOLD, NAMES_TOLD, GAPS_TOLD = 100, 5, 12, 50


def add_scan(app: FastAPI) -> None:
    @app.get("/scan", include_in_schema=False)
    async def scan(request: Request, session: Visit) -> Response:
        """`?ns=` shows what concerns one namespace only; what is looked at stays the same."""
        lookout: Lookout = request.app.state.lookout
        sight = await lookout.sight()
        namespace = request.query_params.get("ns", "").strip()[:63]
        troubles = [one for one in sight.scan.troubles if concerns(one, namespace)] if sight.scan is not None else []
        return page(
            request,
            "scan.html",
            session=session,
            sight=sight,
            namespace=namespace,
            troubles=troubles[:MOST],
            more=max(0, len(troubles) - MOST),
            verdict=verdict,
            reservation=reservation,
            question=question,
            tones=TONES,
            roots_told=ROOTS_TOLD,
            names_told=NAMES_TOLD,
            gaps=gaps(sight.scan) if sight.scan is not None else [],
        )


def concerns(trouble: Trouble, namespace: str) -> bool:
    """Whether it begins or is felt there; whatever belongs to no namespace concerns all of them."""
    subjects = [root.finding.subject for root in trouble.roots]
    return not namespace or any(one.namespace in ("", namespace) for one in (*subjects, *trouble.victims))


def gaps(found: Scan) -> list[str]:
    """What could not be seen, a line a reason."""
    kinds: dict[str, list[str]] = {}
    for what, why in found.gaps:
        kinds.setdefault(why, []).append(what)
    several = [f"{_some(whats)}: {why}" for why, whats in kinds.items() if len(whats) > 1]
    single = unseen([f"{whats[0]}: {why}" for why, whats in kinds.items() if len(whats) == 1])
    return [*several, *single][:GAPS_TOLD]


def _some(whats: Iterable[str]) -> str:
    named = list(whats)
    more = f" and {len(named) - NAMES_TOLD} more" if len(named) > NAMES_TOLD else ""
    return ", ".join(named[:NAMES_TOLD]) + more
