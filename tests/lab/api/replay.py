"""Asking the laboratory what a real server was asked, one group on one fresh server, over HTTPS.

Before each request the world is put as the recording shows it: objects that later answers hold, and what controllers had written
by then (status, and their managedFields entries). What the request itself does is the server's own work.
"""

import base64
import copy
import json
import re
import ssl
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import yaml

from lab.api.cluster import LogLine, LogQuery
from lab.api.request import target_of
from lab.api.resources import Resource
from lab.api.server import ApiServer
from lab.clock import LabClock
from lab.store import Key, Store
from tests.lab.api.normal import difference, masked, without
from tests.lab.api.recording import Exchange, exchanges, objects_in

HERE = Path(__file__).parent
CONTROLLERS = {"kube-controller-manager", "kubelet", "kube-scheduler", "kube-apiserver"}
_ALIVE = {"gc", "namespace", "lease", "quota"}  # groups that show what the controller manager does
PRESUPPOSED: dict[str, Any] = yaml.safe_load((HERE / "presupposed.yaml").read_text(encoding="utf-8"))
PARTIAL: list[dict[str, Any]] = yaml.safe_load((HERE / "partial.yaml").read_text(encoding="utf-8")) or []


def _unmarked(obj: dict[str, Any]) -> dict[str, Any]:
    """As it was before its deletion was asked for."""
    obj = copy.deepcopy(obj)
    meta = obj["metadata"]
    if meta.pop("deletionTimestamp", None) and "generation" in meta:
        meta["generation"] -= 1
    meta.pop("deletionGracePeriodSeconds", None)
    if obj["kind"] == "Namespace":
        obj["status"] = {"phase": "Active"}
    return obj


class RecordedLogs:
    """What containers said, by the recording: lines planted by the replay."""

    def __init__(self) -> None:
        self.said: dict[tuple[str, str, bool], list[LogLine]] = {}

    def lines(self, query: LogQuery) -> list[LogLine] | None:
        found = self.said.get((query.pod, query.container, query.previous))
        return found if found is not None else self.said.get((query.pod, "", query.previous))


