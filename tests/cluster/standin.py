"""A real control plane where a test expects the laboratory: the part of Laboratory's surface that tests of the sidecar use.

What only a laboratory can do is a visible skip: to be called before a request is handled.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.world.kinds import GROUPS
from tests.cluster.admin import Admin, Manifest
from tests.cluster.audited import Asked, AuditLog
from tests.cluster.nodes import Nodes
from tests.cluster.server import ControlPlane

INSTALLED_WITHIN = 30.0


class StandIn:
    """A context manager, as `Laboratory.start()` is one."""

    def __init__(self, program: str) -> None:
        self._exit = ExitStack()
        try:
            self._plane = self._exit.enter_context(ControlPlane(program))
            nodes = self._exit.enter_context(Nodes(self._plane))
            self._admin = Admin(self._plane.kubeconfig)
            self._exit.callback(self._admin.close)
        except BaseException:
            self._exit.close()
            raise
        self._log = AuditLog(self._plane.audit_log)
        self.url, self.ca_file = self._plane.url, self._plane.authority.certificate
        self.world, self.clock = nodes.world, nodes.world.store.clock
        self.server = SimpleNamespace(mint=self._mint)
        self.store = SimpleNamespace(list=self._list, create=self._create)
        self._accounts: dict[str, Path] = {}

    def __enter__(self) -> "StandIn":
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._exit.close()

    def kubeconfig(self, identity: str = "admin") -> Path:
        if identity == "admin":
            return self._plane.kubeconfig
        if identity not in self._accounts:
            path = self._plane.folder / f"{identity.replace('/', '-')}.kubeconfig"
            path.touch(mode=0o600)
            path.write_text(self._admin.kubeconfig_of(identity, cluster="lab"))
            self._accounts[identity] = path
        return self._accounts[identity]

    def _mint(self, identity: str, *, seconds: int = 3600) -> str:
        return self._admin.token_of(identity, seconds=seconds)

    # Objects. -----------------------------------------------------------------------------------------------------------

    def request(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json") -> Any:
        return self._admin.request(method, path, body, content_type=content_type)

    def apply(self, manifests: Sequence[Manifest], *, manager: str = "kubectl") -> None:
        for one in manifests:
            self._admin.apply_when_served(one, manager=manager, within=INSTALLED_WITHIN)
            if one["kind"] == "Namespace":
                self._admin.await_account(one["metadata"]["name"])

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        return self._admin.get(self._admin.path_of(GROUPS[kind][2], kind, metadata))

    def _list(self, group: str, plural: str, namespace: str | None = None) -> list[Manifest]:
        version = f"{group}/v1" if group else "v1"
        found = self._admin.list(version, plural)
        return [one for one in found if namespace in (None, one["metadata"].get("namespace", ""))]

    def _create(self, key: Any, obj: Manifest) -> None:
        pytest.skip("a real API server takes no pods past the scheduler")

    # What was asked of it. ----------------------------------------------------------------------------------------------

    @property
    def requests(self) -> list[Asked]:
        """Of everybody but the cluster's machinery. What was answered before this is in it."""
        mark = f"/api/v1/namespaces/default/configmaps/mark-{uuid.uuid4()}"
        self._admin.get(mark)
        deadline = time.monotonic() + INSTALLED_WITHIN
        while True:
            entries = self._log.entries()
            if any(one.path == mark for one in entries):
                return [one for one in entries if "/mark-" not in one.path]
            assert time.monotonic() < deadline, "the audit log stands still"
            time.sleep(0.02)

    def writes(self) -> list[Asked]:
        return [one for one in self.requests if one.is_write]

    def on_request(self, callback: Callable[[Any], None]) -> None:
        pytest.skip("nobody can step in before a real API server handles a request")
