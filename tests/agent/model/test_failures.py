"""Whatever a model server does, the run ends in the answer of the checks, with the reason in the report."""

import re
import threading
from dataclasses import replace

import httpx
import pytest

from agent.errors import ModelUnavailable
from agent.ports.model import REASONS
from agent.reasoning.model.client import OpenAIChat
from agent.rendering import render
from tests.agent.model.playing import crashing, played
from tests.fakes.model_minds import at_once, endless, honest, lying, tireless
from tests.fakes.model_server import KEY, Broken, Calls, Says, Talk

OVERFLOW = '{"error": {"message": "maximum context length is 8192 tokens", "code": "context_length_exceeded"}}'
LEAKING = f'{{"error": {{"message": "Incorrect API key provided: {KEY}"}}}}'


def truncated(talk: Talk) -> Broken:
    return Broken(200, '{"id": "c-1", "choices": [{"index": 0, "mess')


def unknown_tools(talk: Talk) -> Calls:
    return Calls.one("kubectl_delete", name=f"n{talk.turn}")


def wrong_arguments(talk: Talk) -> Calls:
    return Calls([("list_objects", {"kindd": "Pod", "n": talk.turn}), ("events", "{not json")])


def prose(talk: Talk) -> Says:
    return Says("I think it may be the network, or DNS. It usually is.")


FAILURES = {
    "wrong key": (lambda talk: Broken(401, LEAKING), "wrong-key"),
    "forbidden": (lambda talk: Broken(403), "forbidden"),
    "no such model": (lambda talk: Broken(404), "no-such-model"),
    "too many requests": (lambda talk: Broken(429), "rate-limited"),
    "too many requests, come back in an hour": (lambda talk: Broken(429, headers={"Retry-After": "3600"}), "rate-limited"),
    "internal error": (lambda talk: Broken(500), "server-error"),
    "bad request": (lambda talk: Broken(400, '{"error": {"message": "tools are not supported"}}'), "refused"),
    "redirect": (lambda talk: Broken(302, headers={"Location": "http://evil.example/"}), "refused"),
    "HTML with status 200": (lambda talk: Broken(200, "<html>Welcome</html>", "text/html"), "no-answer"),
    "no choices": (lambda talk: Broken(200, '{"id": "c", "object": "chat.completion", "choices": []}'), "no-answer"),
    "an error with status 200": (lambda talk: Broken(200, '{"error": {"message": "model is loading"}}'), "no-answer"),
    "truncated JSON": (truncated, "no-answer"),
    "nothing said": (lambda talk: Says(""), "no-answer"),
    "prose without a form": (prose, "unusable"),
    "unknown tools": (unknown_tools, "loop"),
    "wrong arguments": (wrong_arguments, "loop"),
    "an endless loop": (endless, "loop"),
    "questions without end": (tireless, "budget"),
    "context overflow": (lambda talk: Broken(400, OVERFLOW), "context-overflow"),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_every_failure_ends_in_the_answer_of_the_checks(tmp_path, name):
    script, reason = FAILURES[name]

    run = await played(tmp_path, script, model_stream=name.startswith(("HTML", "nothing")), model_run_calls=6)

    assert run.report.outcome == "diagnosed"
    assert run.causes == ["missing-env-var"]
    assert (run.assessment.outcome, run.assessment.reason) == ("unavailable", reason)
    assert reason in REASONS
    assert run.assessment.why in render(run.report, "md").replace("\\", "")
    assert KEY not in render(run.report, "json") + "".join(run.told)


async def test_a_model_that_fails_in_the_middle_costs_nothing_but_its_word(tmp_path):
    def tired(talk: Talk):
        return Broken(503) if talk.turn else honest(talk)

    run = await played(tmp_path, tired)

    assert run.causes == ["missing-env-var"]
    assert run.assessment.reason == "server-error"
    assert run.assessment.calls == 1


async def test_what_cannot_be_reached_is_said(tmp_path):
    run = await played(tmp_path, honest, model_url="http://127.0.0.1:9/v1")

    assert run.assessment.reason == "unreachable"
    assert "http://127.0.0.1:9" in run.assessment.why


async def test_a_server_that_says_nothing_is_not_waited_for(tmp_path):
    silent = threading.Event()

    def slow(talk: Talk):
        silent.wait(5)
        return Broken(500)

    run = await played(tmp_path, slow, model_seconds=0.2)
    silent.set()

    assert run.assessment.reason == "timeout"


@pytest.mark.parametrize(("file", "words"), [("absent", "No such file"), ("empty", "holds no key")])
async def test_without_a_key_nothing_is_asked(tmp_path, file, words):
    (tmp_path / "empty").write_text("\n")

    run = await played(tmp_path, honest, model_key_file=tmp_path / file)

    assert run.assessment.reason == "no-key"
    assert words in run.assessment.why
    assert run.server.talks == []
    assert run.causes == ["missing-env-var"]


async def test_openai_itself_is_not_asked_without_a_key(tmp_path):
    run = await played(tmp_path, honest, model_url="", model_key_file=None)

    assert run.assessment.reason == "no-key"


async def test_an_answer_in_the_wrong_form_is_sent_back_once_with_what_is_wrong(tmp_path):
    def clumsy(talk: Talk):
        return Says('{"outcome": "disaster"}') if talk.turn == 0 else at_once(talk)

    run = await played(tmp_path, clumsy)

    assert "outcome: Input should be 'fault', 'healthy' or 'unknown'" in run.server.talks[1].last
    assert run.assessment.outcome == "answered"


async def test_a_context_that_was_too_long_is_shortened_once(tmp_path):
    seen: list[int] = []

    def small(talk: Talk):
        seen.append(sum(len(str(one["content"])) for one in talk.messages))
        if talk.turn < 9:
            pod = re.search(r"Pod shop/(\S+?):", talk.opening)
            assert pod is not None
            return Calls.one("logs", namespace="shop", pod=pod[1], tail=talk.turn + 1000)
        return at_once(talk) if seen[-1] < 40_000 else Broken(400, OVERFLOW)

    snapshot = crashing()
    long = tuple(replace(log, text=log.text * 60) for log in snapshot.logs)

    run = await played(tmp_path, small, snapshot=replace(snapshot, logs=long))

    assert run.assessment.outcome == "answered"
    assert seen[-2] >= 40_000 > seen[-1]
    assert "can still be cited" in str(run.server.talks[-1].messages)


async def test_lies_are_sent_back_once_and_then_dropped_and_named(tmp_path):
    run = await played(tmp_path, lying)

    assert len(run.server.talks) == 2
    assert "there is no evidence ev-777" in run.server.talks[1].last
    assert run.causes == ["missing-env-var"]
    told = "\n".join(run.assessment.dropped)
    assert "ev-777" in told
    assert "words that nobody wrote here" in told
    assert "ghost-service was not seen" in told
    assert run.assessment.said == ""
    assert run.assessment.inference == ()
    assert run.assessment.agrees is None
    assert "ghost-service" not in run.report.headline


async def test_the_error_never_holds_the_request():
    refusal = httpx.MockTransport(lambda _: httpx.Response(401, json={"error": {"message": KEY}}))
    async with httpx.AsyncClient(transport=refusal) as http:
        chat = OpenAIChat(model="m", url="http://llm.test/v1", key=KEY, http=http, retries=0, stream=False)
        with pytest.raises(ModelUnavailable) as caught:
            await chat.reply([], [], most_tokens=10)

    assert KEY not in repr(caught.value)
    assert caught.value.__cause__ is None
