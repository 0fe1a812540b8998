"""The Kubernetes API over HTTP: the only place in the sidecar that knows the `kubernetes` package.

Its client is used for configuration, TLS, connections and the sidecar's own token; requests and answers are raw JSON, sent
through its connection pool directly, since its own way there takes longer than an API server's answer. It never retries:
a write that was perhaps made is looked at, not sent again. A lease's token goes through a second client that holds no
credential of its own, so that nothing but the lease can act.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
from kubernetes import config
from kubernetes.client import ApiClient, Configuration
from urllib3 import ProxyManager, Timeout
from urllib3.exceptions import HTTPError

from sidecar.contract import Json
from sidecar.errors import ClusterUnavailable, SettingsError
from sidecar.execution.wire import written
from sidecar.ports import ApiAnswer, ApiCall, Credential
from sidecar.ports.cluster import ApiStream

CONNECTIONS = 32  # kept alive; more are opened when they are needed, and closed again
CONNECT_SECONDS = 3.0
READ_SECONDS = 20.0
TOKEN_SECONDS = 10.0  # tokens in files and of plugins are renewed long before they end
SHOWN = ("content-type", "date", "warning", "audit-id", "retry-after")
_PIECE = 65_536
_config: Any = config  # the package's own loaders carry no types


class KubernetesCluster:
    """Implements sidecar.ports.Cluster."""

    def __init__(self, own: Configuration, *, name: str) -> None:
        own.retries = 0
        own.connection_pool_maxsize = CONNECTIONS
        self._name = name
        self._own = ApiClient(own)
        self._lent = ApiClient(_without_credentials(own))
        self._address = str(own.host).rstrip("/")
        self._ways = {client: _way_of(client, self._address) for client in (self._own, self._lent)}
        self._token: tuple[str, float] = ("", float("-inf"))

    @classmethod
    def connect(cls, *, kubeconfig: Path | None = None, context: str = "", name: str = "") -> "KubernetesCluster":
        """Nothing is sent yet. Raises SettingsError when there is no usable configuration."""
        own = Configuration()
        try:
            if kubeconfig is None and not context and _in_cluster(own):
                found = "in-cluster"
            else:
                file = str(kubeconfig) if kubeconfig is not None else None
                _config.load_kube_config(file, context=context or None, client_configuration=own, persist_config=False)
                found = context or str(_config.list_kube_config_contexts(file)[1]["name"])
        except config.ConfigException as exc:
            if kubeconfig is None and not context and "No configuration found" in str(exc):
                place = os.environ.get("KUBECONFIG") or "~/.kube/config"
                raise SettingsError(f"{place}: no such kubeconfig (name one with LESTRADE_SIDECAR_KUBECONFIG)") from None
            hint = "" if kubeconfig else " (LESTRADE_SIDECAR_KUBECONFIG names another)"
            raise SettingsError(f"kubeconfig {kubeconfig or 'of the default place'}: {_line(exc)}{hint}") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise SettingsError(
                f"kubeconfig {kubeconfig or 'of the default place'}: cannot be read ({type(exc).__name__})"
            ) from None
        except Exception as exc:  # noqa: BLE001  the YAML reader's own errors have no common ancestor that is exported
            raise SettingsError(f"kubeconfig {kubeconfig}: is not valid ({type(exc).__name__})") from None
        return cls(own, name=name or found)

    @property
    def name(self) -> str:
        return self._name

    def send(self, call: ApiCall, credential: Credential | None = None) -> ApiAnswer:
        raw = self._request(call, credential, (CONNECT_SECONDS, READ_SECONDS))
        try:
            content: bytes = raw.data or b""
        except Exception as exc:
            raise self._unavailable(exc) from exc
        answer = _head(raw)
        return ApiAnswer(status=answer.status, body=_body(content), date=answer.date, headers=answer.headers)

    def stream(self, call: ApiCall, *, silence: float) -> ApiStream:
        raw = self._request(call, None, (CONNECT_SECONDS, silence))

        def cut() -> None:
            # Over already, or given back already: then there is nothing that waits.
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                raw.shutdown()

        def close() -> None:
            raw.close()
            raw.release_conn()

        return ApiStream(answer=_head(raw), pieces=self._pieces(raw), cut=cut, close=close)

    def _pieces(self, raw: Any) -> Iterator[bytes]:
        try:
            # read1 hands a watch's line on as it comes; read would wait for a full piece.
            while piece := raw.read1(_PIECE):
                yield piece
        except Exception as exc:
            raise self._unavailable(exc) from exc

    def _request(self, call: ApiCall, credential: Credential | None, timeout: tuple[float, float]) -> Any:
        client = self._own if credential is None else self._lent
        headers = {"Accept": call.accept, "User-Agent": "lestrade-sidecar"}
        body = None if call.body is None else written(call.body)
        if body is not None:
            headers["Content-Type"] = call.content_type
        query = f"?{urlencode(call.query)}" if call.query else ""
        try:
            token = credential.token if credential is not None else None
            authorization = f"Bearer {token}" if token is not None else self._own_authorization()
            if authorization:
                headers["Authorization"] = authorization
            connect, read = timeout
            way, before = self._ways[client]
            return way.urlopen(
                call.method,
                f"{before}{call.path}{query}",
                body=body,
                headers=headers,
                preload_content=False,
                redirect=False,
                retries=False,
                assert_same_host=False,
                timeout=Timeout(connect=connect, read=read),
            )
        except Exception as exc:
            raise self._unavailable(exc) from exc

    def _own_authorization(self) -> str:
        """The sidecar's own token, "" where it has a client certificate instead. The package's loader reads all of its
        configuration anew whenever it is asked for a token: it is asked once in a while."""
        value, since = self._token
        if time.monotonic() - since > TOKEN_SECONDS:
            found = self._own.configuration.auth_settings().get("BearerToken")
            value = str(found["value"]) if found is not None and found["value"] else ""
            self._token = (value, time.monotonic())
        return value

    def _unavailable(self, exc: Exception) -> ClusterUnavailable:
        reason = getattr(exc, "reason", None) or exc
        said = getattr(reason, "__cause__", None) or reason
        # The class says enough; texts of HTTP libraries repeat headers and addresses with tokens in them.
        return ClusterUnavailable(f"cluster {self._name}: no answer from {_host(self._own)} ({type(said).__name__})")


def _way_of(client: ApiClient, address: str) -> tuple[Any, str]:
    """What requests are put to, and what their paths begin with. The connections to the one address there is, found once and
    not for every request anew; a proxy's own manager knows how a request goes through it."""
    manager: Any = client.rest_client.pool_manager
    if isinstance(manager, ProxyManager):
        return manager, address
    try:
        return manager.connection_from_url(address), urlsplit(address).path
    except (HTTPError, ValueError):
        return manager, address  # no address: each request says so


