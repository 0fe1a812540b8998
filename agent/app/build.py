"""The service: alerts in by webhook, runs and reports out, workers that take up what is queued or was left unfinished.

Knows HTTP and the workshop; each part of it is a file beside this one.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

from agent.app.apart import Apart
from agent.app.book import add_book
from agent.app.callers import Callers
from agent.app.chat import add_chat
from agent.app.closing import Closing
from agent.app.completions import add_completions
from agent.app.console import add_console
from agent.app.crew import Crew
from agent.app.deliveries import delivering
from agent.app.health import NO_TELEMETRY, add_health
from agent.app.identity import add_identity
from agent.app.lookout import Lookout
from agent.app.meters import Meters
from agent.app.refusals import add_refusals
from agent.app.retention import keep_no_longer
from agent.app.runs import add_runs
from agent.app.slack import add_slack, slack_open
from agent.app.webhook import add_webhook
from agent.app.workers import Workers
from agent.bootstrap import Workshop
from agent.chat.conversation import Conversations
from agent.delivery.orders import read_orders
from agent.domain.document import acquaint
from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis, RankedCause
from agent.domain.incident import Incident
from agent.domain.outcome import Round
from agent.domain.report import Report
from agent.errors import StoreUnavailable
from agent.ports.tracing import listening
from agent.telemetry import heard

# Seconds that a thread which computes a diagnosis goes on while another could: Python's own 5 ms, at each of the waits of one
# alert's way through this process, are what is allowed for all of it.
SHORT_TURNS = 0.001
AGAIN_SECONDS = 10.0  # longer than the process apart is given to end in order


def create_app(open_shop: Callable[[], contextlib.AbstractAsyncContextManager[Workshop]], apart: Apart | None = None) -> FastAPI:
    """`open_shop` is entered when the server starts, so that what cannot start says so then. `apart`: where runs are worked on
    (agent.app.labour); in this process without it."""
    meters = Meters()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            sys.setswitchinterval(SHORT_TURNS)
            stack.enter_context(listening(meters.heard))
            stack.enter_context(listening(heard))
            shop = await stack.enter_async_context(open_shop())
            await asyncio.to_thread(acquaint, Incident, Diagnosis, RankedCause, Evidence, Round, Report)
            with contextlib.suppress(StoreUnavailable):  # whoever needs it next says so
                await shop.rehearse()
            orders = read_orders(shop.settings.deliveries)
            workers = Crew(apart, shop, meters) if apart is not None else Workers(shop, meters)
            app.state.shop, app.state.workers, app.state.callers = shop, workers, Callers.of(shop.settings)
            identity = add_identity(app, shop.settings)
            conversations = app.state.conversations = Conversations(shop, at_once=shop.settings.chat_workers, where=workers)
            sights = app.state.lookout = Lookout(workers.scan)
            task = asyncio.create_task(workers.run())
            quiet = asyncio.create_task(conversations.silencings.run())
            pruning = asyncio.create_task(keep_no_longer(shop.database, shop.settings))
            try:
                async with (
                    slack_open(app, conversations, orders.channel_for) as slack,
                    delivering(shop, orders, slack, meters),
                ):
                    yield
            finally:
                quiet.cancel()
                await conversations.close()
                await sights.close()
                identity.close()
                await _ended(task, quiet, pruning)

    app = FastAPI(title="Lestrade", lifespan=lifespan, docs_url=None, redoc_url=None, telemetry=NO_TELEMETRY)
    app.state.closing = Closing()
    add_refusals(app)
    add_webhook(app, meters)
    add_book(app)
    add_runs(app)
    add_chat(app)
    add_completions(app)
    add_console(app)
    add_slack(app)
    add_health(app, meters)
    return app


async def _ended(*tasks: "asyncio.Task[None]") -> None:
    """All of them. Asked again after a while: a library that turns a cancellation into an error of its own has it overheard."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
