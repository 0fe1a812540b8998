"""The official SDK's client speaks with the server: over standard input and output, and over HTTP."""

import asyncio
import gzip
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import httpx2
import pytest
import uvicorn
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from agent.chat.mcp import PATH, asked_by, http_app, mcp_server
from agent.chat.toolkit import LONGEST, Toolkit
from agent.cli.mcp import callers
from agent.cli.serve import bind
from agent.errors import InputError
from agent.settings import Settings
from tests.agent.cli.test_commands import SNAPSHOT
from tests.fakes.agent_shop import fake_shop
from tests.fakes.agent_world import HEALS, Script, World

TOKEN = "t" * 40
REPOSITORY = Path(__file__).parents[3]


@asynccontextmanager
async def served(folder: Path, script: Script, *, governed: bool = True):
    (folder / "token").write_text(TOKEN)
    async with fake_shop(folder, script, governed=governed) as shop:
        toolkit = Toolkit(shop)
        app = http_app(mcp_server(toolkit, asked_by=asked_by, version="1"), callers(Settings(mcp_token_file=folder / "token")))
        bound = bind("127.0.0.1:0")
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
        task = asyncio.create_task(server.serve(sockets=[bound]))
        for _ in range(1000):
            if server.started:
                break
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}{PATH}", shop
        finally:
            server.should_exit = True
            await task
            await toolkit.close()


@asynccontextmanager
async def speaking(url: str):
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


async def test_over_http_it_investigates_with_progress_and_changes_nothing(tmp_path):
    progress: list[str] = []

    async def happens(done: float, total: float | None, message: str | None) -> None:
        progress.append(message or "")

    async with served(tmp_path, Script()) as (url, shop), speaking(url) as client:
        found = await client.call_tool("investigate", {"question": "why does checkout restart?"}, progress_callback=happens)
        rows = await shop.store.rows(limit=5)

    assert not found.is_error
    assert found.structured_content["causes"][0]["cause"] == "oom-killed"
    assert "OOMKilled" in found.structured_content["evidence"][0]["text"]
    assert any(line.startswith("gather") for line in progress)
    assert [(row.incident.asked_by, row.incident.look_only) for row in rows] == [("mcp", True)]
    assert World(tmp_path / "world.json").writes == []


async def test_propose_submits_the_remedy_and_waits_for_people_elsewhere(tmp_path):
    async with served(tmp_path, Script(answer="never")) as (url, _), speaking(url) as client:
        run = (await client.call_tool("investigate", {"question": "why?"})).structured_content["run"]
        first = await client.call_tool("propose", {"run": run})
        second = await client.call_tool("propose", {"run": run})
        plans = World(tmp_path / "world.json").load()["plans"]

    assert first.structured_content["outcome"] == "waiting"
    assert second.structured_content["run"] == first.structured_content["run"]
    assert [one["plan"]["requested_by"] for one in plans.values()] == ["mcp"]
    assert World(tmp_path / "world.json").writes == []


async def test_what_policy_allows_by_itself_is_carried_out_and_verified(tmp_path):
    async with served(tmp_path, Script(review=False)) as (url, _), speaking(url) as client:
        run = (await client.call_tool("investigate", {"question": "why?"})).structured_content["run"]
        done = await client.call_tool("propose", {"run": run})

    assert done.structured_content["outcome"] == "repaired"
    assert World(tmp_path / "world.json").memory == HEALS


async def test_what_cannot_be_done_is_a_tool_error_in_plain_words(tmp_path):
    wrong = [
        ("report", {"run": "run-of-nobody"}, "there is no run"),
        ("propose", {"run": "run-of-nobody"}, "there is no run"),
        ("explain", {"name": "oom-kiled"}, "oom-killed"),
        ("scan", {"namespaces": ["nowhere"]}, "there is no namespace nowhere"),
        ("investigate", {"question": " "}, "empty"),
        ("investigate", {}, "question"),
        ("runs", {"limit": 0}, "limit"),
        ("approve", {"plan": "x"}, "Unknown tool"),
    ]
    async with served(tmp_path, Script(), governed=False) as (url, _), speaking(url) as client:
        run = (await client.call_tool("investigate", {"question": "why?"})).structured_content["run"]
        answers = [await client.call_tool(name, arguments) for name, arguments, _ in wrong]
        ungoverned = await client.call_tool("propose", {"run": run})

    assert all(answer.is_error for answer in answers)
    for answer, (_, _, says) in zip(answers, wrong, strict=True):
        assert says in answer.content[0].text
        assert "Traceback" not in answer.content[0].text
    assert ungoverned.is_error
    assert "no sidecar" in ungoverned.content[0].text


async def test_nobody_without_the_token_gets_as_far_as_the_protocol_and_tools_say_which_of_them_only_read(tmp_path):
    async with served(tmp_path, Script()) as (url, _):
        async with httpx.AsyncClient() as http:
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
            answers = [
                await http.post(url, json=body, headers=headers)
                for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"})
            ]
        async with speaking(url) as client:
            tools = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}

    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert all(answer.headers["www-authenticate"].startswith("Bearer") for answer in answers)
    assert sorted(tools) == ["explain", "investigate", "propose", "report", "runs", "scan"]
    assert {name for name, said in tools.items() if not said.read_only_hint} == {"propose"}
    assert tools["propose"].destructive_hint


def test_over_http_a_token_is_wanted_and_a_short_one_is_none(tmp_path):
    (tmp_path / "short").write_text("abc")
    with pytest.raises(InputError, match="needs a token"):
        callers(Settings())
    with pytest.raises(InputError, match="shorter"):
        callers(Settings(mcp_token_file=tmp_path / "short"))
    with pytest.raises(InputError, match="No such file"):
        callers(Settings(mcp_token_file=tmp_path / "none"))


async def test_over_standard_input_there_is_nothing_but_the_protocol(tmp_path):
    (tmp_path / "incident.json.gz").write_bytes(gzip.compress(json.dumps(SNAPSHOT).encode()))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LESTRADE_", "KUBE"))}
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "agent.cli", "mcp", "--snapshot", str(tmp_path / "incident.json.gz")],
        env={**kept, "PYTHONPATH": str(REPOSITORY), "XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)},
        cwd=tmp_path,
    )
    async with Client(server) as client:
        found = await client.call_tool("investigate", {"question": "why does cart get no traffic?"})
        scan = await client.call_tool("scan", {"namespaces": ["shop"]})
        page = await client.call_tool("explain", {"name": "KubePodCrashLooping"})
        run = found.structured_content["run"]
        report = await client.call_tool("report", {"run": run, "form": "json"})
        runs = await client.call_tool("runs", {})

    assert found.structured_content["causes"][0]["subject"] == "Service shop/cart"
    assert scan.structured_content["outcome"] == "fault"
    assert page.structured_content["pages"]
    assert [row["run"] for row in runs.structured_content["runs"]] == [run]
    assert report.structured_content["next"] is None
    assert json.loads(report.content[0].text)["summary"]["run"] == run
    assert all(len(answer.content[0].text) <= LONGEST for answer in (found, scan, page, report, runs))
