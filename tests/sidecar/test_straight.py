"""What goes straight, and that everything else is answered as if there were no such way."""

import asyncio.trsock
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import trustme
import uvicorn

from sidecar.straight import Headers, Way, Work, ok, plain_request, protocol_of
from sidecar.workers import Workers

LINE = b"POST /plans HTTP/1.1"


def request(body: bytes = b"{}", *more: bytes, line: bytes = LINE, host: bool = True, length: bytes | None = None) -> bytes:
    heads = [line, *([b"Host: sidecar"] if host else []), b"Content-Length: " + (length or str(len(body)).encode()), *more]
    return b"\r\n".join(heads) + b"\r\n\r\n" + body


async def ordinary(scope, receive, send):
    """Says what it was given."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    said = b"ordinary " + scope["path"].encode() + b" " + body
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(said)).encode())]})
    await send({"type": "http.response.body", "body": said})


class Line:
    """A connection on which answers are read one by one."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=10)
        self.received = b""

    def send(self, data: bytes) -> "Line":
        self.socket.sendall(data)
        return self

    def answer(self) -> bytes:
        while b"\r\n\r\n" not in self.received:
            self.more()
        head, _, rest = self.received.partition(b"\r\n\r\n")
        length = next(int(one.split(b":")[1]) for one in head.split(b"\r\n") if one.lower().startswith(b"content-length"))
        while len(rest) < length:
            self.more()
            rest = self.received.partition(b"\r\n\r\n")[2]
        self.received = rest[length:]
        return rest[:length]

    def more(self) -> None:
        piece = self.socket.recv(65_536)
        assert piece, "the connection was closed"
        self.received += piece


