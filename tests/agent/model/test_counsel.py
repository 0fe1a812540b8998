"""Which eyes there are, and which model, as the settings say."""

import json
from contextlib import AsyncExitStack

import pytest

from agent.cli import toolsets
from agent.counsel import investigator
from agent.errors import InputError
from agent.runbooks import load_library
from agent.settings import Settings
from agent.toolsets.keeping import write
from tests.agent.model.playing import crashing


@pytest.fixture
def snapshot(tmp_path):
    seen = crashing()
    path = tmp_path / "s.json"
    write(path, cluster="c", version="v1", now=seen.now, objects=seen.objects, logs=seen.logs, series=(), gaps=())
    return path


def test_every_toolset_is_listed_with_its_tools_or_why_it_is_off(snapshot, capsys, monkeypatch):
    monkeypatch.setenv("LESTRADE_TEMPO_URL", "http://tempo.test:3200")

    code = toolsets.show(snapshot=snapshot, context="", as_json=True, config=None)

    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert code == 0
    assert {"name", "why_off", "tools"} == set(rows["kubernetes"])
    assert "get_object" in [one["name"] for one in rows["kubernetes"]["tools"]]
    assert [one["name"] for one in rows["tempo"]["tools"]] == ["tempo_search", "tempo_trace"]
    assert all(bool(row["why_off"]) != bool(row["tools"]) for row in rows.values())
    assert "LESTRADE_MCP_FILE" in rows["mcp"]["why_off"]


def test_a_mcp_server_that_is_not_there_is_off_and_says_so(snapshot, tmp_path, capsys, monkeypatch):
    (tmp_path / "mcp.yaml").write_text('servers: [{name: gone, url: "http://127.0.0.1:9/mcp"}]')
    monkeypatch.setenv("LESTRADE_MCP_FILE", str(tmp_path / "mcp.yaml"))

    toolsets.show(snapshot=snapshot, context="", as_json=False, config=None)

    assert "mcp gone        off  MCP server gone at http://127.0.0.1:9/mcp does not answer" in capsys.readouterr().out


def test_declared_questions_are_listed_and_a_wrong_one_is_named(snapshot, tmp_path, capsys, monkeypatch):
    asks = [{"settles": "whether it is up", "path": "/health", "reads": [{"when": "status == 200", "says": "it is up"}]}]
    declared = tmp_path / "endpoints.yaml"
    document = {"endpoints": [{"name": "shop", "url": "http://127.0.0.1:9", "paths": ["/health"], "asks": asks}]}
    declared.write_text(json.dumps(document))
    monkeypatch.setenv("LESTRADE_ENDPOINTS_FILE", str(declared))

    toolsets.show(snapshot=snapshot, context="", as_json=False, config=None)
    assert "http shop       asks whether it is up" in capsys.readouterr().out

    asks[0]["path"] = "/admin"
    declared.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"asks.0.path: GET /admin is not allowed: add it to paths"):
        toolsets.show(snapshot=snapshot, context="", as_json=False, config=None)


async def test_prices_that_are_none_are_said_at_the_start(tmp_path):
    settings = Settings(model="m", model_url="http://127.0.0.1:9/v1", model_prices="m=cheap")
    async with AsyncExitStack() as stack:
        with pytest.raises(InputError, match="model_prices: 'm=cheap'"):
            await investigator(settings, None, None, load_library(None), None, stack)
