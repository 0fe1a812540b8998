"""The engine on an OPA server: rules are put there by opa-python-client, questions go over a connection that is kept open.
The only door to opa_client.

The admitted modules and data are put below a root that carries the revision (data.lestrade.r<revision>), the rule that is
asked last, so that a half-loaded revision is undefined and two sidecars of different revisions do not meet. A server that
was started anew has lost them: the question comes back undefined, and they are put there again.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
import requests
from opa_client.opa import OpaClient
from requests.adapters import HTTPAdapter

from sidecar.contract import Json
from sidecar.errors import BundleRefused, PolicyUnavailable, SettingsError
from sidecar.policy.bundle import PolicyBundle
from sidecar.policy.engine import RULE, SECONDS, Meanwhile, Patience
from sidecar.policy.tokens import in_order, moved
from sidecar.policy.wire import Wire
from sidecar.ports import nothing
from sidecar.secret_files import Secret

_FAMILY = "lestrade"
_MOST_REVISIONS = 4
_MOST_ANSWER = 4_194_304
_LOAD_SECONDS = 15.0


class OpaEngine:
    """Implements Engine; safe to be asked from several threads."""

    def __init__(
        self, bundle: PolicyBundle, url: str, *, rule: str = RULE, seconds: float = SECONDS, token: Secret | None = None
    ) -> None:
        """Does not need the server yet. `token`: of a server that asks for one. Raises SettingsError for no address."""
        self._bundle = bundle
        self._root = f"{_FAMILY}.r{bundle.revision[:32]}"
        self._rule = rule
        self._seconds = seconds
        self._host, self._port, self._tls = _address(url)
        self._patience = Patience(seconds)
        self._loading = threading.Lock()
        self._token = token
        self._known_as = token() if token is not None else ""
        self._wire = Wire(self._host, self._port, tls=self._tls, token=token)
        self._loader = self._connect(_LOAD_SECONDS)

    @property
    def revision(self) -> str:
        return self._bundle.revision

    def ask(self, document: dict[str, Json], *, meanwhile: Callable[[], None] = nothing) -> Json:
        deadline = time.monotonic() + self._seconds
        beside = Meanwhile(meanwhile)
        answer = self._query("answer", document, deadline, beside)
        if "result" not in answer:
            answer = self._patience.run(lambda: self._asked_again(document), until=deadline + beside.seconds)
        match answer.get("result"):
            case {"revision": self.revision, "value": value}:
                return cast(Json, value)
            case None:
                raise PolicyUnavailable("the rule that is asked is undefined on the OPA server for this document")
            case _:
                raise PolicyUnavailable("the OPA server answered by another revision, or with something else")

    def load(self) -> None:
        """Puts the rules there now. Raises BundleRefused when the server does not take them, PolicyUnavailable when it
        cannot be asked."""
        with self._loading:
            self._put_there()

    def prepare(self) -> None:
        """The same ahead of the first question, in the background; a server that is not there yet is none of its business."""
        threading.Thread(target=self._prepared, name="policy-load", daemon=True).start()

    def why_not(self) -> str:
        """Asks the server; one that has lost the rules gets them back in the background."""
        try:
            answer = self._query("revision", {})
        except PolicyUnavailable as exc:
            return str(exc)
        if answer.get("result") == self.revision:
            return ""
        self.prepare()
        return "the OPA server has not got the rules yet"

    def close(self) -> None:
        self._wire.close()
        self._loader.close_connection()

    def _asked_again(self, document: dict[str, Json]) -> dict[str, Any]:
        """After the rules were put there (again): a server that was started anew has lost them."""
        with self._loading:
            answer = self._query("answer", document)  # somebody else may just have put them there
            if "result" not in answer:
                self._put_again()
                answer = self._query("answer", document)
            return answer

    def _put_again(self) -> None:
        try:
            self._put_there()
        except BundleRefused as exc:
            raise PolicyUnavailable(str(exc)) from exc

    def _prepared(self) -> None:
        if self._loading.locked():
            return  # under way already
        with contextlib.suppress(PolicyUnavailable, BundleRefused), self._loading:  # the first question says what is wrong
            self._put_there()

    def _query(
        self,
        rule: str,
        document: dict[str, Json],
        deadline: float | None = None,
        meanwhile: Callable[[], None] = nothing,
    ) -> dict[str, Any]:
        until = time.monotonic() + self._seconds if deadline is None else deadline
        try:
            body = orjson.dumps({"input": document})
        except (TypeError, ValueError) as exc:  # a lone surrogate, a number that JSON of 64 bits has not
            raise PolicyUnavailable(f"the OPA server cannot be asked about this document: {type(exc).__name__}") from exc
        path = f"/v1/data/{self._root.replace('.', '/')}/asked/{rule}?strict-builtin-errors=true"
        text = self._wire.post(path, body, until=until, meanwhile=meanwhile)
        try:
            answer = orjson.loads(text)
        except ValueError as exc:
            raise PolicyUnavailable("the OPA server gave no JSON") from exc
        if not isinstance(answer, dict):
            raise PolicyUnavailable("the OPA server answered with something else than an object")
        return answer

    def _put_there(self) -> None:
        """Data, modules, and last what is asked. Goes on when the one who asked has given up; the next finds it there."""
        root = self._root.replace(".", "/")
        self._introduce()
        try:
            for name, value in self._bundle.data.items():
                self._loader.update_or_create_data(value, f"{root}/{name}")
            for path, text in in_order(self._bundle.modules):
                self._put(f"{root}/{path}", moved(path, text, self._root))
            value_of = f'"value": data.{self._root}.{self._rule.removeprefix("data.")}'
            asked = f'package {self._root}.asked\n\nanswer := {{"revision": "{self.revision}", {value_of}}}\n'
            self._put(f"{root}/asked.rego", f'{asked}\nrevision := "{self.revision}"\n')
            self._clear_away()
        except Exception as exc:
            if _is_objection(exc):
                raise BundleRefused(f"the OPA server does not take the policy: {_why(exc)}") from exc
            raise PolicyUnavailable(f"the OPA server could not be given the policy: {_why(exc)}") from exc

    def _introduce(self) -> None:
        """The library is told a token once: for another one it is opened anew."""
        now = self._token() if self._token is not None else ""
        if now != self._known_as:
            self._loader.close_connection()
            self._known_as = now
            self._loader = self._connect(_LOAD_SECONDS)

    def _put(self, endpoint: str, text: str) -> None:
        self._loader.update_policy_from_string(text, endpoint, rego_compat=False)  # as it was admitted, not rewritten

    def _clear_away(self) -> None:
        """Revisions of earlier days, once there are too many; a sidecar that still judges by one puts it back."""
        ids = [name for name in self._loader.get_policies_list() if name.startswith(f"{_FAMILY}/r")]
        revisions = list(dict.fromkeys(name.split("/")[1] for name in ids))
        if len(revisions) <= _MOST_REVISIONS:
            return
        ours = self._root.split(".")[1]
        for revision in revisions:
            if revision == ours:
                continue
            # What is asked goes first: without it the rest answers nobody.
            mine = [name for name in ids if name.split("/")[1] == revision]
            for name in sorted(mine, key=lambda name: not name.endswith("/asked.rego")):
                self._loader.delete_policy(name)
            self._loader.delete_data(f"{_FAMILY}/{revision}")

    def _connect(self, seconds: float) -> OpaClient:
        client = OpaClient(
            host=self._host, port=self._port, ssl=self._tls, retries=0, timeout=seconds, token=self._known_as or None
        )
        session: requests.Session = client._session
        session.max_redirects = 1  # OPA itself redirects /policies/ to /policies; nothing else is followed
        session.trust_env = self._tls  # for REQUESTS_CA_BUNDLE; a proxy has no business between us and a plain address
        session.mount("http://", _Bounded(seconds))
        session.mount("https://", _Bounded(seconds))
        return client


class _Bounded(HTTPAdapter):
    """Reads an answer whole, but no more than _MOST_ANSWER bytes and not for longer than `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(max_retries=0)
        self._seconds = seconds

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        deadline = time.monotonic() + self._seconds
        kwargs["stream"] = True
        response = super().send(request, *args, **kwargs)
        body = bytearray()
        while piece := response.raw.read1(65_536, decode_content=True):  # what is there, without waiting for more
            body += piece
            if len(body) > _MOST_ANSWER or time.monotonic() > deadline:
                response.close()
                raise requests.exceptions.ConnectionError("the answer has no end")
        response._content = bytes(body)
        return response


def check_address(url: str) -> None:
    """Raises SettingsError for an address that is none."""
    _address(url)


def _address(url: str) -> tuple[str, int, bool]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"} or parts.username:
        raise SettingsError("LESTRADE_OPA_URL is not the address of a server: write http://host:port, without path or password")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return host, port or (443 if parts.scheme == "https" else 8181), parts.scheme == "https"


def _is_objection(exc: Exception) -> bool:
    """OPA's 400 for a module that does not parse or compile, and nothing that merely went wrong."""
    return type(exc).__name__ == "RegoParseError" and getattr(exc, "expression", None) == "invalid_parameter"


def _why(exc: Exception) -> str:
    """The kind of failure; of OPA's own objections to a module also the text, never what a stranger's server wrote."""
    response = getattr(exc, "response", None)
    status = getattr(response, "status_code", None)
    if status is not None:
        return f"HTTP {status}"
    if type(exc).__name__ == "RegoParseError":
        return " ".join(str(exc).split())[:200]
    return type(exc).__name__
