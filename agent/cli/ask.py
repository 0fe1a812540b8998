"""`lestrade ask`: one turn of a conversation, told while it goes. Nothing is changed unless the words are "fix it"."""

import sys
from collections.abc import Iterable
from pathlib import Path

import orjson
from rich.console import Console
from rich.markdown import Markdown

from agent.bootstrap import Source
from agent.chat.exchange import Answered, Stepped, Told
from agent.cli import outcome
from agent.cli.exits import INTERRUPTED, OF_REPLY
from agent.cli.layout import shortened
from agent.cli.line import Line, LocalLine
from agent.cli.remote import RemoteLine
from agent.cli.terminal import COLOURS, console, settings_from, tell
from agent.domain.document import to_document
from agent.domain.report import Report
from agent.domain.session import Reply
from agent.errors import Busy, InputError
from agent.settings import Settings

WITHOUT_A_REPORT = ("waiting", "shown", "told", "no-sidecar", "stopped")  # of their own: the text is all there is


def ask(words: str, *, session: str, server: str, snapshot: Path | None, context: str, as_json: bool, config: Path | None) -> int:
    settings = settings_from(config)
    progress = console(quiet=as_json and not sys.stderr.isatty())
    line = opened(settings, server=server, snapshot=snapshot, context=context)
    try:
        if session:
            _, open_turn = line.resume(session)
            reply_of(open_turn, progress)
        seen: dict[str, int] = {}
        reply = answer(line, words, progress, seen)
        if reply is None:
            return INTERRUPTED
        report = end_of(line, reply, seen.get(reply.run, 0), progress) if reply.outcome == "waiting" else None
        if as_json:
            sys.stdout.write(_json({"session": line.session, **_document(reply), **(_ended(report) if report else {})}))
        else:
            show(line, reply)
            if report is not None:
                outcome.show(report, Console(highlight=False, soft_wrap=True))
            progress.print(f"session {line.session} (go on: lestrade ask --session last ..., or lestrade chat --session last)")
        return OF_REPLY.get(report.outcome if report else reply.outcome, 0)
    finally:
        unfinished(line.close(), progress)


def opened(settings: Settings, *, server: str, snapshot: Path | None, context: str) -> Line:
    """Raises InputError, ClusterUnreachable, StoreUnavailable."""
    if snapshot and context:
        raise InputError("--snapshot and --context at once: choose one")
    where = server or (settings.server_url if not snapshot and not context else "")
    if where and (snapshot or context):
        raise InputError("--server, and a cluster or snapshot of your own, at once: choose one")
    if where:
        return RemoteLine(where, settings.server_token_file)
    return LocalLine(settings, Source(snapshot=snapshot, context=context))


def answer(line: Line, words: str, progress: Console, seen: dict[str, int] | None = None) -> Reply | None:
    """The reply; None when the person interrupted, and what only looks was stopped. A second interrupt leaves. `seen` is filled
    with how many events of which run were told."""
    try:
        return reply_of(line.ask(words), progress, seen)
    except KeyboardInterrupt:
        try:
            stopped = line.stop()
        except Busy as exc:
            progress.print(f"not stopped: {exc}", markup=False)
        else:
            progress.print("stopped" if stopped else "interrupted", markup=False)
        return None


def reply_of(told: Iterable[Told], progress: Console, seen: dict[str, int] | None = None) -> Reply | None:
    for one in told:
        say(one, progress)
        if isinstance(one, Stepped) and seen is not None:
            seen[one.run] = one.seq
        if isinstance(one, Answered):
            return one.reply
    return None


def say(told: Told, progress: Console) -> None:
    if isinstance(told, Stepped) and told.stage != "conclude":  # what the end says stands below, and longer
        text = shortened(told.text, 70) if told.stage == "diagnose" else told.text
        tell(progress, told.stage, text, style=COLOURS.get(told.stage, "dim"))


def end_of(line: Line, reply: Reply, seen: int, progress: Console) -> Report | None:
    """A plan waits for people: tells how its run goes on, to its end."""
    for step in line.follow(reply.run, seen):
        say(step, progress)
    return line.report(reply.run)


def show(line: Line, reply: Reply) -> None:
    out = Console(highlight=False, soft_wrap=True)
    report = line.report(reply.run) if reply.run and reply.outcome not in WITHOUT_A_REPORT else None
    if report is not None:
        outcome.show(report, out)
    elif out.is_terminal:
        out.print(Markdown(reply.text, hyperlinks=False), soft_wrap=False)
    else:
        print(reply.text)


def unfinished(runs: list[str], progress: Console) -> None:
    for run in runs[:3]:
        progress.print(f"run {run} is not finished: `lestrade runs resume {run}` goes on with it", markup=False)


def _ended(report: Report) -> dict[str, object]:
    return {"outcome": report.outcome, "statement": report.headline}


def _document(reply: Reply) -> dict[str, object]:
    body = to_document(reply)
    assert isinstance(body, dict)
    return dict(body)


def _json(document: dict[str, object]) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"
