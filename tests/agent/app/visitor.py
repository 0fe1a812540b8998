"""A browser at the agent's pages, over ASGI, on the fake world."""

import re
from contextlib import asynccontextmanager

import httpx

from agent.app import create_app
from agent.settings import Settings
from tests.fakes.agent_shop import fake_shop
from tests.fakes.agent_world import Script

URL = "http://127.0.0.1:8180"


class Service(httpx.AsyncClient):
    """A browser at the service: it says whence its forms come, and keeps cookies."""

    async def read(self, path: str) -> str:
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def fill(self, path: str, where: str = "/runs", **form: str) -> httpx.Response:
        csrf = re.search('name="csrf" value="([0-9a-f]+)"', await self.read(where))
        return await self.post(path, data={"csrf": csrf[1], **form})


@asynccontextmanager
async def service(folder, script=None, **settings):
    app = create_app(lambda: fake_shop(folder, script or Script(), settings=Settings(**settings)))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        headers = {"Accept": "text/html,*/*;q=0.8", "Origin": URL}
        async with Service(transport=transport, base_url=URL, headers=headers) as http:
            http.app, http.shop = app, app.state.shop
            yield http
