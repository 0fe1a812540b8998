"""A Slack on loopback: the methods of its Web API that our apps use, Socket Mode, and people who click, mention and write.

What was asked of it stands in `calls`; what people would see in `messages`, `notices`, `dialogues` and `files`.
"""

import asyncio
import hashlib
import hmac
import itertools
import json
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from aiohttp import WSMsgType, web

BOT_TOKEN, APP_TOKEN, SECRET = "xoxb-canary-of-the-bot", "xapp-canary-of-the-app", "canary0of0the0signing0secret0"
TEAM, APP, CHANNEL = "T0TEAM", "A0APP", "C0APPROVERS"


@dataclass
class FakeSlack:
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    notices: list[dict[str, Any]] = field(default_factory=list)
    dialogues: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    down: bool = False
    too_many: int = 0  # this many requests get a 429
    retry_after: str = "1"
    refusing: dict[str, str] = field(default_factory=dict)  # error code by method
    acknowledged: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self._ts = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._sockets: list[web.WebSocketResponse] = []
        self._used_triggers: set[str] = set()

    # the server

    def start(self) -> "FakeSlack":
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/"

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._method)
        app.router.add_post("/upload/{file}", self._upload)
        app.router.add_get("/link", self._link)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

        async def go() -> None:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
            started.set()

        self._loop.run_until_complete(go())
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _method(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        given = await self._given(request)
        self.calls.append((method, given))
        if self.down:
            return web.Response(status=503, text="down")
        if self.too_many > 0:
            self.too_many -= 1
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": self.retry_after})
        token = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        if request.headers.get("Authorization") != f"Bearer {token}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        if method in self.refusing:
            return web.json_response({"ok": False, "error": self.refusing[method]})
        known: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "auth.test": lambda _: {"team_id": TEAM, "user_id": "U0BOT", "bot_id": "B0BOT"},
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "chat.postEphemeral": self._notice,
            "views.open": self._open,
            "users.info": self._user,
            "files.getUploadURLExternal": self._upload_url,
            "files.completeUploadExternal": self._complete,
            "apps.connections.open": lambda _: {"url": f"ws://127.0.0.1:{self.port}/link"},
        }
        answer = known[method](given) if method in known else {"error": "unknown_method"}
        return web.json_response({"ok": "error" not in answer, **answer})

    async def _given(self, request: web.Request) -> dict[str, Any]:
        if request.content_type == "application/json":
            return dict(await request.json())
        given: dict[str, Any] = {**request.query, **await request.post()}
        for name in ("blocks", "view", "files"):
            if isinstance(given.get(name), str):
                given[name] = json.loads(given[name])
        return given

    def _post(self, given: dict[str, Any]) -> dict[str, Any]:
        ts = f"1700000000.{next(self._ts):06d}"
        self.messages[ts] = {**given, "ts": ts}
        return {"channel": given["channel"], "ts": ts}

    def _update(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["ts"] not in self.messages:
            return {"error": "message_not_found"}
        self.messages[given["ts"]].update(given)
        return {"channel": given["channel"], "ts": given["ts"]}

    def _notice(self, given: dict[str, Any]) -> dict[str, Any]:
        self.notices.append(given)
        return {"message_ts": "1"}

    def _open(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["trigger_id"] in self._used_triggers:
            return {"error": "exchanged_trigger_id"}
        self._used_triggers.add(given["trigger_id"])
        self.dialogues.append(given["view"])
        return {"view": given["view"]}

    def _user(self, given: dict[str, Any]) -> dict[str, Any]:
        found = self.users.get(given["user"])
        return {"user": found} if found is not None else {"error": "user_not_found"}

    def _upload_url(self, given: dict[str, Any]) -> dict[str, Any]:
        name = f"F{next(self._ts)}"
        self.files[name] = dict(given)
        return {"upload_url": f"http://127.0.0.1:{self.port}/upload/{name}", "file_id": name}

    async def _upload(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.files[request.match_info["file"]] |= {"content": raw.decode(errors="replace"), "raw": raw}
        return web.Response(text="OK")

    def _complete(self, given: dict[str, Any]) -> dict[str, Any]:
        for found in given["files"]:
            self.files[found["id"]].update({**given, "complete": True})
        return {"files": given["files"]}

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        link = web.WebSocketResponse()
        await link.prepare(request)
        self._sockets.append(link)
        await link.send_json({"type": "hello", "num_connections": 1})
        async for message in link:
            if message.type == WSMsgType.TEXT and message.data.startswith("{"):
                self.acknowledged.append(json.loads(message.data))
        self._sockets.remove(link)
        return link

    # what tests look at

    def person(self, user: str, **more: Any) -> str:
        self.users[user] = {"id": user, "team_id": TEAM, "deleted": False, "is_bot": False, **more}
        return user

    def asked(self, method: str) -> list[dict[str, Any]]:
        return [given for name, given in self.calls if name == method]

    def card_of(self, plan: str) -> dict[str, Any] | None:
        """The newest message that carries a button of this plan, or names it whole."""
        found = [message for message in self.messages.values() if plan in json.dumps(message.get("blocks"))]
        return found[-1] if found else None

    # what Slack sends

    def click(self, card: dict[str, Any], action: str, user: str, **over: Any) -> dict[str, Any]:
        """The payload of a click on a button of a card."""
        buttons = [button for button in _elements(card) if button.get("action_id") == action]
        value = buttons[0].get("value", "") if buttons else over.pop("value")
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": user.lower(), "name": user.lower(), "team_id": TEAM},
            "api_app_id": APP,
            "token": "legacy",
            "container": {"type": "message", "message_ts": card["ts"], "channel_id": card["channel"], "is_ephemeral": False},
            "trigger_id": f"trigger-{next(self._ts)}",
            "team": {"id": TEAM, "domain": "shop"},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": card["channel"], "name": "approvals"},
            "message": {"ts": card["ts"], "text": card.get("text", ""), "blocks": card.get("blocks", [])},
            "state": {"values": {}},
            "response_url": "https://hooks.slack.com/actions/T0TEAM/1/x",
            "actions": [{"action_id": action, "block_id": "b", "type": "button", "value": value, "action_ts": "1"}],
        }
        return {**payload, **over}

    def submission(self, dialogue: dict[str, Any], user: str, reason: str) -> dict[str, Any]:
        block = next(block for block in dialogue["blocks"] if block["type"] == "input")
        values = {block["block_id"]: {block["element"]["action_id"]: {"type": "plain_text_input", "value": reason}}}
        return {
            "type": "view_submission",
            "team": {"id": TEAM, "domain": "shop"},
            "user": {"id": user, "username": user.lower(), "name": user.lower(), "team_id": TEAM},
            "api_app_id": APP,
            "token": "legacy",
            "trigger_id": f"trigger-{next(self._ts)}",
            "view": {**dialogue, "id": "V1", "team_id": TEAM, "app_id": APP, "state": {"values": values}, "hash": "1"},
            "response_urls": [],
            "is_enterprise_install": False,
            "enterprise": None,
        }

    def said(self, text: str, user: str, *, channel: str = "C0INCIDENTS", thread: str = "", **over: Any) -> dict[str, Any]:
        """The event of somebody who mentions the app in a channel, or writes to it directly (a channel of D...)."""
        ts = f"1700000100.{next(self._ts):06d}"
        event: dict[str, Any] = {
            "type": "message" if channel.startswith("D") else "app_mention",
            "user": user,
            "text": text if channel.startswith("D") else f"<@U0BOT> {text}",
            "ts": ts,
            "client_msg_id": f"2f4e-{ts}",
            "team": TEAM,
            "channel": channel,
            "event_ts": ts,
            "blocks": [{"type": "rich_text", "block_id": "b", "elements": []}],
            **({"channel_type": "im"} if channel.startswith("D") else {}),
            **({"thread_ts": thread} if thread else {}),
        }
        return {
            "token": "legacy",
            "team_id": TEAM,
            "context_team_id": TEAM,
            "api_app_id": APP,
            "event": {**event, **over},
            "type": "event_callback",
            "event_id": f"Ev{next(self._ts):08d}",
            "event_time": int(time.time()),
            "authorizations": [{"enterprise_id": None, "team_id": TEAM, "user_id": "U0BOT", "is_bot": True}],
            "is_ext_shared_channel": False,
            "event_context": "4-eyJ",
        }

    def in_thread(self, thread: str) -> list[dict[str, Any]]:
        """Messages of ours in a thread, the oldest first."""
        return [message for message in self.messages.values() if message.get("thread_ts") == thread]

    def send_by_socket(self, payload: dict[str, Any], kind: str = "interactive") -> str:
        """Over the WebSocket; returns the envelope's id, which should be acknowledged."""
        name = f"envelope-{next(self._ts)}"
        envelope = {"type": kind, "envelope_id": name, "accepts_response_payload": kind != "events_api", "payload": payload}
        link = self._sockets[-1]
        asyncio.run_coroutine_threadsafe(_sent(link.send_json(envelope)), self._loop).result(10)
        return name

    def is_linked(self) -> bool:
        return bool(self._sockets)


async def _sent(sending: Awaitable[None]) -> None:
    await sending


def _elements(card: dict[str, Any]) -> list[dict[str, Any]]:
    return [element for block in card.get("blocks", []) if block["type"] == "actions" for element in block["elements"]]


def buttons_of(card: dict[str, Any]) -> list[str]:
    return [element["action_id"] for element in _elements(card)]


def words_of(card: dict[str, Any]) -> str:
    """Everything that a card says, as people read it."""

    def walk(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["text"]] if isinstance(node.get("text"), str) else []
            own += [node["fallback"]] if "fallback" in node else []
            return own + [word for value in node.values() for word in walk(value)]
        return [word for item in node for word in walk(item)] if isinstance(node, list) else []

    text = "".join(walk(card.get("blocks", [])))
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def signed(body: bytes, *, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    timestamp = str(int(time.time() if at is None else at))
    mac = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": f"v0={mac}",
        "Content-Type": "application/x-www-form-urlencoded",
    }


def form(payload: dict[str, Any]) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


def event_bytes(payload: dict[str, Any]) -> bytes:
    """As the Events API sends it over HTTP: JSON, signed like everything else."""
    return json.dumps(payload).encode()


def send(base_url: str, payload: dict[str, Any]) -> httpx.Response:
    """As Slack does it over HTTP."""
    body = form(payload)
    return httpx.post(f"{base_url}/slack/interactions", content=body, headers=signed(body), timeout=10)