@contextlib.contextmanager
def listening(way: Way, **more: Any) -> Iterator[tuple[Callable[[], Line], uvicorn.Server]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(ordinary, http=protocol_of({LINE: way}), ws="none", lifespan="off", log_config=None, **more)
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        address = listener.getsockname()
        try:
            yield lambda: Line(address), server
        finally:
            server.should_exit = True
            thread.join(10)


def straight(headers: Headers, body: bytes) -> Work:
    return lambda: ok(b"straight " + body, timing="all;dur=1")


def test_a_plain_request_goes_straight_again_and_again_and_beside_ordinary_ones():
    with listening(straight) as (line, _):
        one = line()
        for number in range(3):
            body = b"{%d}" % number
            assert one.send(request(body)).answer() == b"straight " + body
            assert one.send(request(body, line=b"POST /other HTTP/1.1")).answer() == b"ordinary /other " + body


@pytest.mark.parametrize(
    "data",
    [
        request(b"{}", line=b"POST /plans?x=1 HTTP/1.1"),
        request(b"{}", line=b"post /plans HTTP/1.1"),
        request(b"{}", b"Expect: 100-continue"),
        request(b"{}", b"Connection: close"),
        request(b"{}", b"Connection: upgrade", b"Upgrade: h2c"),
        request(b"{}", b"Content-Length: 2"),
        request(b"{}", b"Content-Encoding: gzip"),
        request(b"{}", b"X-Folded: one", b" two"),
        request(b"{}", b"X Spaced: one"),
        request(b"{}", b"Authorization : Bearer x"),
        request(b"{}", b"X-Null: \x00"),
        request(b"{}", b"X-Line: a\nHost: b"),
        request(b"{}", host=False),
        request(b"{}", length=b"+2"),
        request(b"{}", length=b"0x2"),
        request(b"{}", length=b"3"),
        request(b"{} ", length=b"2"),
        request(b"{}") + request(b"{}"),
        request(b"{}", b"X-Long: " + b"x" * 9000),
        request(b"{}")[:-1],
        b"POST /plans HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_what_is_not_plain_does_not_go_straight(data):
    found = plain_request(data)
    assert found is None or found[0] != LINE


def test_a_head_that_is_nearly_plain_is_not_read_over_and_over():
    """Whoever may connect may send it, and everybody waits on the same loop: each of these took a second."""
    for _ in range(30):
        assert plain_request(request(b"{}", b"X-Blank:" + b" " * 8000 + b"\x00")) is None
    assert plain_request(request(b"{}", b"X-Blank: \t ", b"X-Plain:\t a: b \t"))[1] == {
        b"host": b"sidecar",
        b"content-length": b"2",
        b"x-blank": b"",
        b"x-plain": b"a: b",
    }


def test_where_no_thread_can_be_made_the_ordinary_way_is_taken_until_one_can(monkeypatch):
    start, refused = threading.Thread.start, iter(range(2))

    def none_left(thread: threading.Thread) -> None:
        if thread.name == "straight" and next(refused, None) is not None:
            raise RuntimeError("can't start new thread")
        start(thread)

    with listening(straight) as (line, _):
        monkeypatch.setattr(threading.Thread, "start", none_left)
        one = line()
        said = [one.send(request(b"{}")).answer() for _ in range(4)]
        assert said == [b"ordinary /plans {}", b"ordinary /plans {}", b"straight {}", b"straight {}"]


def test_where_no_file_is_left_the_answer_still_leaves(monkeypatch):
    def none_left(_: socket.socket) -> socket.socket:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(asyncio.trsock.TransportSocket, "dup", none_left)
    with listening(straight) as (line, _):
        one = line()
        assert [one.send(request(b"{}")).answer() for _ in range(2)] == [b"straight {}"] * 2


def test_chunks_pieces_and_requests_in_a_row_are_read_the_ordinary_way():
    with listening(straight) as (line, _):
        chunked = b"POST /plans HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        assert line().send(chunked).answer() == b"ordinary /plans {}"
        two = line().send(request(b"{1}") + request(b"{2}"))
        assert [two.answer(), two.answer()] == [b"ordinary /plans {1}", b"ordinary /plans {2}"]
        whole = request(b"{in pieces}")
        in_pieces = line().send(whole[:30])
        time.sleep(0.05)
        assert in_pieces.send(whole[30:]).answer() == b"ordinary /plans {in pieces}"
        assert in_pieces.send(request(b"{after}")).answer() == b"straight {after}"


def test_what_has_no_answer_straight_is_asked_again_the_ordinary_way_as_it_came():
    def fails(headers: Headers, body: bytes) -> Work:
        def work() -> bytes | None:
            if body == b"{raise}":
                raise RuntimeError("a fault")
            return None

        return work

    with listening(fails) as (line, _):
        one = line()
        assert one.send(request(b"{}")).answer() == b"ordinary /plans {}"
        assert one.send(request(b"{raise}")).answer() == b"ordinary /plans {raise}"
    with listening(lambda headers, body: None) as (line, _):
        assert line().send(request(b"{}")).answer() == b"ordinary /plans {}"


def test_a_request_that_comes_while_one_is_under_way_waits_for_its_turn():
    go_on = threading.Event()

    def slow(headers: Headers, body: bytes) -> Work:
        def work() -> bytes:
            assert body != b"{first}" or go_on.wait(10)
            return ok(b"straight " + body, timing="")

        return work

    with listening(slow) as (line, _):
        one = line().send(request(b"{first}"))
        assert line().send(request(b"{beside}")).answer() == b"straight {beside}"
        for data in (request(b"{second}"), b"GET /third HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"):
            one.send(data)
            time.sleep(0.1)
        go_on.set()
        assert one.answer() == b"straight {first}"
        assert one.answer().endswith(b" {second}")
        assert one.answer() == b"ordinary /third "


def test_whoever_reads_no_answer_is_given_no_more_of_them_to_keep():
    """The ordinary way waits until what was said before is taken; what went straight would pile up in memory."""
    seen = []

    def long(headers: Headers, body: bytes) -> Work:
        seen.append(body)
        return lambda: ok(body * 200_000, timing="")

    with listening(long) as (line, _), (one := line()).socket:
        for number in range(20):
            one.send(request(b"{%02d}" % number))
            time.sleep(0.03)
        assert 0 < len(seen) < 20
        said = [one.answer()[:30].removeprefix(b"ordinary /plans ")[:4] for _ in range(20)]
    assert said == [b"{%02d}" % number for number in range(20)]


@pytest.mark.parametrize("follows", [False, True])
def test_an_answer_under_way_still_leaves_when_the_listener_ends(follows):
    """`follows`: the request was read by the thread that had answered the one before."""
    began, go_on = threading.Event(), threading.Event()

    def slow(headers: Headers, body: bytes) -> Work:
        def work() -> bytes:
            if body == b"{late}":
                began.set()
                assert go_on.wait(10)
            return ok(b"straight " + body, timing="")

        return work

    with listening(slow) as (line, server):
        one = line()
        if follows:
            assert one.send(request(b"{first}")).answer() == b"straight {first}"
        one.send(request(b"{late}"))
        assert began.wait(10)
        server.should_exit = True
        threading.Timer(0.3, go_on.set).start()
        assert one.answer() == b"straight {late}"
        forgotten(server)  # and nobody waits for a further request


def test_what_follows_at_once_is_read_by_the_thread_that_answered(monkeypatch):
    monkeypatch.setattr("sidecar.straight.STAYS_MILLISECONDS", 1_000)
    monkeypatch.setattr("sidecar.straight.Workers", lambda: Workers(2))
    read_by = []

    def noting(headers: Headers, body: bytes) -> Work:
        read_by.append(threading.current_thread().name == "straight")
        return straight(headers, body)

    with listening(noting) as (line, _):
        one = line()
        for number in range(3):
            body = b"{%d}" % number
            assert one.send(request(body)).answer() == b"straight " + body
        time.sleep(1.5)  # the thread is gone, and the loop reads on
        for body in (b"{later}", b"{at once}"):
            assert one.send(request(body)).answer() == b"straight " + body
    assert read_by == [False, True, True, False, True]


def test_what_the_thread_read_that_is_not_plain_is_answered_the_ordinary_way_with_what_comes_after_it():
    with listening(straight) as (line, _):
        one = line()
        for cut in (5, 40, len(request(b"{halves}")) - 1):
            assert one.send(request(b"{}")).answer() == b"straight {}"
            whole = request(b"{halves}")
            one.send(whole[:cut])
            time.sleep(0.01)
            assert one.send(whole[cut:] + request(b"{next}")).answer() == b"ordinary /plans {halves}"
            assert one.answer() == b"ordinary /plans {next}"
            assert one.send(request(b"{}")).answer() == b"straight {}"
            assert one.send(request(b"{}", line=b"GET /other HTTP/1.1")).answer() == b"ordinary /other {}"


def test_a_connection_that_was_kept_for_the_next_request_is_not_closed_while_that_is_answered(monkeypatch):
    monkeypatch.setattr("sidecar.connections.LOOK_SECONDS", 0.2)

    def slow(headers: Headers, body: bytes) -> Work:
        def work() -> bytes:
            time.sleep(0.8)
            return ok(b"straight " + body, timing="")

        return work

    with listening(slow, timeout_keep_alive=0.3) as (line, _):
        one = line().send(request(b"{}", line=b"POST /other HTTP/1.1"))
        assert one.answer() == b"ordinary /other {}"
        assert one.send(request(b"{}")).answer() == b"straight {}"


def test_an_answer_is_dated():
    dates = [ok(b"{}", timing="").split(b"date: ")[1].split(b"\r\n")[0].decode() for _ in range(2) if not time.sleep(1)]
    said = [parsedate_to_datetime(date).timestamp() for date in dates]
    assert 0 <= time.time() - said[1] < 3
    assert 1 <= said[1] - said[0] < 3


def test_whoever_leaves_after_an_answer_is_forgotten():
    with listening(straight) as (line, server):
        with line().send(request(b"{}")).socket as one:
            assert one.recv(12) == b"HTTP/1.1 200"
            assert len(server.server_state.connections) == 1
        forgotten(server)


@pytest.mark.parametrize("waits", [False, True], ids=["under way", "waits for a thread"])
def test_whoever_leaves_before_the_answer_is_forgotten_too(monkeypatch, waits):
    monkeypatch.setattr("sidecar.straight.Workers", lambda: Workers(1))
    monkeypatch.setattr("sidecar.connections.LOOK_SECONDS", 0.2)
    began, go_on, done = threading.Event(), threading.Event(), []

    def slow(headers: Headers, body: bytes) -> Work:
        def work() -> bytes:
            began.set()
            assert go_on.wait(10)
            done.append(body)
            return ok(b"straight " + body, timing="")

        return work

    with listening(slow) as (line, server):
        held = line().send(request(b"{first}"))
        assert began.wait(10)
        if waits:
            with line().send(request(b"{left}")).socket:
                time.sleep(0.1)
        else:
            held.socket.close()
        forgotten(server, but_for=int(waits))
        go_on.set()
        assert line().send(request(b"{last}")).answer() == b"straight {last}"
    assert done == [b"{first}", b"{last}"], "for whom is not there any more nothing is done"


def test_a_library_that_panics_costs_neither_thread_nor_connection(monkeypatch):
    monkeypatch.setattr("sidecar.straight.Workers", lambda: Workers(2))

    class Panic(BaseException):
        """As libraries in Rust raise it."""

    def panics(headers: Headers, body: bytes) -> Work:
        def work() -> bytes:
            raise Panic

        if body == b"{way}":
            raise Panic
        return work

    with listening(panics) as (line, _):
        one = line()
        for body in (b"{way}", b"{work}", b"{work}", b"{work}", b"{way}"):
            assert one.send(request(body)).answer() == b"ordinary /plans " + body


def test_an_answer_that_is_not_taken_yet_goes_before_the_next(monkeypatch):
    with listening(lambda headers, body: lambda: ok(body * 1_000_000, timing="")) as (line, _), (one := line()).socket:
        one.send(request(b"{1}"))
        time.sleep(0.2)
        one.send(request(b"{2}"))
        time.sleep(0.2)
        assert one.answer() == b"{1}" * 1_000_000
        assert one.answer().endswith(b"{2}")


def test_over_tls_nothing_leaves_unencrypted(tmp_path):
    authority = trustme.CA()
    made = authority.issue_cert("sidecar.example")
    made.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    go_on = threading.Event()

    def slow(headers: Headers, body: bytes) -> Work:
        return lambda: ok(b"straight " + body, timing="") if body != b"{first}" or go_on.wait(10) else None

    with listening(slow, ssl_certfile=tmp_path / "both.pem") as (line, _):
        one = line()
        one.socket = context.wrap_socket(one.socket, server_hostname="sidecar.example")
        with one.socket:
            for body in (b"{first}", b"{second}"):
                one.send(request(body))
                time.sleep(0.1)
            go_on.set()
            for body in (b"{first}", b"{second}"):
                assert one.answer() == b"straight " + body
            assert one.send(request(b"{third}")).answer() == b"straight {third}"


def forgotten(server: uvicorn.Server, *, but_for: int = 0) -> None:
    deadline = time.monotonic() + 5
    while len(server.server_state.connections) > but_for and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(server.server_state.connections) == but_for


def test_no_thread_stays_with_one_connection_while_another_waits_for_a_thread(monkeypatch):
    monkeypatch.setattr("sidecar.straight.Workers", lambda: Workers(3))
    monkeypatch.setattr("sidecar.straight.STAYS_MILLISECONDS", 3_000)
    with listening(straight) as (line, _):
        began = time.monotonic()
        for one in [line() for _ in range(6)]:  # one thread of three may stay
            assert one.send(request(b"{}")).answer() == b"straight {}"
        assert time.monotonic() - began < 3


def test_a_thread_that_did_not_stay_longer_leaves_room_for_another_to_stay():
    workers = Workers(4)
    assert [workers.stays() for _ in range(3)] == [True, True, False]
    workers.went()
    assert [workers.stays() for _ in range(2)] == [True, False]
    busy = Workers(2)
    began, go_on = threading.Semaphore(0), threading.Event()
    for _ in range(3):
        busy.put(lambda: (began.release(), go_on.wait(10)))
    began.acquire(timeout=10)
    began.acquire(timeout=10)
    assert not busy.stays(), "a third one waits for a thread"
    go_on.set()


def test_a_request_that_a_way_fails_at_is_answered_the_ordinary_way(monkeypatch):
    monkeypatch.setattr("sidecar.straight.Workers", lambda: Workers(2))

    def faulty(headers: Headers, body: bytes) -> Work:
        if body == b"{fault}":
            raise RuntimeError("a fault")
        return straight(headers, body)

    with listening(faulty) as (line, _):
        one = line()
        for _ in range(2):
            assert one.send(request(b"{fault}")).answer() == b"ordinary /plans {fault}"
            assert one.send(request(b"{}")).answer() == b"straight {}"
        assert one.send(request(b"{fault}")).answer() == b"ordinary /plans {fault}"


def test_a_connection_on_which_requests_come_is_not_late_and_a_silent_one_is(monkeypatch):
    monkeypatch.setattr("sidecar.connections.LOOK_SECONDS", 0.4)
    with listening(straight) as (line, _):
        one = line()
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert one.send(request(b"{}")).answer() == b"straight {}"
            time.sleep(0.004)
        with pytest.raises((AssertionError, ConnectionError)):
            one.more()


def test_a_listener_ends_at_once_though_a_thread_stays_with_a_connection(monkeypatch):
    monkeypatch.setattr("sidecar.straight.STAYS_MILLISECONDS", 1_000)
    with listening(straight) as (line, server):
        one = line()
        assert one.send(request(b"{}")).answer() == b"straight {}"
        server.should_exit = True
        forgotten(server)
        with contextlib.suppress(OSError):
            one.send(request(b"{too late}"))
        with pytest.raises((AssertionError, ConnectionError)):
            one.more()
