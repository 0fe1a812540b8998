"""Who is asked besides the checks, and with which eyes: the language model and the toolsets, as the settings say.

Names adapters, as `bootstrap` does. Where no model is set, nothing of `openai` is imported.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from agent.errors import InputError, ModelUnavailable
from agent.ports import ClusterReader, Metrics
from agent.ports.model import ChatModel, Message, ModelBook, Progress, Reply, ToolSpec
from agent.ports.toolset import Toolset
from agent.reasoning.model.case import Investigator
from agent.reasoning.model.leash import Leash, Price, read_prices
from agent.runbooks import Library, RunbookEyes
from agent.settings import Settings
from agent.toolsets.measurements import MetricEyes
from agent.toolsets.objects import ObjectEyes


async def investigator(
    settings: Settings, reader: ClusterReader, metrics: Metrics | None, library: Library, book: ModelBook, stack: AsyncExitStack
) -> Investigator | None:
    """None where no model is set. Raises InputError for prices that are none."""
    if not settings.model:
        return None
    return Investigator(
        chat=_chat(settings, stack),
        book=book,
        toolsets=await toolsets(settings, reader, metrics, library, stack),
        leash=_leash(settings),
        pages=tuple(sorted(page.cause for page in library.pages.values() if not page.is_investigation)),
    )


async def toolsets(
    settings: Settings, reader: ClusterReader, metrics: Metrics | None, library: Library, stack: AsyncExitStack
) -> tuple[Toolset, ...]:
    """All of them, those that are off included: each says why."""
    return (ObjectEyes(reader), MetricEyes(metrics), RunbookEyes(library))


def _chat(settings: Settings, stack: AsyncExitStack) -> ChatModel:
    try:
        key = _key(settings.model_key_file)
    except InputError as exc:  # the run is not lost for that: the checks answer, and the report says why
        return _Unreachable(settings.model, str(exc))
    from agent.reasoning.model.client import OpenAIChat  # noqa: PLC0415  nobody who asks no model waits for it

    chat = OpenAIChat.connect(
        model=settings.model,
        url=settings.model_url,
        key=key,
        seconds=settings.model_seconds,
        retries=settings.model_retries,
        stream=settings.model_stream,
    )
    stack.push_async_callback(chat.close)
    return chat


class _Unreachable:
    """A model that cannot be asked at all, and why."""

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self._why = why

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], *, most_tokens: int, progress: Progress | None = None
    ) -> Reply:
        raise ModelUnavailable("no-key", self._why)


def _key(path: Path | None) -> str:
    """Raises InputError, which names the file and never its content."""
    if path is None:
        return ""
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"model key file {path}: {getattr(exc, 'strerror', None) or 'not plain text'}") from None
    if not key or not key.isprintable() or " " in key:
        raise InputError(f"model key file {path}: holds no key")
    return key


def _leash(settings: Settings) -> Leash:
    return Leash(
        run_calls=settings.model_run_calls,
        run_tokens=settings.model_run_tokens,
        run_cost=settings.model_run_cost,
        run_seconds=settings.model_run_seconds,
        day_tokens=settings.model_day_tokens,
        day_cost=settings.model_day_cost,
        price=read_prices(settings.model_prices).get(settings.model, Price()),
        context_tokens=settings.model_context_tokens,
        answer_tokens=settings.model_answer_tokens,
        parallel=settings.model_parallel,
        cache_minutes=settings.model_cache_minutes,
        hide_names=settings.model_hide_names,
    )
