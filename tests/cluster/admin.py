"""A cluster given by nothing but its admin's kubeconfig: raw requests, what kinds it serves, tokens for ServiceAccounts.

Knows nothing of scenarios, and nothing of where the cluster runs."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import yaml
from kubernetes import config
from kubernetes.client import ApiClient, Configuration

Manifest = dict[str, Any]
TOKEN_SECONDS = 24 * 3600  # more than a run takes by any clock; a cluster may give less
TIMEOUT = (5.0, 60.0)
TRIES = 4
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"


class ClusterSaid(RuntimeError):
    """The cluster did not do what was asked; the text is its own."""

    def __init__(self, status: int, what: str, message: str) -> None:
        super().__init__(f"{what}: {status}: {message}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Kind:
    api_version: str
    kind: str
    plural: str
    namespaced: bool
    listed: bool


class Admin:
    """Requests as the kubeconfig's user. `now` is the cluster's clock, by its last answer."""

    def __init__(self, kubeconfig: Path) -> None:
        self._configuration = Configuration()
        self._configuration.retries = 0
        config.load_kube_config(str(kubeconfig), client_configuration=self._configuration, persist_config=False)
        self._api = ApiClient(self._configuration)
        self._kinds: dict[str, list[Kind]] = {}
        self._said_at: datetime | None = None

    def close(self) -> None:
        self._api.close()

    def now(self) -> datetime:
        self.request("GET", "/version")
        return self._said_at or datetime.now(UTC)

    def request(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json") -> Any:
        """The parsed answer. Raises ClusterSaid; connection errors pass through. Throttling (429) is waited for."""
        for attempt in range(TRIES):
            status, text = self._send(method, path, body, content_type)
            if status != 429 or attempt == TRIES - 1:
                break
            time.sleep(1 + attempt)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = text
        if status >= 300:
            message = answer.get("message", "") if isinstance(answer, dict) else answer
            raise ClusterSaid(status, f"{method} {path.split('?', maxsplit=1)[0]}", str(message)[:500])
        return answer

    def _send(self, method: str, path: str, body: Any, content_type: str) -> tuple[int, str]:
        path, _, query = path.partition("?")
        headers = {"Accept": "application/json", "User-Agent": "lestrade-tests"}
        if body is not None:
            headers["Content-Type"] = content_type
        pairs = [tuple(pair.split("=", 1)) for pair in query.split("&") if pair]
        method, url, headers, sent, _ = self._api.param_serialize(
            method, path, query_params=pairs, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        response = self._api.call_api(method, url, headers, sent, _request_timeout=TIMEOUT).response
        if response.headers.get("date"):
            self._said_at = parsedate_to_datetime(response.headers["date"])
        return response.status, (response.data or b"").decode("utf-8", "replace")

    # Kinds and paths. ---------------------------------------------------------------------------------------------------

    def kinds(self) -> list[Kind]:
        """Every kind of every served group version that has objects of its own; a group that does not answer is left out."""
        versions = ["v1", *(g["preferredVersion"]["groupVersion"] for g in self.request("GET", "/apis")["groups"])]
        found: list[Kind] = []
        for version in versions:
            try:
                found += self._served(version)
            except ClusterSaid:  # an aggregated API whose server is down: nothing of ours is kept there
                continue
        return found

    def _served(self, api_version: str) -> list[Kind]:
        if api_version not in self._kinds:
            answer = self.request("GET", _root(api_version))
            self._kinds[api_version] = [
                Kind(api_version, one["kind"], one["name"], one["namespaced"], "list" in one["verbs"])
                for one in answer["resources"]
                if "/" not in one["name"]
            ]
        return self._kinds[api_version]

    def serves(self, api_version: str, kind: str) -> bool:
        return any(one.kind == kind for one in self._served(api_version))

    def path_of(self, api_version: str, kind: str, metadata: Manifest) -> str:
        """The path of one object. Raises ClusterSaid for a kind that is not served."""
        served = next((one for one in self._served(api_version) if one.kind == kind), None)
        if served is None:
            raise ClusterSaid(404, _root(api_version), f"no kind {kind}")
        place = f"/namespaces/{metadata.get('namespace', 'default')}" if served.namespaced else ""
        return f"{_root(api_version)}{place}/{served.plural}/{metadata['name']}"

    def get(self, path: str) -> Manifest | None:
        try:
            return dict(self.request("GET", path))
        except ClusterSaid as exc:
            if exc.status == 404:
                return None
            raise

    def list(self, api_version: str, plural: str) -> list[Manifest]:
        """All of them, in all namespaces."""
        items: list[Manifest] = self.request("GET", f"{_root(api_version)}/{plural}").get("items") or []
        return items

    def apply(self, manifest: Manifest, *, manager: str) -> None:
        """Server-side apply, forced."""
        path = self.path_of(manifest["apiVersion"], manifest["kind"], manifest["metadata"])
        body = {key: value for key, value in manifest.items() if key != "status"}
        self.request("PATCH", f"{path}?fieldManager={manager}&force=true", body, content_type=APPLY)

    def apply_when_served(self, manifest: Manifest, *, manager: str, within: float) -> None:
        """A definition takes a moment until its kind is served."""
        deadline = time.monotonic() + within
        while True:
            try:
                self._kinds.pop(manifest["apiVersion"], None)
                return self.apply(manifest, manager=manager)
            except ClusterSaid as exc:
                if exc.status not in (404, 429) or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def await_account(self, namespace: str, *, within: float = 30.0) -> None:
        """A new namespace takes no pods before its default account is there."""
        deadline = time.monotonic() + within
        while self.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default") is None and time.monotonic() < deadline:
            time.sleep(0.1)

    # Identities. --------------------------------------------------------------------------------------------------------

    def kubeconfig_of(self, identity: str, *, cluster: str) -> str:
        """A kubeconfig for "namespace/serviceaccount", with a token by TokenRequest. The account must be there."""
        token = self.token_of(identity)
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": cluster,
            "clusters": [{"name": cluster, "cluster": self._endpoint()}],
            "users": [{"name": identity, "user": {"token": token}}],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": identity}}],
        }
        return str(yaml.safe_dump(document))

    def token_of(self, identity: str, *, seconds: int = TOKEN_SECONDS) -> str:
        """Of "namespace/serviceaccount", by TokenRequest; never shorter than the API server's ten minutes."""
        namespace, name = identity.split("/")
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        spec = {"expirationSeconds": max(seconds, 600)}
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        return str(self.request("POST", path, request)["status"]["token"])

    def _endpoint(self) -> Manifest:
        own = self._configuration
        found: Manifest = {"server": own.host}
        if own.ssl_ca_cert:
            found["certificate-authority"] = str(own.ssl_ca_cert)
        if not own.verify_ssl:
            found["insecure-skip-tls-verify"] = True
        if getattr(own, "tls_server_name", None):
            found["tls-server-name"] = own.tls_server_name
        if own.proxy:
            found["proxy-url"] = own.proxy
        return found


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
