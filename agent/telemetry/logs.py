"""The log: one JSON object a line, with the run and its trace in every line of a run, and no secret in any.

uvicorn, the libraries and we write through the same handler, so that what holds for one holds for all.
"""

import logging
from typing import Any

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, WrappedLogger

from agent.ports.tracing import RUN, Noted, trace_id_of
from agent.signals.masking import MASK, mask

QUIET = (
    "uvicorn.access",
    "aiosqlite",
    "procrastinate",
    "httpx",
    "httpcore",
    "httpx2",
    "httpcore2",
    "urllib3",
    "openai",
    "drain3",
)
DEEPEST = 12
logger = logging.getLogger("agent.run")


def log_as_json(level: str) -> None:
    """From here on everything is logged to standard error in this way."""
    number = getattr(logging, level.upper())
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.contextvars.merge_contextvars,
        of_the_run,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            plain,
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),  # locals hold what was read
            masked,
            structlog.processors.JSONRenderer(default=str),
        ],
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=number, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def heard(noted: Noted) -> None:
    """A listener of agent.ports.tracing: a line for each stage and run that ends, and for everything that fails."""
    if noted.failed == "CancelledError" or not (noted.failed or noted.kind in ("run", "stage")):
        return
    told = {**noted.attributes, "seconds": round(noted.seconds, 3), **({"error": noted.failed} if noted.failed else {})}
    if noted.kind != "run" and noted.name:
        told["name"] = noted.name
    logger.log(logging.WARNING if noted.failed else logging.INFO, "%s ended", noted.kind, extra={"told": told})


def plain(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """What was told beside the words stands among them; the server's copy for coloured terminals goes."""
    event.pop("color_message", None)
    told = event.pop("told", None)
    return {**told, **event} if isinstance(told, dict) else event


def of_the_run(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Which run it was about, and its trace, even where no traces are kept: the id follows from the run's."""
    if run := RUN.get():
        event.setdefault("run", run)
        event.setdefault("trace_id", trace_id_of(run))
    return event


def masked(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Every text of it, however deep, without what looks like a secret's value."""
    return {str(key): _without_named(str(key), value, DEEPEST) for key, value in event.items()}


def _without(value: object, depth: int) -> object:
    if isinstance(value, str):
        return mask(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth and isinstance(value, dict):
        return {mask(str(key)): _without_named(str(key), inner, depth - 1) for key, inner in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_without(inner, depth - 1) for inner in value]
    return mask(str(value))


def _without_named(name: str, value: object, depth: int) -> object:
    """Under a name that speaks of secrets, no text is shown at all: `mask` knows such names beside their value."""
    probe = f"{name}=abcdefgh"
    if isinstance(value, str) and value and mask(probe) != probe:
        return MASK
    return _without(value, depth)
