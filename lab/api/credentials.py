"""TokenRequest: minting ServiceAccount tokens. A dry run mints as well, as a real server does."""

from datetime import timedelta
from typing import Any

from lab.api import admission
from lab.api.bodies import object_of
from lab.api.cluster import Cluster
from lab.api.managed import Entry, Ownership
from lab.api.request import Answer, Call
from lab.api.resources import Resource
from lab.api.status import bad_request, conflict, invalid, invalid_value, not_found
from lab.api.tokens import ISSUER
from lab.store import Key, Object

GROUP = "authentication.k8s.io"
ROOT = "authentication.v1.TokenRequest"


def request_token(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    """201 with a token in its status. ApiError 400, 404, 409, 422."""
    body = object_of(cluster, call, resource, kind="TokenRequest", api_version=f"{GROUP}/v1", root=ROOT)
    name, namespace = call.target.name, call.target.namespace
    account = cluster.store.get(Key("", "serviceaccounts", namespace, name))
    if account is None:
        raise not_found("serviceaccounts", "", name)
    spec = body.get("spec") or {}
    seconds = spec.get("expirationSeconds", 3600)
    _check_seconds(seconds)
    uid = (body.get("metadata") or {}).get("uid")
    if uid and uid != account["metadata"]["uid"]:
        why = f"the UID in the token request ({uid}) does not match the UID of the service account ({account['metadata']['uid']})"
        raise conflict("TokenRequest", GROUP, name, why)
    bound = _bound(cluster, call, spec.get("boundObjectRef"))
    admission.validate_part(cluster, resource, body, call)
    audiences = spec.get("audiences") or [ISSUER]
    token = cluster.tokens.mint(account, seconds=seconds, audiences=audiences, bound=bound)
    expires = (cluster.clock.now() + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    meta = {
        "name": name,
        "namespace": namespace,
        "uid": account["metadata"]["uid"],
        "creationTimestamp": account["metadata"]["creationTimestamp"],
        "managedFields": [_entry(cluster, call, body).document()],
    }
    shown = {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": spec.get("boundObjectRef")}
    answer = {
        "kind": "TokenRequest",
        "apiVersion": f"{GROUP}/v1",
        "metadata": meta,
        "spec": shown,
        "status": {"token": token, "expirationTimestamp": expires},
    }
    return Answer(status=201, body=answer)


def _check_seconds(seconds: int) -> None:
    why = ""
    if seconds < 600:
        why = "may not specify a duration less than 10 minutes"
    elif seconds > 1 << 32:
        why = "may not specify a duration larger than 2^32 seconds"
    if why:
        raise invalid("TokenRequest", GROUP, "", [invalid_value("spec.expirationSeconds", str(seconds), why)])


def _bound(cluster: Cluster, call: Call, ref: Any) -> Object | None:
    """The Pod, Secret or Node that the token shall die with."""
    if not ref:
        return None
    kind, name = ref.get("kind", ""), ref.get("name", "")
    version = ref.get("apiVersion", "v1")
    if version != "v1" or kind not in ("Pod", "Secret", "Node"):
        raise bad_request(f"cannot bind token to object of type {'/' if '/' not in version else ''}{version}, Kind={kind}")
    namespace = "" if kind == "Node" else call.target.namespace
    plural = f"{kind.lower()}s"
    found = cluster.store.get(Key("", plural, namespace, name))
    if found is None:
        raise not_found(plural, "", name)
    if kind == "Pod" and (found.get("spec") or {}).get("serviceAccountName") != call.target.name:
        raise bad_request(
            f'cannot bind token for serviceaccount "{call.target.name}" to pod running with different serviceaccount name.'
        )
    if ref.get("uid") and ref["uid"] != found["metadata"]["uid"]:
        why = (
            f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise conflict(kind, "", name, why)
    return {"kind": kind, "name": name, "uid": found["metadata"]["uid"]}


def _entry(cluster: Cluster, call: Call, body: Object) -> Entry:
    spec = {"expirationSeconds": 3600} | (body.get("spec") or {})
    fields = Ownership(cluster.types).of_config({"spec": spec}, ROOT)
    return Entry(
        manager=call.manager,
        operation="Update",
        api_version=f"{GROUP}/v1",
        fields=fields,
        time=cluster.now(),
        subresource="token",
    )
