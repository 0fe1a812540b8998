"""`lestrade chat`: a conversation at the terminal, with history, that can be gone on with later.

An interrupt ends the answer that is worked on; at the prompt, or a second time, it ends the conversation. What acts goes on.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from agent.chat.conversation import LONGEST
from agent.cli import ask as asking
from agent.cli import outcome
from agent.cli.exits import INTERRUPTED
from agent.cli.line import Line
from agent.cli.terminal import console, settings_from
from agent.errors import LestradeError
from agent.rendering import as_markdown
from agent.rendering.safety import one_line
from agent.signals.masking import mask

PROMPT = "lestrade> "
MOST_REMEMBERED = 1000
HELP = """/help · /sessions · /session ID (or last) · /new · /report (the last one, as Markdown) · /quit
Ctrl-C stops an answer, twice ends the conversation. Everything else is a question; `help` says what can be asked."""


def chat(*, session: str, server: str, snapshot: Path | None, context: str, config: Path | None) -> int:
    settings = settings_from(config)
    line = asking.opened(settings, server=server, snapshot=snapshot, context=context)
    return Talk(line, console()).go(session)


class Talk:
    def __init__(self, line: Line, progress: Console) -> None:
        self._line = line
        self._progress = progress
        self._out = Console(highlight=False, soft_wrap=True)
        self._last_run = ""
        self._interrupted = False

    def go(self, session: str) -> int:
        try:
            with _history(sys.stdin.isatty()):
                if session:
                    self._resume(session)
                self._progress.print("Ask; /help says how. Ctrl-D leaves.", style="dim")
                return self._turns()
        except KeyboardInterrupt:
            self._progress.print("")
            return INTERRUPTED
        finally:
            self._leave()

    def _turns(self) -> int:
        while True:
            try:
                words = self._read()
            except EOFError:
                return 0
            except KeyboardInterrupt:
                if self._interrupted:
                    raise
                self._interrupted = True
                self._progress.print("\n(again, or Ctrl-D, to leave)", style="dim")
                continue
            if words in ("/quit", "/exit", "/q"):
                return 0
            if words:
                self._interrupted = False
                self._guarded(words)

    def _read(self) -> str:
        if sys.stdin.isatty():
            return input(PROMPT).strip()
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.strip()

    def _guarded(self, words: str) -> None:
        """What goes wrong with one turn ends that turn."""
        try:
            self._turn(words)
        except LestradeError as exc:
            self._progress.print(f"lestrade: {one_line(str(exc))}", style="red", markup=False)

    def _turn(self, words: str) -> None:
        if words.startswith("/"):
            self._command(words)
            return
        if len(words) > LONGEST:
            raise LestradeError(f"that is longer than {LONGEST} characters")
        seen: dict[str, int] = {}
        reply = asking.answer(self._line, words, self._progress, seen)
        if reply is None:
            self._interrupted = True
            return
        self._last_run = reply.run or self._last_run
        try:
            asking.show(self._line, reply)
            if reply.suggestions and sys.stdin.isatty():
                self._progress.print(f"\n{' · '.join(reply.suggestions)}", style="dim", markup=False)
            if reply.outcome == "waiting":
                self._progress.print("(Ctrl-C to go on talking; the run goes on)", style="dim")
                report = asking.end_of(self._line, reply, seen.get(reply.run, 0), self._progress)
                if report is not None:
                    outcome.show(report, self._out)
        except KeyboardInterrupt:  # enough of that; a second one, at the prompt, leaves
            self._interrupted = True
            self._progress.print("\n(again, or Ctrl-D, to leave)", style="dim")

    def _command(self, words: str) -> None:
        name, _, rest = words.partition(" ")
        match name:
            case "/help" | "/?":
                self._progress.print(HELP, markup=False)
            case "/new":
                self._line.session = ""
                self._progress.print("a new session begins with the next question", style="dim")
            case "/sessions":
                for one in self._line.sessions()[:20]:
                    self._out.print(f"{one.id}  {one.updated_at:%Y-%m-%d %H:%M}  {one_line(one.title)}", markup=False)
            case "/session":
                self._resume(rest.strip() or "last")
            case "/report":
                self._report()
            case _:
                self._progress.print(f"there is no {one_line(name)}; {HELP.splitlines()[0]}", markup=False)

    def _report(self) -> None:
        report = self._line.report(self._last_run) if self._last_run else None
        if report is None:
            raise LestradeError("there is no report yet")
        self._out.file.write(as_markdown(report))

    def _resume(self, session: str) -> None:
        known, told = self._line.resume(session)
        self._progress.print(f"session {known.id}: {one_line(known.title)}", style="dim", markup=False)
        for turn in known.turns[-2:]:
            self._progress.print(f"{PROMPT}{one_line(turn.said)}", style="dim", markup=False)
            if turn.reply is not None:
                self._last_run = turn.reply.run or self._last_run
                self._progress.print(Markdown(turn.reply.text, hyperlinks=False), soft_wrap=False)
        try:
            reply = asking.reply_of(told, self._progress)
        except KeyboardInterrupt:
            return
        if reply is not None:
            asking.show(self._line, reply)

    def _leave(self) -> None:
        with contextlib.suppress(LestradeError, KeyboardInterrupt):
            if self._line.session:
                self._progress.print(f"session {self._line.session} (go on: lestrade chat --session last)", style="dim")
            asking.unfinished(self._line.close(), self._progress)


@contextlib.contextmanager
def _history(is_terminal: bool) -> Iterator[None]:
    """Lines typed before, readable by their owner alone, without secrets."""
    if not is_terminal:
        yield
        return
    try:
        import readline
    except ImportError:  # a Python without it
        yield
        return
    path = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "lestrade" / "chat_history"
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(MOST_REMEMBERED)
    try:
        yield
    finally:
        for number in range(readline.get_current_history_length()):
            kept = readline.get_history_item(number + 1)
            if kept != mask(kept):
                readline.replace_history_item(number, mask(kept))
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            readline.write_history_file(path)
