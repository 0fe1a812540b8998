"""The terminal's side: a conversation in this process or with a service elsewhere, and what an interrupt does."""

import asyncio
import contextlib
import gzip
import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
import respx

from agent.chat.exchange import Answered, Opened, Stepped
from agent.cli import ask as asking
from agent.cli.ask import ask
from agent.cli.line import LocalLine
from agent.cli.remote import RemoteLine
from agent.errors import InputError, LestradeError, NotThere
from agent.eyes import Source
from agent.settings import Settings
from tests.agent.cli.test_commands import SNAPSHOT, surroundings
from tests.fakes.agent_service import served
from tests.fakes.agent_world import Script

QUESTION = "why does cart get no traffic?"


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    (tmp_path / "incident.json.gz").write_bytes(gzip.compress(json.dumps(SNAPSHOT).encode()))
    for name in [name for name in os.environ if name.startswith(("LESTRADE_", "KUBE"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(words: str, **rest: object) -> int:
    options = {"session": "", "server": "", "snapshot": Path("incident.json.gz"), "context": "", "as_json": False, "config": None}
    return ask(words, **{**options, **rest})


def test_ask_answers_and_the_next_one_goes_on_with_the_session(home, capsys):
    first = asked(QUESTION)
    answer = capsys.readouterr()
    again = asked("why?", session="last", as_json=True)
    follow_up = json.loads(capsys.readouterr().out)

    assert first == 1
    assert answer.out.lstrip().startswith("FAULT")
    assert "service-selector-mismatch" in answer.out
    assert "gather" in answer.err
    assert again == 0
    assert follow_up["outcome"] == "shown"
    assert follow_up["session"] in answer.err


def test_ask_ends_with_a_clear_error_for_what_cannot_be(home):
    with pytest.raises(InputError, match="empty"):
        asked(" ")
    with pytest.raises(NotThere, match="no session"):
        asked("why?", session="chat-of-nobody")
    with pytest.raises(InputError, match="no session yet"):
        asked("why?", session="last")
    with pytest.raises(InputError, match="choose one"):
        asked("why?", server="http://127.0.0.1:1")
    with pytest.raises(InputError, match="no such file"):
        asked("why?", snapshot=Path("none.json"))


def test_an_interrupt_stops_the_answer_and_says_so(home, capsys):
    class Interrupted(LocalLine):
        def ask(self, words):
            for told in super().ask(words):
                if isinstance(told, Stepped):
                    raise KeyboardInterrupt
                yield told

    line = Interrupted(Settings(), Source(snapshot=Path("incident.json.gz")))
    reply = asking.answer(line, QUESTION, asking.console())
    known, told = line.resume(line.session)
    rest = list(told)
    left = line.close()

    assert reply is None
    assert "stopped" in capsys.readouterr().err
    assert known.turns[-1].state in ("stopped", "answered")
    assert rest == []
    assert left == []


async def test_a_service_elsewhere_answers_as_one_s_own_process_does(tmp_path):
    def spoken(url: str) -> tuple[list[object], list[object], list[object]]:
        line = RemoteLine(url, None)
        first = list(line.ask("why does checkout restart?"))
        second = list(line.ask("fix it"))
        run = second[-1].reply.run
        rest = list(line.follow(run, 0))
        report = line.report(run)
        known, open_turn = line.resume("last")
        assert list(open_turn) == []
        assert [turn.said for turn in known.turns] == ["why does checkout restart?", "fix it"]
        assert report is not None
        assert report.outcome == "repaired"
        assert not line.stop()
        assert line.close() == []
        return first, second, rest

    async with served(tmp_path, Script(review=False)) as url:
        first, second, rest = await asyncio.to_thread(spoken, url)

    assert isinstance(first[0], Opened)
    assert isinstance(first[-1], Answered)
    assert first[-1].reply.causes[0].cause == "oom-killed"
    assert second[-1].reply.outcome == "repaired"
    assert rest[-1].stage == "conclude"


async def test_ask_waits_for_the_people_who_approve_elsewhere_and_ends_as_the_run_does(home, capsys):
    async with served(home, Script()) as url:
        first = await asyncio.to_thread(asked, "why does checkout restart?", snapshot=None, server=url)
        fixed = await asyncio.to_thread(asked, "fix it", session="last", snapshot=None, server=url)
    told = capsys.readouterr()

    assert [first, fixed] == [1, 0]
    assert "REPAIRED" in told.out
    assert "waiting for" in told.err
    assert "verify" in told.err


async def test_a_service_that_is_not_there_or_lets_nobody_in_is_said(tmp_path):
    (tmp_path / "people.toml").write_text("")
    (tmp_path / "token").write_text("nobody")
    with pytest.raises(LestradeError, match="no answer from the service"):
        await asyncio.to_thread(RemoteLine, "http://127.0.0.1:9", None)
    with pytest.raises(InputError, match="only sent over https"):
        RemoteLine("http://lestrade.example.com", tmp_path / "token")
    with pytest.raises(InputError, match="expected https://"):
        RemoteLine("lestrade.example.com", None)
    async with served(tmp_path, Script(), people_file=tmp_path / "people.toml") as url:
        with pytest.raises(InputError, match="does not let us in"):
            await asyncio.to_thread(RemoteLine, url, tmp_path / "token")


@respx.mock
def test_another_program_at_that_address_is_said_to_be_none_of_ours():
    respx.route(host="files.example.com").respond(404, text="<h1>File not found</h1>")

    with pytest.raises(LestradeError, match="answers 404, and not as a `lestrade serve` does"):
        RemoteLine("https://files.example.com", None)


def test_at_a_terminal_one_talks_and_ctrl_c_twice_leaves(home):
    parent, child = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LESTRADE_", "KUBE"))}
    command = [sys.executable, "-m", "agent.cli", "chat", "--snapshot", "incident.json.gz"]
    process = subprocess.Popen(
        command, cwd=home, env={**kept, **surroundings(home), "TERM": "dumb"}, stdin=child, stdout=child, stderr=child,
        start_new_session=True, preexec_fn=_controlling,
    )  # fmt: skip
    os.close(child)
    shown, read_to = "", 0

    def until(words: str) -> str:
        """What was shown since the last such words."""
        nonlocal shown, read_to
        end = time.monotonic() + 60
        while words not in shown[read_to:] and time.monotonic() < end:
            if select.select([parent], [], [], 0.2)[0]:
                shown += os.read(parent, 65536).decode(errors="replace")
        assert words in shown[read_to:], shown
        began, read_to = read_to, shown.index(words, read_to) + len(words)
        return shown[began:read_to]

    until("lestrade> ")
    os.write(parent, f"{QUESTION}\n".encode())
    answer = until("runbooks/") + until("lestrade> ")
    os.write(parent, b"why?\n")
    why = until("quotes of the cluster") + until("lestrade> ")
    ended, pressed = None, 0
    while (
        ended is None and pressed < 20
    ):  # Python's readline may sleep through one that comes before it listens, until the next key
        os.write(parent, b"\x03")  # at the prompt: while an answer is on its way it would be that which is stopped
        pressed += 1
        with contextlib.suppress(subprocess.TimeoutExpired):
            ended = process.wait(3)
        with contextlib.suppress(OSError):  # what is left of one that has ended
            while select.select([parent], [], [], 0)[0]:
                shown += os.read(parent, 65536).decode(errors="replace")
    os.close(parent)

    assert "selector" in answer
    assert "confidence" in why
    assert (ended, pressed > 1) == (130, True)
    assert "again, or Ctrl-D" in shown[read_to:]
    assert QUESTION in (home / "lestrade" / "chat_history").read_text()


def _controlling() -> None:
    """The pseudo-terminal is that of the new session: Ctrl-C typed into it interrupts."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@respx.mock
@pytest.mark.parametrize(("status", "said"), [(200, "the service"), (503, "http://odd.test answers 503, and not as")])
def test_a_service_that_answers_with_no_text_at_all_is_said(status, said):
    respx.get("http://odd.test/v1/chat").respond(status, content=b"\xff\xfe\xfa\xfb")
    with pytest.raises(LestradeError, match=said):
        RemoteLine("http://odd.test", None)
