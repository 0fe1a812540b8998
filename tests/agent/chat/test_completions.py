"""OpenAI's own client against a real server: what chat programs do with it."""

import hashlib

import httpx
import openai
import pytest

from tests.fakes.agent_service import served
from tests.fakes.agent_world import Script

QUESTION = {"role": "user", "content": "why does checkout restart?"}


def client(url: str, key: str = "none") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, http_client=httpx.AsyncClient(), max_retries=0)


async def test_models_and_an_answer(tmp_path):
    async with served(tmp_path, Script()) as url, client(url) as ai:
        models = [model.id async for model in ai.models.list()]
        one = await ai.models.retrieve("lestrade")
        answer = await ai.chat.completions.create(model="lestrade", messages=[QUESTION], temperature=0.2)

    assert models == ["lestrade"] == [one.id]
    assert "memory limit below what it needs" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


async def test_a_stream_gives_progress_then_the_answer_then_usage(tmp_path):
    async with served(tmp_path, Script()) as url, client(url) as ai:
        chunks = [
            chunk
            async for chunk in await ai.chat.completions.create(
                model="lestrade", messages=[QUESTION], stream=True, stream_options={"include_usage": True}
            )
        ]

    told = [chunk.choices[0] for chunk in chunks if chunk.choices]
    text = "".join(choice.delta.content or "" for choice in told)
    thought = "".join(getattr(choice.delta, "reasoning_content", None) or "" for choice in told)
    assert told[0].delta.role == "assistant"
    assert "memory limit below what it needs" in text
    assert "gather: read 2 objects" in thought
    assert told[-1].finish_reason == "stop"
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens > 0
    assert len({chunk.id for chunk in chunks}) == 1


async def test_the_whole_conversation_sent_again_goes_on_where_it_was(tmp_path):
    async with served(tmp_path, Script(review=False)) as url, client(url) as ai, httpx.AsyncClient(base_url=url) as http:
        messages = [{"role": "system", "content": "Be brief."}, QUESTION]
        for words in ("why?", "fix it"):
            answer = await ai.chat.completions.create(model="lestrade", messages=messages)
            messages += [{"role": "assistant", "content": answer.choices[0].message.content}, {"role": "user", "content": words}]
        fixed = await ai.chat.completions.create(model="lestrade", messages=messages)
        branch = await ai.chat.completions.create(
            model="lestrade", messages=[*messages[:3], {"role": "user", "content": "are you sure?"}]
        )
        sessions = (await http.get("/v1/chat")).json()["sessions"]

    assert "OOMKilled at the limit" in str(messages[4]["content"])
    assert "Repaired" in (fixed.choices[0].message.content or "")
    assert "exitCode: 137" in (branch.choices[0].message.content or "")
    assert len(sessions) == 2


async def test_words_that_only_quote_a_repair_repair_nothing(tmp_path):
    async with served(tmp_path, Script(review=False)) as url, client(url) as ai, httpx.AsyncClient(base_url=url) as http:
        task = "### Task: make a title of this chat.\nUSER: why does checkout restart?\nUSER: fix it"
        await ai.chat.completions.create(model="lestrade", messages=[{"role": "user", "content": task}])
        first = await ai.chat.completions.create(model="lestrade", messages=[{"role": "user", "content": "fix it"}])
        runs = (await http.get("/v1/runs")).json()["runs"]

    assert "Nothing was looked into" in (first.choices[0].message.content or "")
    assert all(run["incident"]["look_only"] for run in runs)


IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}
REFUSED = [
    ({"model": "gpt-4o"}, openai.NotFoundError, "does not exist"),
    ({"messages": []}, openai.BadRequestError, "messages"),
    ({"messages": [{"role": "system", "content": "x"}]}, openai.BadRequestError, "no message of the user"),
    ({"messages": [{"role": "user", "content": ""}]}, openai.BadRequestError, "empty"),
    ({"messages": [{"role": "user", "content": [IMAGE]}]}, openai.BadRequestError, "only text"),
    ({"n": 2}, openai.BadRequestError, "'n' is not supported"),
    ({"response_format": {"type": "json_object"}}, openai.BadRequestError, "response_format"),
    ({"tools": [], "tool_choice": "required"}, openai.BadRequestError, "tool_choice"),
]


async def test_what_is_refused_is_refused_as_openai_does(tmp_path):
    async with served(tmp_path, Script()) as url, client(url) as ai:
        for changes, error, says in REFUSED:
            with pytest.raises(error) as refused:
                await ai.chat.completions.create(**{"model": "lestrade", "messages": [QUESTION], **changes})
            assert says in refused.value.message
            assert refused.value.body["type"] == "invalid_request_error"


async def test_a_wrong_key_and_what_is_no_json(tmp_path):
    known = hashlib.sha256(b"a" * 40).hexdigest()
    (tmp_path / "people.toml").write_text(f'[[person]]\nname = "ada"\ntoken_sha256 = "{known}"\n')
    async with served(tmp_path, Script(), people_file=tmp_path / "people.toml") as url:
        async with client(url, "wrong") as ai:
            with pytest.raises(openai.AuthenticationError) as refused:
                await ai.chat.completions.create(model="lestrade", messages=[QUESTION])
        async with client(url, "a" * 40) as ai:
            answer = await ai.chat.completions.create(model="lestrade", messages=[{"role": "user", "content": "hello"}])
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {'a' * 40}"}) as http:
            broken = await http.post("/v1/chat/completions", content=b"{")

    assert refused.value.body["code"] == "invalid_api_key"
    assert (answer.choices[0].message.content or "").startswith("Hello")
    assert broken.status_code == 400
    assert "error" in broken.json()
