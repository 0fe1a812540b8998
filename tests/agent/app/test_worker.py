"""What a worker shows of itself, and nothing else of the service."""

import httpx
import pytest

from agent.app.meters import Meters
from agent.app.worker import worker_pages
from agent.cli.worker import worker
from agent.errors import InputError, StoreUnavailable
from tests.fakes.agent_shop import fake_shop
from tests.fakes.agent_world import Script


class Away:
    """A store that cannot."""

    async def rows(self, *, limit: int):
        raise StoreUnavailable("runs cannot be kept: nobody answers")

    async def queue(self):
        raise StoreUnavailable("runs cannot be kept: nobody answers")


async def answers(shop) -> dict[str, httpx.Response]:
    pages = worker_pages(shop, Meters())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(pages), base_url="http://worker") as http:
        return {path: await http.get(path) for path in ("/healthz", "/readyz", "/metrics", "/v1/runs", "/docs")}


async def test_a_worker_says_that_it_lives_is_ready_and_what_it_counts(tmp_path):
    async with fake_shop(tmp_path, Script()) as shop:
        found = await answers(shop)
        shop.store = Away()
        away = await answers(shop)

    assert [found[path].status_code for path in found] == [200, 200, 200, 404, 404]
    assert "lestrade_store_up 1.0" in found["/metrics"].text
    assert [away[path].status_code for path in ("/healthz", "/readyz", "/metrics")] == [200, 503, 200]
    assert "lestrade_store_up 0.0" in away["/metrics"].text


async def test_a_browser_at_a_workers_port_is_told_that_nothing_is_there(tmp_path):
    async with fake_shop(tmp_path, Script()) as shop:
        transport = httpx.ASGITransport(worker_pages(shop, Meters()))
        async with httpx.AsyncClient(transport=transport, base_url="http://worker", headers={"Accept": "text/html"}) as http:
            found = await http.get("/")

    assert (found.status_code, found.json()["title"]) == (404, "Not found")


def test_a_worker_without_a_shared_database_says_what_it_needs(monkeypatch, tmp_path):
    monkeypatch.setenv("LESTRADE_DATABASE_URL", f"sqlite:///{tmp_path / 'a.sqlite'}")

    with pytest.raises(InputError, match="needs LESTRADE_DATABASE_URL=postgresql"):
        worker(config=None)


def test_two_workers_on_one_port_say_which_setting_tells_them_apart(monkeypatch):
    import socket

    monkeypatch.setenv("LESTRADE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("LESTRADE_WORKER_LISTEN", f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(InputError, match="LESTRADE_WORKER_LISTEN"):
            worker(config=None)
