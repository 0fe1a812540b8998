"""Connections that never say what they want: they are closed, and everybody else is served meanwhile."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from sidecar import connections
from sidecar.connections import Impatient
from tests.sidecar.process.harness import wait_for

GONE: list[str] = []


async def app(scope, receive, send):
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if scope["path"] == "/slow":
        await asyncio.sleep(1.2)
    if scope["path"] == "/endless":
        gone = asyncio.ensure_future(receive())  # the body was read to its end: what comes now is that the client has gone
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
            await asyncio.sleep(0)
        GONE.append(gone.result()["type"])
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port(monkeypatch) -> Iterator[int]:
    monkeypatch.setattr(connections, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 20)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=Impatient, ws="none", lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(5)
    listening.close()


def said(port: int, text: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=3)
    connection.sendall(text)
    return connection


def is_closed(connection: socket.socket) -> bool:
    """Within the time of the socket; nothing was said to it."""
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhal",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\nGET / HTT",
    ],
)
def test_a_request_that_does_not_come_to_its_end_is_given_up(port, text):
    connection = said(port, text)
    if text.endswith(b"HTT"):
        while not connection.recv(1000).endswith(b"ok"):
            pass
    began = time.monotonic()
    assert is_closed(connection)
    assert time.monotonic() - began < 2


def test_an_answer_that_takes_its_time_is_waited_for(port):
    assert httpx.get(f"http://127.0.0.1:{port}/slow").text == "ok"


def test_a_body_in_many_pieces_is_taken_while_it_comes_in_time(port):
    pieces = (b"x" * 1000 for _ in range(50))
    assert httpx.post(f"http://127.0.0.1:{port}/", content=pieces).text == "ok"


def test_an_answer_that_nobody_takes_is_given_up(port):
    GONE.clear()
    with said(port, b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"):
        wait_for(lambda: GONE == ["http.disconnect"], seconds=30, what="the one who answers knows it")


def test_more_connections_than_there_is_room_for_are_closed_at_once_and_soon_there_is_room(port):
    held = [said(port, b"") for _ in range(20)]
    time.sleep(0.1)
    assert is_closed(said(port, b""))
    assert all(map(is_closed, held))
    assert httpx.get(f"http://127.0.0.1:{port}/").text == "ok"