def _without_credentials(own: Configuration) -> Configuration:
    lent = Configuration()
    for name in ("host", "ssl_ca_cert", "verify_ssl", "tls_server_name", "assert_hostname", "proxy", "no_proxy", "proxy_headers"):
        if hasattr(own, name):
            setattr(lent, name, getattr(own, name))
    lent.retries = 0
    lent.cert_file = lent.key_file = None
    lent.api_key, lent.api_key_prefix = {}, {}
    lent.username = lent.password = None
    return lent


def _in_cluster(own: Configuration) -> bool:
    try:
        _config.load_incluster_config(client_configuration=own)
    except config.ConfigException:
        return False
    return True


def _head(raw: Any) -> ApiAnswer:
    headers = tuple([(lower, value) for name, value in raw.headers.items() if (lower := name.lower()) in SHOWN])
    return ApiAnswer(status=raw.status, body=None, date=_date(dict(headers).get("date", "")), headers=headers)


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)  # "-0000" is UTC too (RFC 5322)


def _body(content: bytes) -> Json:
    """JSON, or the text where it is none: throttling and unknown paths answer in plain text."""
    try:
        body: Json = orjson.loads(content)
    except ValueError:
        return content[:2000].decode("utf-8", "replace") or None
    return body


def _host(client: ApiClient) -> str:
    return str(client.configuration.host)


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())[:300]
