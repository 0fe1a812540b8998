"""A Kubernetes API in memory, behind the sidecar's port: objects, versions, patches, preconditions, RBAC of lease tokens.

It knows the requests that the sidecar makes, and answers everything else with 400, so that a new kind of request shows.
"""

import copy
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jsonpatch

from sidecar.errors import ClusterUnavailable
from sidecar.ports import ApiAnswer, ApiCall, Credential
from sidecar.ports.cluster import ApiStream

PATH = re.compile(
    r"^/(?:api/v1|apis/(?P<group>[^/]+)/v\w+)(?:/namespaces/(?P<namespace>[^/]+))?/(?P<resource>[a-z]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<sub>[a-z]+))?)?$"
)


@dataclass
class Request:
    identity: str
    verb: str
    path: str
    status: int
    dry: bool
    query: dict[str, str]
    body: Any


@dataclass
class FakeCluster:
    name: str = "lab"
    objects: dict[tuple[str, str, str, str], dict[str, Any]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    down: bool = False
    tokens: dict[str, str] = field(default_factory=dict)
    before: Callable[[ApiCall, str], ApiAnswer | None] = lambda call, identity: None
    after: Callable[[ApiCall, str], None] = lambda call, identity: None
    _count: Iterator[int] = field(default_factory=lambda: itertools.count(100))

    def put(self, resource: str, document: dict[str, Any], group: str = "") -> dict[str, Any]:
        """Place an object as somebody else would; gives it as stored."""
        stored = copy.deepcopy(document)
        metadata = stored["metadata"]
        metadata.setdefault("uid", f"uid-{metadata['name']}")
        metadata["resourceVersion"] = str(next(self._count))
        self.objects[(group, resource, metadata.get("namespace", ""), metadata["name"])] = stored
        return copy.deepcopy(stored)

    def edit(self, group: str, resource: str, namespace: str, name: str, **spec: Any) -> None:
        """Somebody else changes fields of the spec."""
        found = self.objects[(group, resource, namespace, name)]
        found["spec"].update(copy.deepcopy(spec))
        found["metadata"]["resourceVersion"] = str(next(self._count))

    def names(self, resource: str) -> list[str]:
        return sorted(key[3] for key in self.objects if key[1] == resource)

    def writes(self) -> list[Request]:
        return [r for r in self.requests if r.verb != "GET" and not r.dry and r.status < 300]

    def send(self, call: ApiCall, credential: Credential | None = None) -> ApiAnswer:
        identity = credential.identity if credential is not None else "sidecar"
        if self.down:
            raise ClusterUnavailable("the API server does not answer")
        scripted = self.before(call, identity)
        answer = scripted if scripted is not None else self._answer(call, credential)
        query = dict(call.query)
        dry = "dryRun" in query
        self.requests.append(Request(identity, call.method, call.path, answer.status, dry, query, call.body))
        self.after(call, identity)
        return answer

    def stream(self, call: ApiCall, *, silence: float) -> ApiStream:
        raise NotImplementedError

    def _answer(self, call: ApiCall, credential: Credential | None) -> ApiAnswer:
        match = PATH.match(call.path)
        if match is None:
            return status(400, f"the fake does not know {call.path}")
        group, namespace = match["group"] or "", match["namespace"] or ""
        resource, name, sub = match["resource"], match["name"] or "", match["sub"] or ""
        if credential is not None:
            refusal = self._refused(credential, call.method, group, namespace, resource + (f"/{sub}" if sub else ""), name)
            if refusal is not None:
                return refusal
        key = (group, resource, namespace, name)
        if sub == "token":
            return self._token(namespace, name)
        if call.method == "GET" and not name:
            return self._list(group, resource, namespace, dict(call.query))
        if call.method == "POST" and not name:
            return self._create(group, resource, namespace, call)
        found = self.objects.get(key)
        if found is None:
            return status(404, f'{resource} "{name}" not found')
        if call.method == "GET":
            return ApiAnswer(status=200, body=copy.deepcopy(found), date=datetime.now(UTC))
        if sub == "eviction":
            uid = call.body["deleteOptions"].get("preconditions", {}).get("uid")
            if uid not in (None, found["metadata"]["uid"]):
                return status(409, "uid precondition")
            self._remove(key, call)
            return status(201, "evicted")
        if call.method == "DELETE":
            wanted = (call.body or {}).get("preconditions", {})
            if any(found["metadata"][part] != value for part, value in wanted.items()):
                return status(409, "precondition failed")
            self._remove(key, call)
            return status(200, "deleted")
        return self._patch(key, found, sub, call)

    def _remove(self, key: tuple[str, str, str, str], call: ApiCall) -> None:
        if "dryRun" not in dict(call.query):
            del self.objects[key]

    def _patch(self, key: tuple[str, str, str, str], found: dict[str, Any], sub: str, call: ApiCall) -> ApiAnswer:
        if sub == "scale":
            wanted = call.body.get("metadata", {}).get("resourceVersion", found["metadata"]["resourceVersion"])
            if wanted != found["metadata"]["resourceVersion"]:
                return status(409, "the object has been modified")
            changed = copy.deepcopy(found)
            changed["spec"].update(call.body.get("spec", {}))
        elif isinstance(call.body, list):
            try:
                changed = jsonpatch.apply_patch(found, call.body)
            except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException):
                return status(422, "the server rejected our request")
        else:
            changed = copy.deepcopy(found)
        if "dryRun" in dict(call.query) or changed == found:
            return ApiAnswer(status=200, body=changed)
        manager = dict(call.query).get("fieldManager", "unknown")
        changed["metadata"]["resourceVersion"] = str(next(self._count))
        changed["metadata"].setdefault("managedFields", []).append({"manager": manager, "operation": "Update"})
        self.objects[key] = changed
        return ApiAnswer(status=200, body=copy.deepcopy(changed))

    def _create(self, group: str, resource: str, namespace: str, call: ApiCall) -> ApiAnswer:
        document = copy.deepcopy(call.body)
        name = document.get("metadata", {}).get("name", "")
        if (group, resource, namespace, name) in self.objects:
            return status(409, f"{resource} {name} already exists")
        if "dryRun" in dict(call.query):
            return ApiAnswer(status=201, body=document)
        document["metadata"]["uid"] = f"uid-{next(self._count)}"
        document["metadata"]["resourceVersion"] = str(next(self._count))
        document["metadata"]["managedFields"] = [{"manager": dict(call.query).get("fieldManager", "unknown")}]
        self.objects[(group, resource, namespace, name)] = document
        return ApiAnswer(status=201, body=copy.deepcopy(document))

    def _list(self, group: str, resource: str, namespace: str, query: dict[str, str]) -> ApiAnswer:
        items = [
            copy.deepcopy(found)
            for (g, r, n, _), found in sorted(self.objects.items())
            if (g, r) == (group, resource) and namespace in ("", n) and _selected(found, query.get("labelSelector", ""))
        ]
        return ApiAnswer(status=200, body={"kind": "List", "items": items})

    def _token(self, namespace: str, name: str) -> ApiAnswer:
        account = self.objects.get(("", "serviceaccounts", namespace, name))
        if account is None:
            return status(404, "no such service account")
        token = f"token-{next(self._count)}"
        self.tokens[token] = account["metadata"]["uid"]
        return ApiAnswer(status=201, body={"status": {"token": token}})

    def _refused(
        self, credential: Credential, method: str, group: str, namespace: str, resource: str, name: str
    ) -> ApiAnswer | None:
        """RBAC as of now: 401 when the account is gone, 403 without a bound rule that names it."""
        _, _, account_namespace, account = credential.identity.split(":")
        found = self.objects.get(("", "serviceaccounts", account_namespace, account))
        if found is None or self.tokens.get(credential.token) != found["metadata"]["uid"]:
            return status(401, "Unauthorized")
        verb = {"GET": "get", "PATCH": "patch", "POST": "create", "DELETE": "delete"}[method]
        for (g, kind, scope, _), binding in self.objects.items():
            if g != "rbac.authorization.k8s.io" or kind not in ("rolebindings", "clusterrolebindings"):
                continue
            if (kind == "rolebindings" and scope != namespace) or binding["subjects"][0]["name"] != account:
                continue
            roles = "roles" if kind == "rolebindings" else "clusterroles"
            role = self.objects.get((g, roles, scope, binding["roleRef"]["name"]), {"rules": []})
            for rule in role["rules"]:
                named = "resourceNames" not in rule or name in rule["resourceNames"]
                if group in rule["apiGroups"] and resource in rule["resources"] and verb in rule["verbs"] and named:
                    return None
        return status(403, f"{credential.identity} cannot {verb} {resource}")


def _selected(found: dict[str, Any], selector: str) -> bool:
    labels = found["metadata"].get("labels", {})
    for part in filter(None, selector.split(",")):
        name, _, value = part.partition("=")
        if name not in labels or (value and labels[name] != value):
            return False
    return True


def status(code: int, message: str) -> ApiAnswer:
    return ApiAnswer(status=code, body={"kind": "Status", "code": code, "message": message})
