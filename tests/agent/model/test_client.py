"""The adapter of Chat Completions, by the requests that it makes and the answers that it reads."""

import json

import httpx
import pytest
import respx

from agent.errors import ModelUnavailable
from agent.ports.model import Message, ToolCall, ToolSpec
from agent.reasoning.model.client import OpenAIChat
from tests.fakes.model_server import KEY, Calls, Says, Talk, completion, events

URL = "http://llm.test/v1"
TOOL = ToolSpec(name="events", description="d", parameters={"type": "object"})
SAID = Says('{"a": "a long answer that comes in more than one piece, because it is longer than forty characters"}')
ASKED = Calls([("events", {"namespace": "a-namespace-with-a-long-name"}), ("logs", {"pod": "a-pod-with-a-rather-long-name-too"})])
MESSAGES = [
    Message(role="user", text="hello"),
    Message(role="assistant", calls=(ToolCall(id="c1", name="events", arguments="{}"),)),
    Message(role="tool", text="nothing", answers="c1"),
]


async def ask(*, stream: bool = False, retries: int = 0, url: str = URL, told: list[str] | None = None):
    async def progress(line: str) -> None:
        if told is not None:
            told.append(line)

    async with httpx.AsyncClient(timeout=5) as http:
        chat = OpenAIChat(model="m", url=url, key=KEY, http=http, retries=retries, stream=stream)
        return await chat.reply(MESSAGES, [TOOL], most_tokens=77, progress=progress)


@respx.mock
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("said", [SAID, ASKED])
async def test_plain_and_streamed_answers_are_the_same(said, stream):
    talk = Talk(messages=[], tools=[])
    body = "".join(events(said, talk)) if stream else json.dumps(completion(said, talk))
    kind = "text/event-stream" if stream else "application/json"
    respx.post(f"{URL}/chat/completions").respond(200, text=body, headers={"Content-Type": kind})

    reply = await ask(stream=stream)

    assert reply.text == (said.text if isinstance(said, Says) else "")
    assert [(call.name, json.loads(call.arguments)) for call in reply.calls] == (list(said.calls) if said is ASKED else [])
    assert (reply.usage.prompt, reply.usage.completion) == (100, 20)


@respx.mock
async def test_the_request_says_what_was_said_and_which_tools_there_are():
    route = respx.post(f"{URL}/chat/completions").respond(json=completion(SAID))

    await ask()

    sent = json.loads(route.calls[0].request.content)
    assert sent["messages"][1]["tool_calls"][0]["function"] == {"name": "events", "arguments": "{}"}
    assert sent["messages"][2] == {"role": "tool", "content": "nothing", "tool_call_id": "c1"}
    assert [one["function"]["name"] for one in sent["tools"]] == ["events"]
    assert sent["max_tokens"] == 77
    assert route.calls[0].request.headers["Authorization"] == f"Bearer {KEY}"


@respx.mock
async def test_openai_is_told_the_limit_by_its_own_name():
    route = respx.post("https://api.openai.com/v1/chat/completions").respond(json=completion(SAID))

    await ask(url="https://api.openai.com/v1")

    sent = json.loads(route.calls[0].request.content)
    assert sent["max_completion_tokens"] == 77
    assert "max_tokens" not in sent


@respx.mock
async def test_who_asks_too_often_is_asked_again_when_the_server_says():
    again = httpx.Response(429, headers={"Retry-After": "0.01"})
    route = respx.post(f"{URL}/chat/completions").mock(side_effect=[again, httpx.Response(200, json=completion(SAID))])

    reply = await ask(retries=2)

    assert reply.text == SAID.text
    assert route.call_count == 2


@respx.mock
async def test_a_stream_that_breaks_off_is_no_answer():
    body = "".join(events(SAID, Talk(messages=[], tools=[])))
    respx.post(f"{URL}/chat/completions").respond(200, text=body[: len(body) // 2], headers={"Content-Type": "text/event-stream"})

    with pytest.raises(ModelUnavailable) as caught:
        await ask(stream=True)

    assert caught.value.reason in ("cut-off", "no-answer")


@respx.mock
async def test_an_answer_that_was_cut_at_its_limit_is_said_to_be():
    document = completion(SAID)
    document["choices"][0]["finish_reason"] = "length"
    respx.post(f"{URL}/chat/completions").respond(json=document)

    with pytest.raises(ModelUnavailable) as caught:
        await ask()

    assert caught.value.reason == "cut-off"


@respx.mock
async def test_what_the_model_asks_for_is_told_while_it_comes():
    body = "".join(events(ASKED, Talk(messages=[], tools=[])))
    respx.post(f"{URL}/chat/completions").respond(200, text=body, headers={"Content-Type": "text/event-stream"})
    told: list[str] = []

    await ask(stream=True, told=told)

    assert told == ["asks for events", "asks for logs"]


@respx.mock
@pytest.mark.parametrize("error", [httpx.ConnectError("no"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("gone")])
async def test_the_network_failing_is_named(error):
    respx.post(f"{URL}/chat/completions").mock(side_effect=error)

    with pytest.raises(ModelUnavailable) as caught:
        await ask()

    assert caught.value.reason == ("timeout" if isinstance(error, httpx.ReadTimeout) else "unreachable")


@respx.mock
async def test_a_server_without_counts_is_counted_for():
    document = completion(SAID)
    del document["usage"]
    respx.post(f"{URL}/chat/completions").respond(json=document)

    reply = await ask()

    assert reply.usage.prompt > 10
    assert reply.usage.completion > 10


@respx.mock
async def test_half_characters_and_floods_do_no_harm():
    half = completion(SAID)
    half["choices"][0]["message"]["content"] = "half \ud83d of one"
    many = completion(Calls([("events", {})] * 100))
    answers = [httpx.Response(200, content=json.dumps(one).encode()) for one in (half, many)]
    for answer in answers:
        answer.headers["Content-Type"] = "application/json"
    respx.post(f"{URL}/chat/completions").mock(side_effect=answers)

    assert (await ask()).text == "half ? of one"
    with pytest.raises(ModelUnavailable, match="100 tool calls"):
        await ask()


@respx.mock
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("counted", [-1_000_000, "many", 10**30, True, None])
async def test_a_count_that_is_none_pays_nothing_back(counted, stream):
    usage = {"prompt_tokens": counted, "completion_tokens": 3, "total_tokens": 3}
    document = completion(SAID)
    piece = {"index": 0, "delta": {"content": "{}"}, "finish_reason": "stop"}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [piece], "usage": usage}
    body = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n" if stream else json.dumps({**document, "usage": usage})
    kind = "text/event-stream" if stream else "application/json"
    respx.post(f"{URL}/chat/completions").respond(200, text=body, headers={"Content-Type": kind})

    reply = await ask(stream=stream)

    assert 0 < reply.usage.prompt < 10_000
    assert 0 < reply.usage.completion < 10_000
