"""Who is asking: bearer tokens, anonymous, impersonation."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

from lab.api.authz import Attributes
from lab.api.cluster import Cluster
from lab.api.request import ANONYMOUS, Call, Identity, Target
from lab.api.status import ApiError, bad_request, forbidden, qualified, unauthorized
from lab.api.tokens import BadToken

ADMIN = Identity(username="kubernetes-admin", groups=("system:masters", "system:authenticated"))
_AUTHN = "authentication.k8s.io"
CREDENTIAL = "authentication.kubernetes.io/credential-id"


def authenticate(cluster: Cluster, headers: Mapping[str, list[str]]) -> Identity:
    """ApiError 401 for a token that is not good; the anonymous user where there is none."""
    text = (headers.get("authorization") or [""])[0]
    if not text:
        return ANONYMOUS
    scheme, _, token = text.partition(" ")
    if scheme.lower() != "bearer":
        return ANONYMOUS
    if token == cluster.admin_token:
        return replace(ADMIN, extra={CREDENTIAL: (f"X509SHA256={hashlib.sha256(token.encode()).hexdigest()}",)})
    try:
        return cluster.tokens.check(token)[0]
    except BadToken as exc:
        raise unauthorized() from exc


def impersonated(cluster: Cluster, call: Call) -> Identity:
    """The identity that the request takes on, if it may. ApiError 400, 403."""
    user = call.header("impersonate-user")
    groups = call.headers.get("impersonate-group") or []
    uid = call.header("impersonate-uid")
    extra: dict[str, tuple[str, ...]] = {
        unquote(k.removeprefix("impersonate-extra-")): tuple(v)
        for k, v in sorted(call.headers.items())
        if k.startswith("impersonate-extra-")
    }
    if not user:
        if groups or extra or uid:
            raise bad_request(_without_user(uid, groups, extra))
        return call.identity
    wanted = Identity(username=user, uid=uid, groups=tuple(groups), extra=extra)
    _check(cluster, call, wanted)
    if user.startswith("system:serviceaccount:"):
        namespace = user.split(":")[2]
        implied = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        return replace(wanted, groups=(*(groups or implied), "system:authenticated"))
    return replace(wanted, groups=(*groups, "system:authenticated"))


def _without_user(uid: str, groups: list[str], extra: Mapping[str, tuple[str, ...]]) -> str:
    shown_groups = "[]string{" + ", ".join(json.dumps(g) for g in groups) + "}" if groups else "[]string(nil)"
    pairs = ", ".join(f"{json.dumps(k)}:[]string{{{', '.join(json.dumps(x) for x in v)}}}" for k, v in extra.items())
    shown_extra = f"map[string][]string{{{pairs}}}" if extra else "map[string][]string(nil)"
    info = f'&user.DefaultInfo{{Name:"", UID:{json.dumps(uid)}, Groups:{shown_groups}, Extra:{shown_extra}}}'
    return f"requested {info} without impersonating a user name"


def _asks(wanted: Identity) -> list[Attributes]:
    """What the old impersonate verb is asked for, part by part."""
    if wanted.username.startswith("system:serviceaccount:"):
        _, _, namespace, name = wanted.username.split(":", 3)
        out = [Attributes(verb="impersonate", resource="serviceaccounts", namespace=namespace, name=name)]
    else:
        out = [Attributes(verb="impersonate", resource="users", name=wanted.username)]
    out += [Attributes(verb="impersonate", resource="groups", name=g) for g in wanted.groups]
    out += [
        Attributes(verb="impersonate", group=_AUTHN, resource="userextras", subresource=k, name=v)
        for k, vs in wanted.extra.items()
        for v in vs
    ]
    if wanted.uid:
        out.append(Attributes(verb="impersonate", group=_AUTHN, resource="uids", name=wanted.uid))
    return out


def _check(cluster: Cluster, call: Call, wanted: Identity) -> None:
    """The old verb on every part, or the constrained verbs of KEP-5284 on the user and on the request."""
    decide = cluster.authorizer.decide
    asks = _asks(wanted)
    denied = [a for a in asks if not decide(call.identity, a).allowed]
    if not denied:
        return
    is_account = wanted.username.startswith("system:serviceaccount:")
    mode = "serviceaccount" if is_account else "user-info"
    on = attributes(call.target, verb=f"impersonate-on:{mode}:{call.target.verb}")
    user = replace(asks[0], verb=f"impersonate:{mode}", group=_AUTHN)
    if decide(call.identity, on).allowed:
        parts = [user, *(replace(a, verb=f"impersonate:{mode}", group=_AUTHN) for a in asks[1:])]
        for part in parts:
            if not decide(call.identity, part).allowed:
                raise denial(call.identity, part)
        return
    if any(_held_in_part(cluster, call.identity, a) for a in asks[:1]):
        raise denial(call.identity, denied[0])
    if decide(call.identity, user).allowed or not _holds_narrow_elsewhere(cluster, call.identity):
        raise denial(call.identity, on)
    raise denial(call.identity, on)


def _held_in_part(cluster: Cluster, who: Identity, ask: Attributes) -> bool:
    """Whether some rule gives the old verb on this kind of thing, for whatever name."""
    return any(
        ("impersonate" in r["verbs"] or "*" in r["verbs"])
        and any(x in (ask.full_resource, "*") for x in r.get("resources") or ())
        for r in cluster.authorizer.rules(who, ask.namespace)
    )


def _holds_narrow_elsewhere(cluster: Cluster, who: Identity) -> bool:
    return any(v.startswith("impersonate:") for r in cluster.authorizer.rules(who, "") for v in r["verbs"])


def attributes(target: Target, *, verb: str = "") -> Attributes:
    if not target.is_resource:
        return Attributes(verb=verb or target.verb, path=target.path)
    return Attributes(
        verb=verb or target.verb,
        group=target.group,
        resource=target.resource,
        subresource=target.subresource,
        namespace=target.namespace,
        name=target.name,
    )


def denial(who: Identity, ask: Attributes, *, error: str = "") -> ApiError:
    """403 in the words of the RBAC authorizer."""
    tail = f": {error}" if error else ""
    if ask.path:
        message = f'forbidden: User "{who.username}" cannot {ask.verb} path "{ask.path}"{tail}'
        return ApiError(403, "Forbidden", message, details={})
    scope = f'in the namespace "{ask.namespace}"' if ask.namespace else "at the cluster scope"
    why = f'User "{who.username}" cannot {ask.verb} resource "{ask.full_resource}" in API group "{ask.group}" {scope}{tail}'
    return forbidden(ask.resource, ask.group, ask.name, why)


def authorize(cluster: Cluster, call: Call) -> None:
    """ApiError 403."""
    ask = attributes(call.target)
    verdict = cluster.authorizer.decide(call.identity, ask)
    if not verdict.allowed:
        raise denial(call.identity, ask, error=verdict.error)


__all__ = ["ADMIN", "attributes", "authenticate", "authorize", "denial", "impersonated", "qualified"]
