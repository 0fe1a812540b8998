"""Secrets and certificates that are replaced while the process runs, as Kubernetes replaces those that it mounts."""

import contextlib
import os
import socket
import ssl
import threading
from pathlib import Path

import httpx
import pytest
import respx
import trustme
import uvicorn
from fastapi import FastAPI

from sidecar.errors import SettingsError
from sidecar.execution.alertmanager import Alertmanager, Login
from sidecar.listening import Listener, _Server
from sidecar.secret_files import SecretFile

URL = "https://alerts.example"


def mounted(folder: Path, text: str, number: int) -> Path:
    """A file behind a link to a folder that is swapped in one step."""
    version = folder / f"..{number}"
    version.mkdir()
    (version / "token").write_text(text)
    (folder / "..new").symlink_to(version.name)
    os.replace(folder / "..new", folder / "..data")
    if number == 1:
        (folder / "token").symlink_to("..data/token")
    return folder / "token"


@pytest.fixture
def secret(tmp_path):
    return SecretFile(mounted(tmp_path, "the-first-of-two-tokens\n", 1), what="a token")


def test_a_secret_that_was_replaced_is_the_one_from_then_on(tmp_path, secret):
    assert secret() == "the-first-of-two-tokens"
    mounted(tmp_path, "another-one-of-the-same", 2)
    assert secret() == "another-one-of-the-same"


@pytest.mark.parametrize("spoilt", ["", "short", "two lines\nof it, long enough", None])
def test_one_that_is_gone_or_no_secret_leaves_the_last_good_one(tmp_path, secret, spoilt):
    path = tmp_path / "token"
    path.unlink()
    if spoilt is not None:
        path.write_text(spoilt)
    assert secret() == "the-first-of-two-tokens"
    path.unlink(missing_ok=True)
    path.write_text("the-third-and-good-one")
    assert secret() == "the-third-and-good-one"


def test_to_begin_with_there_has_to_be_one(tmp_path):
    with pytest.raises(SettingsError, match=r"a token: .*nowhere"):
        SecretFile(tmp_path / "nowhere", what="a token")


@respx.mock
def test_alertmanager_is_asked_with_the_token_and_the_password_of_now(tmp_path, secret):
    asked = respx.get(f"{URL}/api/v2/alerts").respond(200, json=[])
    for login in (Login(token=secret), Login(user="ada", password=secret)):
        Alertmanager(URL, login=login).firing(())
    mounted(tmp_path, "another-one-of-the-same", 2)
    for login in (Login(token=secret), Login(user="ada", password=secret)):
        Alertmanager(URL, login=login).firing(())
    basic = httpx.BasicAuth("ada", "another-one-of-the-same")._auth_header
    sent = [call.request.headers["authorization"] for call in asked.calls]
    assert sent[0] == "Bearer the-first-of-two-tokens"
    assert sent[2:] == ["Bearer another-one-of-the-same", basic]


def test_a_certificate_that_was_replaced_is_shown_to_whoever_comes_next(tmp_path):
    authority = trustme.CA()
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"

    def put(name: str) -> None:
        made = authority.issue_cert(name)
        made.private_key_pem.write_to_path(str(key))
        certificate.write_bytes(made.cert_chain_pems[0].bytes())

    put("one.example")
    config = uvicorn.Config(FastAPI(), ssl_certfile=certificate, ssl_keyfile=key)
    config.load()
    near, far = socket.socketpair()
    with near, far:
        server = _Server(config, Listener(app=FastAPI(), socket=near, address="", certificate=certificate, key=key))
    assert shown(config, authority) == "one.example"

    certificate.write_text("half of a certif")
    server._look_at_certificate()
    assert shown(config, authority) == "one.example"
    put("two.example")
    server._look_at_certificate()
    assert shown(config, authority) == "two.example"

    new = authority.issue_cert("three.example")  # between the two files: a certificate, and the key of another one
    certificate.write_bytes(new.cert_chain_pems[0].bytes())
    server._look_at_certificate()
    assert shown(config, authority) == "two.example"
    new.private_key_pem.write_to_path(str(key))
    server._look_at_certificate()
    assert shown(config, authority) == "three.example"


def shown(config: uvicorn.Config, authority: trustme.CA) -> str:
    asking = ssl.create_default_context()
    authority.configure_trust(asking)
    asking.check_hostname = False
    near, far = socket.socketpair()

    def serve() -> None:
        with contextlib.suppress(OSError), config.ssl.wrap_socket(far, server_side=True) as reached:
            reached.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    with asking.wrap_socket(near) as reached:
        names = reached.getpeercert()["subjectAltName"]
        reached.sendall(b".")
    thread.join()
    return names[0][1]
