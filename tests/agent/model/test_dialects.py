"""Servers that speak Chat Completions in their own way, each as it was seen: what they answer is understood, and what they refuse
is said otherwise. Over real HTTP."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx

from agent.errors import ModelUnavailable
from agent.ports.model import Message, Reply, ToolCall, ToolSpec
from agent.reasoning.model import bounded
from agent.reasoning.model.client import REMEMBERED_SECONDS, OpenAIChat
from agent.reasoning.model.inquiry import read_reply, write_reply
from agent.reasoning.model.proposal import conclude_tool
from tests.fakes.model_server import KEY, Broken, ModelServer, Says

EVENTS = ToolSpec(name="events", description="what happened", parameters={"type": "object", "properties": {}})
TOOLS = [conclude_tool(), EVENTS]
HELLO = [Message(role="system", text="be brief"), Message(role="user", text="hello")]
LOOKED = [
    *HELLO,
    Message(role="assistant", calls=(ToolCall(id="c00010000", name="events", arguments=""),)),
    Message(role="tool", text="nothing", answers="c00010000"),
    Message(role="user", text="conclude now"),
]
SHOP = {"namespace": "shop"}


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer.running(lambda talk: Says("hello")) as running:
        yield running


async def ask(
    server: ModelServer, messages=HELLO, *, stream: bool = False, seconds: float = 30, times: int = 1, most_tokens: int = 77
) -> Reply:
    async with httpx.AsyncClient(timeout=30) as http:
        chat = OpenAIChat(model="m", url=server.url, key=KEY, http=http, retries=0, stream=stream, seconds=seconds)
        for _ in range(times):
            reply = await chat.reply(messages, TOOLS, most_tokens=most_tokens)
        return reply


def message(finish: str | None = "stop", /, **parts: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", **parts}, "finish_reason": finish}]}


def call(arguments: Any, /, name: str = "events", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


def plain(document: Any) -> Broken:
    return Broken(200, json.dumps(document))


def streamed(*chunks: Any, done: bool = True) -> Broken:
    lines = [f"data: {json.dumps(one)}\n\n" if not isinstance(one, str) else one for one in chunks]
    return Broken(200, "".join(lines) + ("data: [DONE]\n\n" if done else ""), "text/event-stream")


def piece(finish: str | None = None, /, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


TEXT = {
    "thinking in the text": plain(message(content="<think>is it DNS?\n</think>\n\nhello")),
    "thinking that the template began": plain(message(content="is it DNS?\n</think>hello")),
    "thinking in a field of its own": plain(message(content="hello", reasoning_content="is it DNS?")),
    "content in parts": plain(message(content=[{"type": "thinking", "thinking": []}, {"type": "text", "text": "hello"}])),
    "no index and no role": plain({"choices": [{"message": {"content": "hello"}}]}),
    "a whole answer where a stream was asked for": plain(message(content="hello")),
    "comments and pieces without a delta": streamed(
        ": OPENROUTER PROCESSING\n\n",
        {"choices": [], "prompt_filter_results": []},
        piece(role="assistant", content=""),
        {"choices": [{"index": 0, "finish_reason": None, "content_filter_results": {}}]},
        piece("", content="hel"),
        piece("stop", content="lo"),
    ),
    "no finish but its end": streamed(piece(content="hello")),
    "a stream with another content type": Broken(200, streamed(piece("stop", content="hello")).body, "text/plain"),
    "line ends of Windows, no spaces": Broken(
        200, streamed(piece("stop", content="hello")).body.replace("data: ", "data:").replace("\n", "\r\n"), "text/event-stream"
    ),
    "line ends within a text": streamed(
        f'data: {json.dumps(piece("stop", content="hello"), ensure_ascii=False)[:-1]}, "x": "\u2028\x85"}}\n\n'
    ),
}


@pytest.mark.parametrize("name", TEXT)
async def test_a_text_is_understood_however_it_is_wrapped(server, name):
    server.script = lambda talk: TEXT[name]

    reply = await ask(server, stream=True)

    assert (reply.text, reply.calls) == ("hello", ())


ONE = [("events", SHOP)]
CALLS = {
    "arguments as an object": (plain(message(tool_calls=[call(SHOP, id="a")])), ONE),
    "JSON within JSON": (plain(message(tool_calls=[call(json.dumps(json.dumps(SHOP)), id="a")])), ONE),
    "no ids, and stop": (plain(message(content=None, tool_calls=[call('{"namespace": "shop"}', id="")])), ONE),
    "the old function_call": (plain(message(function_call={"name": "events", "arguments": '{"namespace":"shop"}'})), ONE),
    "a list of nothing": (plain(message(content='{"name": "events", "arguments": {"namespace": "shop"}}', tool_calls=[])), ONE),
    "tagged in the text": (
        plain(message(content='<think>or <tool_call>{}</think>Let me see. <tool_call>\n{"name": "events", "arguments": '
                              '{"namespace": "shop"}}\n</tool_call><tool_call>{"name":"events","arguments":{}}</tool_call>')),
        [*ONE, ("events", {})],
    ),
    "a function's tags": (
        plain(message(content="<tool_call>\n<function=events>\n<parameter=namespace>\nshop\n</parameter>\n</function></tool_call>")),
        ONE,
    ),
    "marked in the text": (plain(message(content='[TOOL_CALLS][{"name": "events", "arguments": {"namespace": "shop"}}]')), ONE),
    "fenced": (plain(message(content='```json\n{"name": "events", "parameters": {"namespace": "shop"}}\n```')), ONE),
    "each with index 0": (
        streamed(
            piece(tool_calls=[{"index": 0, **call('{"namespace":"shop"}', id="a")}]),
            piece(tool_calls=[{"index": 0, **call("{}", id="b")}]),
            piece("stop"),
        ),
        [*ONE, ("events", {})],
    ),
    "no index, in pieces": (
        streamed(
            piece(tool_calls=[call("", id="a")]),
            piece(tool_calls=[{"function": {"arguments": '{"namespace":'}}]),
            piece(tool_calls=[{"function": {"arguments": '"shop"}'}}]),
            piece(tool_calls=[call("{}", id="b")]),
        ),
        [*ONE, ("events", {})],
    ),
    "name and id in every piece": (
        streamed(
            piece(tool_calls=[{"index": 0, **call('{"namespace":', id="a")}]),
            piece(tool_calls=[{"index": 0, **call('"shop"}', id="a")}]),
            piece("tool_calls", tool_calls=[{"index": 0, **call("", id="a")}]),
        ),
        ONE,
    ),
    "nulls in pieces": (
        streamed(
            piece(content=None, tool_calls=None),
            piece(tool_calls=[{"index": 0, "id": "a", "function": {"name": "events", "arguments": None}}]),
            piece(tool_calls=[{"index": 0, "id": None, "function": {"name": None, "arguments": '{"namespace":"shop"}'}}]),
            piece("tool_calls", tool_calls=[]),
        ),
        ONE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_is_understood_however_it_is_written(server, name):
    answer, wanted = CALLS[name]
    server.script = lambda talk: answer

    reply = await ask(server, stream=True)

    assert [(one.name, json.loads(one.arguments)) for one in reply.calls] == wanted
    assert len({one.id for one in reply.calls}) == len(wanted)
    assert all(one.id for one in reply.calls)


async def test_only_tools_that_were_offered_are_called_out_of_a_text(server):
    said = 'the log says <tool_call>{"name": "delete_all", "arguments": {}}</tool_call>'
    server.script = lambda talk: plain(message(content=said))

    reply = await ask(server)

    assert (reply.text, reply.calls) == (said, ())


async def test_an_id_that_was_used_before_is_not_used_again(server):
    server.script = lambda talk: plain(message(tool_calls=[call("{}", id="c00010000"), call("{}", id="c00010000")]))

    reply = await ask(server, LOOKED)

    assert "c00010000" not in [one.id for one in reply.calls]
    assert len({one.id for one in reply.calls}) == 2


async def test_what_a_server_wants_to_see_again_goes_back_with_the_call(server):
    signature = {"google": {"thought_signature": "c2lnbmVk"}}
    server.script = lambda talk: plain(message(tool_calls=[call("{}", id="a", extra_content=signature)]))

    reply = read_reply(write_reply(await ask(server)))
    await ask(server, [*HELLO, Message(role="assistant", calls=reply.calls), Message(role="tool", text="x", answers="a")])

    assert server.talks[-1].messages[2]["tool_calls"][0]["extra_content"] == signature


async def test_a_history_is_told_in_a_form_that_templates_can_read(server):
    server.script = lambda talk: Says("hello")

    await ask(server, [*LOOKED[:2], Message(role="assistant", calls=(ToolCall(id="a", name="events", arguments="{oops"),))])

    told = server.talks[-1].messages[2]
    assert told["content"] is None
    assert told["tool_calls"][0]["function"]["arguments"] == "{}"


async def test_schemas_hold_no_word_that_grammars_of_servers_break_on(server):
    server.script = lambda talk: Says("hello")

    await ask(server)

    schema = server.talks[-1].tools[0]["function"]["parameters"]
    text = json.dumps(schema)
    assert not any(f'"{word}":' in text for word in ("pattern", "format", "maxLength", "$ref", "$defs", "default", "title"))
    cited = schema["properties"]["causes"]["items"]["properties"]["evidence"]["items"]
    assert cited["required"] == ["evidence", "words"]
    assert schema["properties"]["outcome"]["enum"] == ["fault", "healthy", "unknown"]


def refusing(word: str, said: str, status: int = 400):
    """A server that refuses requests which hold a word."""

    def script(talk):
        return Broken(status, json.dumps({"error": {"message": said}})) if word in script.server.raw[-1] else Says("hello")

    return script


REFUSALS = {
    "a stream": (
        '"stream":true',
        "Your organization must be verified to stream this model. Please go to: https://a.test/settings",
    ),
    "a stream of calls": ('"stream":true', "Cannot use tools with stream"),
    "null for a text": ('"content":null', "Invalid 'content': 'content' field must be a string or an array of objects."),
    "the limit's old name": ('"max_tokens"', "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
    "being asked to count": ('"stream_options"', "property 'stream_options' is unsupported, did you mean 'stream'?"),
    "a system message": ('"system"', "System role not supported"),
    "a system message, of OpenAI": (
        '"system"',
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
    ),
    "tools": ('"tools"', "registry.ollama.ai/library/gemma:2b does not support tools"),
    "tools without a switch": ('"tools"', '"auto" tool choice requires --enable-auto-tool-choice'),
    "a user after a tool": ('{"role":"user","content":"conclude now"}', "Unexpected role 'user' after role 'tool'"),
}


async def test_what_was_thought_aloud_goes_back_only_to_a_server_that_wants_it(server):
    def wanting(talk):
        if any(one["role"] == "assistant" and "reasoning_content" not in one for one in talk.messages):
            return Broken(400, '{"error": {"message": "The `reasoning_content` in the thinking mode must be passed back"}}')
        return plain(message(content=None, reasoning_content="is it DNS?", tool_calls=[call("{}", id="a")]))

    server.script = wanting
    first = read_reply(write_reply(await ask(server)))
    said = Message(role="assistant", calls=first.calls, thought=first.thought)
    server.raw.clear()

    await ask(server, [*HELLO, said, Message(role="tool", text="x", answers="a")])

    assert "is it DNS?" not in server.raw[0]
    assert server.talks[-1].messages[2]["reasoning_content"] == "is it DNS?"


@pytest.mark.parametrize("name", REFUSALS)
async def test_what_a_server_refuses_by_name_is_said_otherwise_and_remembered(server, name):
    word, said = REFUSALS[name]
    server.script = refusing(word, said)
    server.script.server = server
    server.raw.clear()

    reply = await ask(server, LOOKED, stream=True, times=2)

    assert reply.text == "hello"
    assert len(server.raw) == 3
    assert word not in server.raw[-1]
    assert "conclude now" in server.raw[-1]
    assert ("JSON object of this schema" in server.raw[-1]) == (word == '"tools"')


async def test_what_a_server_refused_is_tried_again_after_a_while(server):
    server.script = refusing(*REFUSALS[next(name for name, (word, _) in REFUSALS.items() if word == '"tools"')])
    server.script.server = server
    server.raw.clear()
    now = [5_000.0]

    async with httpx.AsyncClient(timeout=30) as http:
        chat = OpenAIChat(model="m", url=server.url, key=KEY, http=http, retries=0, elapsed=lambda: now[0])
        await chat.reply(HELLO, TOOLS, most_tokens=77)
        now[0] += REMEMBERED_SECONDS - 1
        await chat.reply(HELLO, TOOLS, most_tokens=77)
        server.script = lambda talk: Says("hello")  # it was begun anew, and takes tools
        now[0] += 2
        await chat.reply(HELLO, TOOLS, most_tokens=77)

    assert ['"tools"' in raw for raw in server.raw] == [True, False, False, True]


def limit_of(raw):
    body = json.loads(raw)
    return body.get("max_tokens", body.get("max_completion_tokens"))


LIMITS = {
    "of the model": ("max_tokens is too large: 77000. This model supports at most 4096 completion tokens", [77000, 4096, 4096]),
    "of the model, as a bound": (
        "The parameter `max_completion_tokens` is not valid: expected a value <= 12288, but got more",
        [77000, 12288, 12288],
    ),
    "of the context": (
        "'max_tokens' or 'max_completion_tokens' is too large: 77000. This model's maximum context length is 8192 tokens and "
        "your request has 5000 input tokens (77000 > 8192 - 5000).",
        [77000, 3176, 77000, 3176],
    ),
    "of the context, as it was said": (
        "This model's maximum context length is 8192 tokens. However, you requested 82000 tokens (5000 in the messages, 77000 "
        "in the completion).",
        [77000, 3176, 77000, 3176],
    ),
}


@pytest.mark.parametrize("name", LIMITS)
async def test_an_answer_is_asked_for_as_long_as_it_may_be(server, name):
    said, limits = LIMITS[name]

    def short(talk):
        return Broken(400, json.dumps({"error": {"message": said}})) if limit_of(server.raw[-1]) == 77000 else Says("hello")

    server.script = short
    server.raw.clear()

    reply = await ask(server, times=2, most_tokens=77_000)

    assert reply.text == "hello"
    assert [limit_of(one) for one in server.raw] == limits


async def test_no_room_for_an_answer_is_too_much_text(server):
    said = "'max_tokens' is too large: 77. This model's maximum context length is 8192 tokens (77 > 8192 - 8190)"
    server.script = lambda talk: Broken(400, json.dumps({"error": {"message": said}}))

    with pytest.raises(ModelUnavailable) as caught:
        await ask(server)

    assert caught.value.reason == "context-overflow"


async def test_a_model_that_calls_tools_only_without_reasoning_keeps_its_tools(server):
    def luna(talk):
        if '"reasoning_effort":"none"' in server.raw[-1]:
            return plain(message(tool_calls=[call("{}", id="a")]))
        said = (
            "Function tools with reasoning_effort are not supported for gpt-x in /v1/chat/completions. To use function tools, use"
        )
        return Broken(400, json.dumps({"error": {"message": f"{said} /v1/responses or set reasoning_effort to 'none'."}}))

    server.script = luna
    server.raw.clear()

    reply = await ask(server, times=2)

    assert [one.name for one in reply.calls] == ["events"]
    assert len(server.raw) == 3


async def test_a_call_that_the_server_could_not_read_is_asked_for_once_more(server):
    broken = {"error": {"message": "Failed to call a function.", "code": "tool_use_failed", "failed_generation": "<function=x"}}
    answers = [Broken(400, json.dumps(broken)), Says("hello")]
    server.script = lambda talk: answers.pop(0)

    assert (await ask(server)).text == "hello"

    server.script = lambda talk: Broken(400, json.dumps(broken))
    server.raw.clear()
    with pytest.raises(ModelUnavailable, match="Failed to call a function"):
        await ask(server)
    assert len(server.raw) == 2


async def test_what_a_gateway_says_of_the_server_behind_it_counts(server):
    def gateway(talk):
        raw = json.dumps({"error": {"message": "Your organization must be verified to stream this model.", "param": "stream"}})
        told = {"message": "Provider returned error", "code": 400, "metadata": {"raw": raw}}
        return Broken(400, json.dumps({"error": told})) if '"stream":true' in server.raw[-1] else Says("hello")

    server.script = gateway

    assert (await ask(server, stream=True)).text == "hello"


async def test_an_error_that_is_a_text_is_read_too(server):
    def texts(talk):
        said = "Invalid 'content': 'content' field must be a string or an array of objects."
        return Broken(400, json.dumps({"error": said})) if '"content":null' in server.raw[-1] else Says("hello")

    server.script = texts

    assert (await ask(server, LOOKED)).text == "hello"


async def test_what_a_refusal_repeats_of_the_cluster_changes_nothing(server):
    told = [{"loc": ["body", "n"], "msg": "Input should be 1", "input": "tools are not supported; Cannot use tools with stream"}]
    server.script = lambda talk: Broken(422, json.dumps({"detail": told}))
    server.raw.clear()

    with pytest.raises(ModelUnavailable):
        await ask(server, stream=True)

    assert len(server.raw) == 1


@respx.mock
async def test_azure_is_asked_at_its_deployment_in_its_version_with_its_own_header():
    route = respx.post("https://x.openai.azure.com/openai/deployments/blue/chat/completions").respond(
        json=message(content="hello")
    )
    async with httpx.AsyncClient(timeout=5) as http:
        url = "https://x.openai.azure.com/openai/deployments/blue?api-version=2024-10-21"
        chat = OpenAIChat(model="m", url=url, key=KEY, http=http, retries=0, stream=False)
        reply = await chat.reply(HELLO, TOOLS, most_tokens=77)

    request = route.calls[0].request
    assert reply.text == "hello"
    assert dict(request.url.params) == {"api-version": "2024-10-21"}
    assert (request.headers["api-key"], request.headers.get("Authorization")) == (KEY, None)
    assert json.loads(request.content)["max_completion_tokens"] == 77


@respx.mock
async def test_azure_of_the_first_version_is_asked_as_openai_is():
    route = respx.post("https://x.openai.azure.com/openai/v1/chat/completions").respond(json=message(content="hello"))
    async with httpx.AsyncClient(timeout=5) as http:
        chat = OpenAIChat(
            model="m", url="https://x.openai.azure.com/openai/v1", key=KEY, http=http, retries=0, stream=False
        )  # fmt: skip
        await chat.reply(HELLO, TOOLS, most_tokens=77)

    headers = route.calls[0].request.headers
    assert (headers["Authorization"], headers.get("api-key")) == (f"Bearer {KEY}", None)


NO_ANSWERS = {
    "a refusal": (plain(message(content=None, refusal="I cannot help with that")), "refused", "declines to answer: I cannot"),
    "a filter": (plain(message("content_filter", content="")), "refused", "content filter"),
    "thinking only": (plain(message(content="<think>hm, hm")), "no-answer", "thinks aloud"),
    "cut off while thinking": (plain(message("length", content="<think>hm")), "cut-off", "LESTRADE_MODEL_ANSWER_TOKENS"),
    "an error in a stream": (streamed(piece(content="a"), {"error": {"code": 429, "message": "slow"}}), "rate-limited", "quota"),
    "an error without a status": (streamed({"error": "model is loading"}), "no-answer", "model is loading"),
    "an end without an end": (streamed(piece(content="hello"), done=False), "cut-off", "broke off"),
    "too deep": (Broken(200, "[" * 100_000), "no-answer", "RecursionError"),
    "too long": (Broken(200, '{"choices": "' + "x" * 9_000_000), "no-answer", "more than 8 MB"),
    "a line too long": (Broken(200, "data: " + "x" * 9_000_000, "text/event-stream"), "no-answer", "a line of more than 8 MB"),
    "packed": (Broken(200, "x", headers={"Content-Encoding": "gzip"}), "no-answer", "packed"),
    "a refusal without end": (Broken(400, '{"error": {"message": "' + "x" * 1_000_000), "refused", "HTTP 400"),
    "too much, as Gemini says": (
        Broken(400, '{"error": {"message": "The input token count (99) exceeds the maximum"}}'), "context-overflow", "that much"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_ANSWERS)
async def test_what_is_no_answer_is_named_for_what_it_is(server, name):
    answer, reason, words = NO_ANSWERS[name]
    server.script = lambda talk: answer

    with pytest.raises(ModelUnavailable, match=words) as caught:
        await ask(server, stream=True)

    assert caught.value.reason == reason


async def test_an_answer_that_trickles_in_is_not_listened_to_for_ever():
    class Trickle(httpx.AsyncByteStream):
        async def __aiter__(self):
            import asyncio

            while True:
                await asyncio.sleep(0.01)
                yield b": still thinking\n\n"

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=Trickle())

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        chat = OpenAIChat(model="m", url="http://llm.test/v1", key=KEY, http=http, retries=0, seconds=0.1)
        with pytest.raises(ModelUnavailable) as caught:
            await chat.reply(HELLO, TOOLS, most_tokens=77)

    assert caught.value.reason == "timeout"


async def test_a_stream_without_end_is_left():
    class Flood(httpx.AsyncByteStream):
        sent = 0

        async def __aiter__(self):
            while True:
                Flood.sent += 1_000_000
                yield b"\n" * 1_000_000

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Type": "application/json"}, stream=Flood())

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        chat = OpenAIChat(model="m", url="http://llm.test/v1", key=KEY, http=http, retries=0, stream=False)
        with pytest.raises(ModelUnavailable) as caught:
            await chat.reply(HELLO, TOOLS, most_tokens=77)

    assert caught.value.reason == "no-answer"
    assert Flood.sent <= bounded.MOST_WHOLE + 1_000_000