class Replay:
    def __init__(self, group: str) -> None:
        self.group = group
        start = PRESUPPOSED["clock"].get(group, "2026-11-21T01:00:00Z")
        self.clock = LabClock(start=datetime.fromisoformat(start.replace("Z", "+00:00")), speed=0)
        self.store = Store(self.clock)
        self.store.revision = 1
        self.logs = RecordedLogs()
        self.api = ApiServer(self.store, self.clock, logs=self.logs)
        self.tokens: dict[str, str] = {}
        self.renamed: dict[str, str] = {}  # a recorded token's id -> ours
        self.results: dict[str, list[str]] = {}
        self._known: dict[Key, dict[str, Any]] = {}
        self._touched: set[Key] = set()

    # --- the whole group ------------------------------------------------------------------------------------------

    def run(self) -> dict[str, list[str]]:
        """Differences by exchange id; an empty list is agreement."""
        self.api.housekeeping.paused = True
        self._presuppose()
        with (
            self.api,
            httpx.Client(
                verify=ssl.create_default_context(cafile=str(self.api.ca_file)), base_url=self.api.url, timeout=20
            ) as client,
        ):
            self.client = client
            before: list[Exchange] = []
            for exchange in exchanges():
                if exchange["group"] != self.group:
                    if not before or before[-1]["group"] != self.group:
                        self._remember(exchange)
                    continue
                before.append(exchange)
            mine = before
            self._plant_all(mine)
            for i, exchange in enumerate(mine):
                self._prepare(exchange, mine[i:])
                try:
                    self.results[exchange["id"]] = self._one(exchange)
                except (httpx.HTTPError, AssertionError, KeyError, ValueError, TypeError) as exc:
                    self.results[exchange["id"]] = [f"no answer to compare: {type(exc).__name__}: {exc}"]
                self._follow_up(exchange)
            for fault in self.api.faults:
                self.results.setdefault("faults", []).append(fault)
        return self.results

    # --- the world before -----------------------------------------------------------------------------------------

    def _presuppose(self) -> None:
        """Accounts and roles that were made outside the recording."""
        for item in PRESUPPOSED["objects"]:
            if self.group in item["groups"]:
                self._write(copy.deepcopy(item["object"]))

    def _write(self, obj: dict[str, Any]) -> None:
        resource = self.api.cluster.resources.by_kind(obj["apiVersion"], obj["kind"])
        assert resource is not None, obj["kind"]
        namespace = obj["metadata"].get("namespace")
        if namespace:
            self._ensure_namespace(namespace)
        key = self.api.cluster.key(resource, namespace or "", obj["metadata"]["name"])
        with self.store.lock:
            if (live := self.store.get(key)) is None:
                self.store.create(key, obj)
            else:
                kept = {k: live["metadata"][k] for k in ("uid", "creationTimestamp")}
                self.store.update(key, obj | {"metadata": kept | obj["metadata"]})

    def _ensure_namespace(self, name: str) -> None:
        key = Key("", "namespaces", "", name)
        if self.store.get(key) is None:
            meta = {"name": name, "labels": {"kubernetes.io/metadata.name": name}}
            spec = {"finalizers": ["kubernetes"]}
            self.store.create(
                key, {"kind": "Namespace", "apiVersion": "v1", "metadata": meta, "spec": spec, "status": {"phase": "Active"}}
            )
            account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default", "namespace": name}}
            self.store.create(Key("", "serviceaccounts", name, "default"), account)

    def _key(self, resource: Resource, obj: dict[str, Any]) -> Key:
        return self.api.cluster.key(resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])

    def _remember(self, exchange: Exchange) -> None:
        for resource, obj in objects_in(exchange):
            self._known[self._key(resource, obj)] = obj
        target = self._target(exchange)
        if target.verb == "delete" and exchange["response"]["status"] == 200 and not target.subresource:
            self._known.pop(Key(target.group, target.resource, target.namespace, target.name), None)

    def _plant_all(self, mine: list[Exchange]) -> None:
        """What was there when the group began: known from before, or first seen in it without being made by it."""
        made = {self._made(e) for e in mine} - {None}
        first: dict[Key, dict[str, Any]] = {}
        for exchange in mine:
            for resource, obj in objects_in(exchange, dry_runs=True):
                key = self._key(resource, obj)
                if key not in made and "watch" not in exchange:
                    first.setdefault(key, _unmarked(obj) if self._target(exchange).verb == "delete" else obj)
        namespaces = {n for e in mine for n in re.findall(r"/namespaces/([a-z0-9-]+)", e["request"]["path"])} - {"api-nonesuch"}
        for name in namespaces:
            self._ensure_namespace(name)
        known = {k: v for k, v in self._known.items() if not k.namespace or k.namespace in namespaces}
        for key, obj in sorted({**first, **known}.items(), key=lambda kv: int(kv[1]["metadata"].get("resourceVersion") or 0)):
            if key not in made:
                self._plant(key, obj)
        self._keep_house()

    def _keep_house(self, *, now: bool = False) -> None:
        """Let the garbage collector and its like do what is due, in the groups that show them."""
        if now or self.group in _ALIVE:
            with self.store.lock:
                self.api.housekeeping.paused = False
                self.api.housekeeping.run()
                self.api.housekeeping.paused = True

    def _made(self, exchange: Exchange) -> Key | None:
        target = self._target(exchange)
        if exchange["response"]["status"] != 201 or target.subresource or "dryRun" in exchange["request"]["path"]:
            return None
        name = ((exchange["response"].get("body") or {}).get("metadata") or {}).get("name", target.name)
        return Key(target.group, target.resource, target.namespace, name)

    def _plant(self, key: Key, obj: dict[str, Any]) -> None:
        """Put an object as it was recorded, revision and all."""
        obj = json.loads(self._ours(json.dumps(obj)))
        if key.namespace:
            self._ensure_namespace(key.namespace)
        revision = int(obj["metadata"].get("resourceVersion") or self.store.revision + 1)
        with self.store.lock:
            latest = self.store.revision
            if revision > 0:
                self.store.revision = revision - 1
            if self.store.get(key) is None:
                self.store.create(key, obj)
            elif self.store.update(key, obj)["metadata"]["resourceVersion"] != str(revision):
                self.store._objects[key]["metadata"]["resourceVersion"] = str(revision)  # nothing else differs: no event
            self.store.revision = max(latest, self.store.revision)
            self.store.changes.sort(key=lambda change: change.revision)

    def _target(self, exchange: Exchange) -> Any:
        parts = urlsplit(exchange["request"]["path"])
        query = [(k, v) for k, vs in parse_qs(parts.query, keep_blank_values=True).items() for v in vs]
        return target_of(exchange["request"]["method"], parts.path, query)

    def _prepare(self, exchange: Exchange, rest: list[Exchange]) -> None:
        self._move_clock(exchange)
        target, body = self._target(exchange), exchange["response"].get("body")
        if target.verb in ("get", "list") and exchange["response"]["status"] == 200 and target.subresource in ("", "status"):
            for resource, obj in objects_in(exchange):
                self._plant(self._key(resource, obj), obj)
            self._clear_others(exchange, target)
        elif (
            (target.verb in ("patch", "update") or (target.verb == "delete" and not target.resource.startswith("custom")))
            and isinstance(body, dict)
            and target.name
        ):
            self._controllers_wrote(target, body)
        elif target.subresource == "scale" and isinstance(body, dict) and body.get("kind") == "Scale":
            self._scaled(target, body)
        if target.verb == "deletecollection":
            for resource, obj in objects_in(exchange):
                self._plant(self._key(resource, obj), _unmarked(obj))
        if target.subresource == "log":
            self._plant_logs(target, exchange)
        self._revision_asked_for(exchange, target)
        wanted = re.search(r"resourceVersion=(\d+)", exchange["request"]["path"])
        if wanted and int(wanted[1]) < 900_000_000:
            self.store.revision = max(self.store.revision, int(wanted[1]))
        if exchange["id"] in PRESUPPOSED["compacted"]:
            self.api.compact(PRESUPPOSED["compacted"][exchange["id"]])
        for change in PRESUPPOSED["changes"]:
            if change["before"] == exchange["id"]:
                self._change(change)
        if exchange["id"] in PRESUPPOSED["pass_time"]:
            self.clock.advance(PRESUPPOSED["pass_time"][exchange["id"]])
            self._keep_house(now=True)

    def _revision_asked_for(self, exchange: Exchange, target: Any) -> None:
        """A precondition that held: the object had that revision then."""
        body = exchange["request"]["body"]
        if exchange["response"]["status"] != 200 or not isinstance(body, dict):
            return
        wanted = (body.get("preconditions") or body.get("metadata") or {}).get("resourceVersion")
        key = Key(target.group, target.resource, target.namespace, target.name)
        live = self.store.get(key)
        if wanted and live is not None and live["metadata"]["resourceVersion"] != wanted:
            live["metadata"]["resourceVersion"] = wanted
            self._plant(key, live)

    def _change(self, change: dict[str, Any]) -> None:
        """Something that happened between two recorded requests."""
        for identity in change.get("mint", []):
            self._token(identity)
        for identity in change.get("use", []):
            self.client.get("/api/v1/namespaces/none/pods", headers={"authorization": f"Bearer {self._token(identity)}"})
        for identity in change.get("forget", []):
            self.tokens.pop(identity, None)
        for obj in change.get("write", []):
            self._write(copy.deepcopy(obj))
        for row in change.get("remove", []):
            key = Key(*row)
            if self.store.get(key) is not None:
                self.store.remove(key)
        for obj in change.get("write_after", []):
            self._write(copy.deepcopy(obj))

    def _move_clock(self, exchange: Exchange) -> None:
        if at := PRESUPPOSED["clock_at"].get(exchange["id"]):
            self.clock.advance((datetime.fromisoformat(at.replace("Z", "+00:00")) - self.clock.now()).total_seconds())
        if "seconds_still_accepted" in exchange:
            self.clock.advance(max(exchange["seconds_still_accepted"], 10.1))
        if "seconds_after_exp" in exchange:
            self.clock.advance({True: 606, False: 75}[exchange["seconds_after_exp"] < 60])

    def _clear_others(self, exchange: Exchange, target: Any) -> None:
        """What a complete list does not hold was gone by then; of a list that was cut, what would stand before its end."""
        body, path = exchange["response"]["body"], exchange["request"]["path"]
        cut = re.search(r"first \d+ of", exchange.get("note", ""))
        if target.verb != "list" or not isinstance(body, dict) or not str(body.get("kind", "")).endswith("List"):
            return
        if (
            (body.get("metadata") or {}).get("continue")
            or "continue=" in path
            or ("left out" in exchange.get("note", "") and not cut)
        ):
            return
        have = {(i["metadata"].get("namespace", ""), i["metadata"]["name"]) for i in body["items"]}
        listed = self.api.call("GET", exchange["request"]["path"])[1]
        for item in (listed or {}).get("items", []) if isinstance(listed, dict) else []:
            meta = item["metadata"]
            where = (meta.get("namespace", ""), meta["name"])
            if where not in have and not (cut and have and where > max(have)):
                group = "" if target.group == "events.k8s.io" else target.group
                self.store.remove(Key(group, target.resource, meta.get("namespace", ""), meta["name"]))

    def _controllers_wrote(self, target: Any, body: dict[str, Any]) -> None:
        """Status, revision annotation and managedFields entries of controllers, as the answer shows them."""
        key = Key(target.group, target.resource, target.namespace, target.name)
        live = self.store.get(key)
        if live is None or body.get("kind") != live.get("kind"):
            return
        if target.subresource != "status" and "status" in body:
            live["status"] = body["status"]
        annotation = (body["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision")
        if annotation:
            live["metadata"].setdefault("annotations", {})["deployment.kubernetes.io/revision"] = annotation
        theirs = [e for e in body["metadata"].get("managedFields", []) if e["manager"] in CONTROLLERS]
        mine = [e for e in live["metadata"].get("managedFields", []) if e["manager"] not in CONTROLLERS]
        if theirs or mine:
            live["metadata"]["managedFields"] = mine + theirs
        self._plant(key, live)

    def _scaled(self, target: Any, body: dict[str, Any]) -> None:
        key = Key(target.group, target.resource, target.namespace, target.name)
        live = self.store.get(key)
        if live is not None and target.group == "apps":
            live.setdefault("status", {})["replicas"] = body["status"]["replicas"]
            if target.verb == "get":
                live["spec"]["replicas"] = body["spec"].get("replicas", 0)
            self._plant(key, live)

    def _plant_logs(self, target: Any, exchange: Exchange) -> None:
        query = parse_qs(urlsplit(exchange["request"]["path"]).query)
        text = exchange["response"].get("body")
        lines = [line["line"] for line in exchange.get("watch", [])] or (text.splitlines() if isinstance(text, str) else [])
        now, said = self.clock.now().timestamp(), []
        for line in lines:
            stamp = re.match(r"(\d{4}-\S+Z) (.*)$", line)
            moment = datetime.fromisoformat(stamp[1][:26] + "+00:00").timestamp() if stamp else now
            said.append(LogLine(moment, stamp[2] if stamp else line))
        if "watch" in exchange:
            later = [line for line, row in zip(said, exchange["watch"], strict=True) if row["t_ms"] > 150]
            said = [line for line in said if line not in later]
            for line in later:
                threading.Timer(0.2 + 0.1 * later.index(line), said.append, args=(line,)).start()
        if exchange["response"]["status"] == 200:
            previous = query.get("previous") == ["true"]
            self.logs.said[(target.name, query.get("container", [""])[0], previous)] = said

    # --- the request ----------------------------------------------------------------------------------------------

    def _one(self, exchange: Exchange) -> list[str]:
        if "watch" in exchange:
            return self._watch(exchange)
        request = exchange["request"]
        response = self.client.request(
            request["method"], request["path"], headers=self._headers(exchange), content=self._body(request)
        )
        return self._compare(exchange, response)

    def _headers(self, exchange: Exchange) -> list[tuple[str, str]]:
        out = [("user-agent", "python-httpx/0.28")]
        if exchange["group"] == "kubectl":
            out = [("user-agent", "kubectl/v1.36.4 (linux/amd64) kubernetes/abc")]
        for name, value in exchange["request"]["headers"].items():
            for item in value if isinstance(value, list) else [value]:
                match = re.fullmatch(r"Bearer <(.+)>", item)
                out.append((name, f"Bearer {self._token(match[1])}" if match else item))
        return out

    def _token(self, identity: str) -> str:
        if identity == "admin":
            return self.api.admin_token
        if identity in self.tokens:
            return self.tokens[identity]
        if identity == "garbage":
            return "garbage"
        if identity.endswith("-with-altered-signature"):
            head, payload, signature = self._token(identity.removesuffix("-with-altered-signature")).split(".")
            return ".".join([head, payload, ("A" if signature[0] != "A" else "B") + signature[1:]])
        minted = PRESUPPOSED["identities"][identity]
        options = minted if isinstance(minted, dict) else {"account": minted}
        namespace, name = options["account"].split("/")
        spec = {k: v for k, v in options.items() if k != "account"}
        status, body = self.api.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", {"spec": spec})
        assert status == 201, body
        self.tokens[identity] = body["status"]["token"]
        return self.tokens[identity]

    def _body(self, request: dict[str, Any]) -> bytes | None:
        body = request["body"]
        if body is None:
            return None
        if isinstance(body, dict) and "protobuf_base64" in body:
            return base64.b64decode(body["protobuf_base64"])
        text = body if isinstance(body, str) else json.dumps(body)
        if match := re.search(r"\.\.\. <(\d+) bytes in all>$", text):
            text = json.dumps(
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"a": "x" * (int(match[1]) - 89)}}
            )
        text = self._ours(text)
        for token in re.findall(r"<token of ([a-z0-9-]+)>", text):
            text = text.replace(f"<token of {token}>", self._token(token))
        return text.encode()

    def _ours(self, text: str) -> str:
        for recorded, ours in self.renamed.items():
            text = text.replace(recorded, ours)
        return text

    def _compare(self, exchange: Exchange, response: httpx.Response) -> list[str]:
        want = exchange["response"]
        out = (
            []
            if response.status_code == want["status"]
            else [f"status: want {want['status']}, got {response.status_code}: {response.text[:600]}"]
        )
        if out:
            return out
        for name in ("content-type", "warning", "retry-after"):
            expected = want["headers"].get(name)
            expected = expected if isinstance(expected, list) or expected is None else [expected]
            got = response.headers.get_list(name) or None
            if name == "warning" and got and len(got) == 1 and expected and len(expected) > 1:
                got = re.split(r", (?=299 - )", got[0])
            if expected != got and not (name == "content-type" and want["status"] == 204):
                out.append(f"header {name}: want {expected}, got {got}")
        got_body: Any = response.text
        if isinstance(want["body"], dict | list):
            got_body = json.loads(response.text) if response.text else None
        if isinstance(got_body, dict):
            self._note_token(exchange, got_body)
        return out + self._difference(exchange, want["body"], got_body)

    def _difference(self, exchange: Exchange, want: Any, got: Any) -> list[str]:
        if want == "" and got is None:
            return []
        paths = [p for row in PARTIAL if re.fullmatch(row["ids"], exchange["id"]) for p in row["ignore"]]
        if "*" in paths:
            return []
        note = exchange.get("note", "")
        if (match := re.search(r"first (\d+) of \d+ in \"items\" kept", note)) and isinstance(got, dict):
            got = got | {"items": got.get("items", [])[: int(match[1])]}
        return difference(without(masked(want), paths), without(masked(got), paths))

    def _note_token(self, exchange: Exchange, got: dict[str, Any]) -> None:
        recorded = (
            ((exchange["response"]["body"] or {}).get("status") or {}) if isinstance(exchange["response"]["body"], dict) else {}
        )
        if isinstance(recorded, dict) and (match := re.fullmatch(r"<token of (.+)>", str(recorded.get("token", "")))):
            self.tokens[match[1]] = got["status"]["token"]
            ours = json.loads(base64.urlsafe_b64decode(got["status"]["token"].split(".")[1] + "==="))
            self.renamed[exchange["token_claims"]["payload"]["jti"]] = ours["jti"]

    # --- after ----------------------------------------------------------------------------------------------------

    def _follow_up(self, exchange: Exchange) -> None:
        """The recorded outcome is what the next request finds: uids and revisions included."""
        target = self._target(exchange)
        if target.verb in ("create", "update", "patch", "delete", "deletecollection"):
            for resource, obj in objects_in(exchange):
                key = self._key(resource, obj)
                if target.verb != "create" and self.store.get(key) is None:
                    continue
                self._plant(key, obj)
            body = exchange["response"]["body"]
            if (
                target.subresource == "scale"
                and exchange["response"]["status"] == 200
                and "dryRun" not in exchange["request"]["path"]
            ):
                key = Key(target.group, target.resource, target.namespace, target.name)
                if (live := self.store.get(key)) is not None and live["metadata"]["resourceVersion"] != body["metadata"][
                    "resourceVersion"
                ]:
                    live["metadata"]["resourceVersion"] = body["metadata"]["resourceVersion"]
                    self._plant(key, live)
        self._keep_house()

    # --- watches --------------------------------------------------------------------------------------------------

    def _watch(self, exchange: Exchange) -> list[str]:
        """Lines as recorded; what other clients did meanwhile is put into the store once the first answer is there."""
        path = re.sub(r"timeoutSeconds=\d+", "timeoutSeconds=1", exchange["request"]["path"])
        if "timeoutSeconds" not in path and "/log" not in path:
            path += "&timeoutSeconds=1"
        want = [line["line"] for line in exchange["watch"]]
        later = self._split(exchange, want)
        got: list[Any] = []
        with self.client.stream("GET", path, headers=self._headers(exchange)) as response:
            if response.status_code != exchange["response"]["status"]:
                response.read()
                return [f"status: want {exchange['response']['status']}, got {response.status_code}: {response.text[:300]}"]
            threading.Timer(0.05, self._meanwhile, args=(later,)).start()
            for line in response.iter_lines():
                got.append(json.loads(line) if line.startswith("{") else line)
                if len(got) >= len(want) and "/log" in path:
                    break
        return self._difference(exchange, want, got)

    def _split(self, exchange: Exchange, want: list[Any]) -> list[dict[str, Any]]:
        """Objects that were there before are planted; the rest comes later."""
        if "/log" in exchange["request"]["path"] or (want and isinstance(want[0], str)):
            return []
        began = re.search(r"resourceVersion=([1-9]\d*)", exchange["request"]["path"])
        limit = int(began[1]) if began else None
        early = [row["line"] for row in exchange["watch"] if limit is None and row["t_ms"] < 150]
        events = [row["line"] for row in exchange["watch"]]
        later = [
            e
            for e in events
            if e not in early and e["type"] in ("ADDED", "MODIFIED", "DELETED") and e["object"].get("kind") != "Table"
        ]
        self._only(exchange, [e["object"] for e in early if e["type"] == "ADDED"], later)
        return later

    def _only(self, exchange: Exchange, present: list[Any], later: list[Any]) -> None:
        target = self._target(exchange)
        resource = self.api.cluster.resources.find(target.group, target.version, target.resource)
        if resource is None or any(o.get("kind") in ("Table", "PartialObjectMetadata") for o in present):
            return
        if "resourceVersion=" not in exchange["request"]["path"] or "resourceVersion=0" in exchange["request"]["path"]:
            for obj in self.store.list(resource.store_group, resource.plural, target.namespace or None):
                self.store.remove(self._key(resource, obj))
        for obj in present:
            self._plant(self._key(resource, obj), obj)
        born = {e["object"]["metadata"]["name"] for e in later if e["type"] == "ADDED"}
        for event in later:
            meta = event["object"]["metadata"]
            if (
                event["type"] != "ADDED"
                and meta["name"] not in born
                and self.store.get(self._key(resource, event["object"])) is None
            ):
                old = copy.deepcopy(event["object"])
                began = re.search(r"resourceVersion=([1-9]\d*)", exchange["request"]["path"])
                old["metadata"]["resourceVersion"] = began[1] if began else str(max(self.store.revision - 1, 1))
                old["data"] = {"before": "the watch began"}
                self._plant(self._key(resource, old), old)

    def _meanwhile(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            resource = self.api.cluster.resources.by_kind(event["object"]["apiVersion"], event["object"]["kind"])
            if resource is None:
                continue
            key = self._key(resource, event["object"])
            if event["type"] == "DELETED":
                if self.store.get(key) is not None:
                    gone = copy.deepcopy(event["object"])
                    if "labelSelector" in str(gone):
                        continue
                    self.store.remove(key)
            else:
                obj = copy.deepcopy(event["object"])
                del obj["metadata"]["resourceVersion"]
                self._plant(key, obj)
            time.sleep(0.01)
