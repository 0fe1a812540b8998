"""How an answer is framed changes nothing: it is read whole or not at all, and one question never gets another's answer."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from sidecar.errors import PolicyUnavailable, SettingsError
from sidecar.policy.wire import Wire

WELL = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\ntrue"


@contextlib.contextmanager
def server(*answers: tuple[bytes, ...]) -> Iterator[tuple[Wire, list[bytes]]]:
    """Gives to each question the next answer, piece by piece; after an empty piece it closes the connection. Beside the
    wire: the connections that questions came by, as the other side's ports."""
    left, asked = list(answers), []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket, port: bytes) -> None:
        with connection, contextlib.suppress(OSError):
            while connection.recv(65_536):
                asked.append(port)
                for piece in left.pop(0):
                    if not piece:
                        return
                    connection.sendall(piece)
                    time.sleep(0.02)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, (_, port) = listener.accept()
                threading.Thread(target=serve, args=(connection, port), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    wire = Wire("127.0.0.1", listener.getsockname()[1], tls=False)
    try:
        yield wire, asked
    finally:
        wire.close()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def ask(wire: Wire) -> bytes:
    return wire.post("/v1/data/x", b"{}", until=time.monotonic() + 2)


@pytest.mark.parametrize(
    "pieces",
    [
        (WELL,),
        (WELL[:20], WELL[20:]),
        (WELL[:-2], WELL[-2:]),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + WELL,),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntrue\r\n0\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\ntr\r\n2\r\nue\r\n", b"0\r\n\r\n"),
        (b"HTTP/1.1 200 Fine\r\nContent-Length: 4\r\n\r\ntrue",),
    ],
)
def test_an_answer_is_read_whole_however_it_comes_and_the_connection_is_kept(pieces):
    with server(pieces, (WELL,)) as (wire, asked):
        assert [ask(wire), ask(wire)] == [b"true", b"true"]
        assert len(set(asked)) == 1


@pytest.mark.parametrize(
    "pieces",
    [
        (WELL + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse",),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\ntrue",),
        (b"HTTP/1.0 200 OK\r\n\r\ntrue", b""),
    ],
)
def test_a_connection_on_which_more_could_come_is_not_used_again(pieces):
    with server(pieces, (WELL,)) as (wire, asked):
        assert [ask(wire), ask(wire)] == [b"true", b"true"]
        assert len(set(asked)) == 2


@pytest.mark.parametrize(
    "pieces",
    [
        (WELL[:-1], b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ntrue", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\ntrue" + b" " * 100, b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\ntrue", b""),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\ntrue",),
        (b"no HTTP at all\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n",),
        (b"",),
    ],
)
def test_what_is_no_whole_answer_is_none(pieces):
    with server(pieces, (WELL,), (WELL,)) as (wire, _):
        with pytest.raises(PolicyUnavailable):
            wire.post("/v1/data/x", b"{}", until=time.monotonic() + 0.4)
        assert ask(wire) == b"true"


def test_a_connection_that_was_closed_since_is_made_again():
    with server((WELL, b""), (WELL,)) as (wire, _):
        assert ask(wire) == b"true"
        time.sleep(0.1)
        assert ask(wire) == b"true"


@pytest.mark.parametrize("late", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_what_comes_later_and_unasked_is_never_the_answer_to_the_next_question(late):
    with server((WELL, late), (WELL,)) as (wire, asked):
        assert ask(wire) == b"true"
        time.sleep(0.1)
        assert ask(wire) == b"true"
        assert len(set(asked)) == 2


@pytest.mark.parametrize("token", ["one\r\nX-Admin: yes", "zwölf", "\x00"])
def test_a_token_that_would_be_more_than_one_header_is_refused(token):
    with pytest.raises(SettingsError, match="token for the OPA server"):
        Wire("127.0.0.1", 8181, tls=False, token=lambda: token)
