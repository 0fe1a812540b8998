"""RBAC evaluated: who may do what, by which binding and role, and what is missing when somebody may not.

Pure; knows no check. Follows the API server's RBAC authorizer: verbs, groups, resources with subresources, resourceNames,
nonResourceURLs, aggregated ClusterRoles, and the groups that every ServiceAccount is in. What other authorizers allow (node,
webhook, group system:masters without a binding) is not RBAC and not seen here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from agent.domain.objects import Ref
from agent.topology.fields import ref_of
from agent.topology.graph import Topology
from agent.topology.roles import Binding, Request, Subject, allows_request, bindings, closeness, rule_text, rules_of

ALIKE = 0.75  # of a name and its slip
KINDS = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
_ACCOUNT = re.compile(r"^system:serviceaccount:([^:]+):([^:]+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One way in which a subject has the right: which binding, which role, and the rule in words."""

    subject: Subject
    binding: Ref
    role: Ref
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether RBAC allows it. Without a grant it is only a "no" when nothing was unseen."""

    allowed: bool
    grants: tuple[Grant, ...] = ()
    unseen: tuple[str, ...] = ()  # kinds of RBAC objects that could not be read

    @property
    def is_certain(self) -> bool:
        return self.allowed or not self.unseen


Lack = Literal["other-subject", "role-missing", "role-lacks-right", "other-namespace", "unbound-role", "nothing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """What comes nearest to the right that a subject lacks, and why it does not give it.

    other-subject: a binding gives it to a subject that is almost this one. role-missing: a binding of the subject names a role
    that does not exist. role-lacks-right: a role of the subject speaks of the resource, not of this verb, name or part.
    other-namespace: bound in another namespace only. unbound-role: a role would give it, no binding names the subject.
    """

    lack: Lack
    binding: Ref | None = None
    role: Ref | None = None
    subject: Subject | None = None  # whom the binding names instead
    has: str = ""  # the rule that comes nearest, in words


def subject_named(username: str) -> Subject:
    """The subject behind a user name: "system:serviceaccount:NAMESPACE:NAME" is a ServiceAccount, all else a user."""
    match = _ACCOUNT.match(username)
    return Subject("ServiceAccount", match[1], match[2]) if match else Subject("User", "", username)


def groups_of(subject: Subject) -> tuple[str, ...]:
    """Groups that the API server puts a subject into by itself; those of a user come from its login and are not seen."""
    if subject.kind == "ServiceAccount":
        return ("system:serviceaccounts", f"system:serviceaccounts:{subject.namespace}", "system:authenticated")
    if subject.kind == "User":
        return ("system:unauthenticated",) if subject.name == "system:anonymous" else ("system:authenticated",)
    return ()


def can(topology: Topology, who: Subject | str, request: Request, *, groups: Iterable[str] = ()) -> Verdict:
    """Whether `who` (a Subject or a user name) may do it; `groups` are those that its login adds."""
    subject = subject_named(who) if isinstance(who, str) else who
    known = {*groups_of(subject), *groups}
    grants = [
        Grant(subject=named, binding=one.ref, role=one.role, rule=rule_text(rule))
        for one, rule in _granting(topology, request)
        for named in one.subjects
        if _is_same(named, subject) or (named.kind == "Group" and named.name in known)
    ]
    return Verdict(allowed=bool(grants), grants=tuple(dict.fromkeys(grants)), unseen=unseen(topology))


def who_can(topology: Topology, request: Request) -> tuple[Grant, ...]:
    """Every subject that a binding gives the right to, with the binding and the role, in order of subject."""
    found = [
        Grant(subject=named, binding=one.ref, role=one.role, rule=rule_text(rule))
        for one, rule in _granting(topology, request)
        for named in one.subjects
    ]
    return tuple(sorted(dict.fromkeys(found), key=lambda one: (one.subject, one.binding, one.role, one.rule)))


def rights_of(topology: Topology, who: Subject | str) -> tuple[Grant, ...]:
    """All rules that hold for a subject, with the namespace of the binding saying where."""
    subject = subject_named(who) if isinstance(who, str) else who
    known = groups_of(subject)
    found = [
        Grant(subject=named, binding=one.ref, role=one.role, rule=rule_text(rule))
        for one in bindings(topology)
        for named in one.subjects
        if _is_same(named, subject) or (named.kind == "Group" and named.name in known)
        for rule in one.rules or ()
    ]
    return tuple(dict.fromkeys(found))


def unseen(topology: Topology) -> tuple[str, ...]:
    """RBAC kinds that could not be read; all of them when not one object of them is in view (a cluster always has some)."""
    if not any(topology.kinds.get(kind) for kind in KINDS):
        return KINDS
    return tuple(kind for kind in KINDS if not topology.saw(kind))


def nearest(topology: Topology, subject: Subject, request: Request) -> Miss:
    """Why the subject lacks the right: what comes nearest to giving it."""
    for one, rule in _granting(topology, request):
        for named in one.subjects:
            if _is_slip(topology, named, subject):
                return Miss(lack="other-subject", binding=one.ref, role=one.role, subject=named, has=rule_text(rule))
    own = [one for one in bindings(topology) if any(_is_same(named, subject) for named in one.subjects)]
    here = [one for one in own if one.ref.kind == "ClusterRoleBinding" or one.ref.namespace == request.namespace]
    for one in here:
        if one.rules is None and topology.saw(one.role.kind) and (one.role.kind == "Role" or topology.kinds.get(one.role.kind)):
            return Miss(lack="role-missing", binding=one.ref, role=one.role)
    for one in own:
        held = next((rule for rule in one.rules or () if one not in here and allows_request(rule, request)), None)
        if held is not None:
            return Miss(lack="other-namespace", binding=one.ref, role=one.role, has=rule_text(held))
    close = [(score, one, rule) for one in here for rule in one.rules or () if (score := closeness(rule, request))]
    if close:
        _, best, rule = max(close, key=lambda one: (one[0], one[1].ref.kind == "RoleBinding", one[1].ref, rule_text(one[2])))
        return Miss(lack="role-lacks-right", binding=best.ref, role=best.role, has=rule_text(rule))
    narrow = next((one for one in here if one.role.kind == "Role"), None)
    if narrow is not None:
        return Miss(lack="role-lacks-right", binding=narrow.ref, role=narrow.role)
    return _unbound(topology, request)


def _unbound(topology: Topology, request: Request) -> Miss:
    """A Role of the namespace, made for this and bound to nobody who could use it."""
    bound = {one.role for one in bindings(topology)}
    for role in topology.in_namespace("Role", request.namespace) if request.namespace else ():
        held = next((rule for rule in rules_of(role) if allows_request(rule, request)), None)
        if held is not None and ref_of(role) not in bound:
            return Miss(lack="unbound-role", role=ref_of(role), has=rule_text(held))
    return Miss(lack="nothing")


def _granting(topology: Topology, request: Request) -> Iterator[tuple[Binding, Mapping[str, Any]]]:
    for one in bindings(topology):
        if one.ref.kind == "RoleBinding" and (request.path or not request.namespace or one.ref.namespace != request.namespace):
            continue
        for rule in one.rules or ():
            if allows_request(rule, request):
                yield one, rule
                break


def _is_same(named: Subject, subject: Subject) -> bool:
    """The same, also where a binding names a ServiceAccount as the user that it is."""
    return named == subject or (named.kind == "User" and named.name == subject.username)


def _is_slip(topology: Topology, named: Subject, meant: Subject) -> bool:
    """Whether a binding's subject is nobody, and looks like the one that was meant: a name with a slip, another namespace, or
    another kind (a ServiceAccount named as a user or group)."""
    if named.kind != "ServiceAccount":
        return meant.kind == "ServiceAccount" and named.name in (meant.name, meant.username)
    if meant.kind != "ServiceAccount" or Ref("ServiceAccount", named.namespace, named.name) in topology.objects:
        return False
    if named.name == meant.name:
        return True
    return named.namespace == meant.namespace and _are_alike(named.name, meant.name)


def _are_alike(one: str, other: str) -> bool:
    """Two letters swapped, one letter wrong, or mostly the same."""
    one_wrong = len(one) == len(other) > 2 and sum(1 for a, b in zip(one, other, strict=True) if a != b) == 1
    return one_wrong or sorted(one) == sorted(other) or SequenceMatcher(None, one, other).ratio() >= ALIKE
