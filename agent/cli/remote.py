"""The line to a service elsewhere (`lestrade serve`), over HTTP."""

import ipaddress
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
from pydantic import ValidationError

from agent.chat.exchange import Answered, Found, Opened, Stepped, Told
from agent.cli.line import chosen
from agent.domain.document import Noun, from_document
from agent.domain.evidence import Evidence
from agent.domain.report import Report
from agent.domain.session import Reply, Session
from agent.errors import Busy, ClusterUnreachable, InputError, LestradeError, NotThere
from agent.governance.client import NO_AUTHORITY
from sidecar.contract import Json

QUIET_SECONDS = 60.0  # the service says something every 15 seconds
EVENTS = {"Accept": "text/event-stream"}


class RemoteLine:
    def __init__(self, server: str, token_file: Path | None) -> None:
        self.session = ""
        self._http = httpx.Client(
            base_url=_root(server, with_token=token_file is not None),
            headers={"Accept": "application/json", **_authorization(token_file)},
            timeout=httpx.Timeout(QUIET_SECONDS, connect=10.0),
            verify=NO_AUTHORITY if server.startswith("http://") else True,
        )
        self._json("GET", "/v1/chat?limit=1")  # says at once that nothing answers, or that nobody is let in

    def ask(self, words: str) -> Iterator[Told]:
        body = {"message": words, **({"session": self.session} if self.session else {})}
        yield from self._heard("POST", "/v1/chat", body)

    def resume(self, session: str) -> tuple[Session, Iterator[Told]]:
        name = chosen(session, self.sessions)
        known = _noun(Session, self._json("GET", f"/v1/chat/{quote(name, safe='')}"))
        self.session = known.id
        is_open = bool(known.turns) and known.turns[-1].state == "open"
        return known, self._heard("GET", f"/v1/chat/{quote(name, safe='')}") if is_open else iter(())

    def stop(self) -> bool:
        if not self.session:
            return False
        try:
            self._json("DELETE", f"/v1/chat/{quote(self.session, safe='')}")
        except Busy as exc:
            if "nothing is being answered" in str(exc):
                return False
            raise
        return True

    def follow(self, run: str, after: int) -> Iterator[Stepped]:
        for _, data in self._events("GET", f"/v1/runs/{quote(run, safe='')}/events", after=after):
            yield _noun(Stepped, {"run": run, **{name: data.get(name) for name in ("seq", "at", "stage", "text")}})

    def report(self, run: str) -> Report | None:
        try:
            document = self._json("GET", f"/v1/runs/{quote(run, safe='')}/report")
        except (NotThere, Busy):
            return None
        return _noun(Report, {name: value for name, value in document.items() if name not in ("report", "summary")})

    def sessions(self) -> list[Session]:
        found = self._json("GET", "/v1/chat").get("sessions")
        return [_noun(Session, one) for one in found] if isinstance(found, list) else []

    def close(self) -> list[str]:
        """The service goes on with what it has begun."""
        self._http.close()
        return []

    def _heard(self, method: str, path: str, body: dict[str, str] | None = None) -> Iterator[Told]:
        for name, data in self._events(method, path, body):
            match name:
                case "session":
                    opened = _noun(Opened, data)
                    self.session = opened.session
                    yield opened
                case "step":
                    yield _noun(Stepped, data)
                case "evidence":
                    piece = {key: value for key, value in data.items() if key != "run"}
                    yield Found(run=str(data.get("run")), evidence=_noun(Evidence, piece))
                case "answer":
                    said = {key: value for key, value in data.items() if key not in ("session", "turn")}
                    yield Answered(session=self.session, turn=int(str(data.get("turn", 0))), reply=_noun(Reply, said))
                    return
                case "error":
                    raise _error(int(str(data.get("status", 503))), str(data.get("detail", "")))
        raise LestradeError("the service ended the conversation in the middle; ask again, or resume the session")

    def _events(
        self, method: str, path: str, body: dict[str, str] | None = None, *, after: int = 0
    ) -> Iterator[tuple[str, dict[str, Json]]]:
        name, headers = "", EVENTS | ({"Last-Event-ID": str(after)} if after else {})
        try:
            with self._http.stream(method, path, json=body, headers=headers) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    raise _refusal(answer)
                for line in answer.iter_lines():
                    if line.startswith("event:"):
                        name = line.removeprefix("event:").strip()
                    elif line.startswith("data:"):
                        yield name, _object(json.loads(line.removeprefix("data:")))
        except (httpx.HTTPError, ValueError) as exc:  # no JSON, no text
            raise self._silence(exc) from None

    def _json(self, method: str, path: str) -> dict[str, Json]:
        try:
            answer = self._http.request(method, path)
            if answer.status_code >= 400:
                raise _refusal(answer)
            return _object(answer.json())
        except (httpx.HTTPError, ValueError) as exc:  # no JSON, no text
            raise self._silence(exc) from None

    def _silence(self, exc: Exception) -> LestradeError:
        where = f"{self._http.base_url}: {type(exc).__name__}: no answer from the service"
        return ClusterUnreachable(f"{where}: does `lestrade serve` run there? (--server, LESTRADE_SERVER_URL)")


def _root(server: str, *, with_token: bool) -> str:
    """Raises InputError. A token does not leave this machine unencrypted."""
    found = urlsplit(server)
    if found.scheme not in ("http", "https") or not found.hostname or "@" in found.netloc:
        raise InputError("--server: expected https://host:port of a `lestrade serve`")
    if with_token and found.scheme == "http" and not _is_here(found.hostname):
        raise InputError("--server: a token is only sent over https, or to this machine")
    return server.rstrip("/")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _authorization(token_file: Path | None) -> dict[str, str]:
    if token_file is None:
        return {}
    try:
        token = token_file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"token file {token_file}: {getattr(exc, 'strerror', None) or 'not plain text'}") from None
    return {"Authorization": f"Bearer {token}"}


def _refusal(answer: httpx.Response) -> LestradeError:
    try:
        detail = str(_object(answer.json()).get("detail", ""))
    except ValueError:
        detail = ""
    where = f"{answer.url.scheme}://{answer.url.netloc.decode()}"
    said = f"{where} answers {answer.status_code}, and not as a `lestrade serve` does (--server, LESTRADE_SERVER_URL)"
    return _error(answer.status_code, detail or said)


def _error(status: int, detail: str) -> LestradeError:
    match status:
        case 401 | 403:
            return InputError(f"the service does not let us in: {detail} (LESTRADE_SERVER_TOKEN_FILE)")
        case 404:
            return NotThere(detail)
        case 409:
            return Busy(detail)
        case _ if status < 500:
            return InputError(detail)
        case _:
            return LestradeError(detail)


def _object(document: object) -> dict[str, Json]:
    if not isinstance(document, dict):
        raise LestradeError("the service does not answer as a `lestrade serve` does")
    return document


def _noun(kind: type[Noun], document: Json) -> Noun:
    try:
        return from_document(kind, document)
    except ValidationError:
        raise LestradeError(f"the service is of another version: its {kind.__name__.lower()} is not understood") from None
