"""Who can do what, and what somebody can do: RBAC as it stands, with the binding and the role that give it. Pure."""

from collections.abc import Sequence

from agent.domain.answer import Answer
from agent.domain.finding import Diagnosis
from agent.domain.question import Access, Question
from agent.reasoning.answers.reply import answered, counted, listed, table, where
from agent.reasoning.focus import Focus
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import name_of, namespace_of, text
from agent.topology.resources import is_cluster_scoped, resource_named
from agent.topology.rights import Grant, can, rights_of, unseen, who_can
from agent.topology.roles import Request, Subject

NOT_SEEN = (
    "RBAC only: what node authorization, webhooks and the group system:masters allow is not seen, nor which groups a login adds"
)
_OWN = ("system:", "kubeadm:")  # subjects that the cluster itself is made of


def who_may(question: Question, focus: Focus, topology: Topology, missing: tuple[str, ...]) -> Diagnosis:
    access = question.access or Access()
    blind = unseen(topology)
    if access.subject:
        return _subject(access, focus, topology, missing, blind)
    if not access.verb or not access.resource:
        return _unclear(access, missing)
    requests = _requests(access, focus, topology)
    found = sorted({(grant, request.namespace) for request in requests for grant in who_can(topology, request)}, key=_order)
    rows, left = table(
        (str(grant.subject), space or "every namespace", str(grant.binding), f"{grant.role}: {grant.rule}")
        for grant, space in found
    )
    what = _words(access)
    people = dict.fromkeys(grant.subject for grant, _ in found)
    own = [one for one in people if not one.name.startswith(_OWN) and not one.namespace.startswith("kube-")]
    scope = where(focus.namespaces)
    if blind and not found:
        said = f"It cannot be said who can {what} in {scope}: {listed(blind)} objects could not be read."
    elif not found:
        said = f"Nobody can {what} in {scope} by RBAC."
    else:
        told = f"{counted(len(people), 'subject')} can {what} in {scope}"
        said = f"{told}: {listed(own or list(people))}{'.' if own or len(people) <= 6 else ', all parts of the cluster itself.'}"
    notes = (*left, NOT_SEEN, *((f"{listed(blind)} objects could not be read, so there may be more",) if blind and found else ()))
    answer = Answer(intent="access", columns=("who", "where", "by", "which allows"), rows=rows, notes=notes)
    return answered(answer, said, missing=missing)


def _order(one: tuple[Grant, str]) -> tuple[bool, Subject, str, str]:
    grant, space = one
    return grant.subject.name.startswith(_OWN), grant.subject, space, str(grant.binding)


def _words(access: Access) -> str:
    name = f" {access.name}" if access.name else ""
    what = "anything" if access.resource == "*" else access.resource
    return f"{'do everything with' if access.verb == '*' else access.verb} {what}{name}"


def _requests(access: Access, focus: Focus, topology: Topology) -> list[Request]:
    """One for each namespace that was named; for none, the right over all of them and in each that has bindings."""
    known = resource_named(access.resource) if access.resource != "*" else ("*", "*")
    resource, group = known or (access.resource, "")
    spaces: Sequence[str] = focus.namespaces
    if is_cluster_scoped(resource):
        spaces = ("",)
    elif not spaces:
        spaces = ("", *sorted({namespace_of(one) for one in topology.of_kind("RoleBinding")}))
    return [Request(verb=access.verb, resource=resource, group=group, namespace=one, name=access.name) for one in spaces]


def _subject(access: Access, focus: Focus, topology: Topology, missing: tuple[str, ...], blind: tuple[str, ...]) -> Diagnosis:
    subjects = _subjects(access, focus, topology)
    if not subjects:
        said = f"There is no ServiceAccount, user or group {access.subject} in any binding of {where(focus.namespaces)}."
        return Diagnosis(outcome="absent", statement=said, missing=missing, answer=Answer(intent="clarify"))
    who = listed(subjects, most=3)
    notes = (NOT_SEEN, *((f"{listed(blind)} objects could not be read, so there may be more",) if blind else ()))
    if access.verb and access.resource and access.verb != "*":
        requests = _requests(access, focus, topology)
        grants = [(grant, one) for one in requests for who_ in subjects for grant in can(topology, who_, one).grants]
        rows, left = table(
            (str(g.subject), one.namespace or "every namespace", str(g.binding), f"{g.role}: {g.rule}") for g, one in grants
        )
        no = "may not (as far as could be seen)" if blind else "may not"
        said = f"{who} {'may' if grants else no} {_words(access)} in {where(focus.namespaces)}."
        columns = ("who", "where", "by", "which allows")
        return answered(Answer(intent="access", columns=columns, rows=rows, notes=(*left, *notes)), said, missing=missing)
    held = [grant for one in subjects for grant in rights_of(topology, one)]
    if focus.namespaces:
        held = [one for one in held if not one.binding.namespace or one.binding.namespace in focus.namespaces]
    rows, left = table((one.binding.namespace or "everywhere", one.rule, str(one.role), str(one.binding)) for one in held)
    said = f"{who} has {counted(len(held), 'rule')} in {where(focus.namespaces)}." if held else f"{who} has no rights by RBAC."
    answer = Answer(intent="access", columns=("where", "may", "role", "by"), rows=rows, notes=(*left, *notes))
    return answered(answer, said, missing=missing)


def _subjects(access: Access, focus: Focus, topology: Topology) -> list[Subject]:
    """Whom the question means: namespace/name or system:serviceaccount:... as they stand, else every account of that name."""
    said = access.subject
    if said.startswith("system:serviceaccount:") and said.count(":") == 3:
        _, _, space, name = said.split(":")
        return [Subject("ServiceAccount", space, name)]
    for mark in ("/", ":"):
        space, found, name = said.partition(mark)
        if found and topology.get("ServiceAccount", space, name) is not None:
            return [Subject("ServiceAccount", space, name)]
    accounts = [
        Subject("ServiceAccount", namespace_of(one), name_of(one))
        for one in topology.of_kind("ServiceAccount")
        if name_of(one) == said and (not focus.namespaces or namespace_of(one) in focus.namespaces)
    ]
    if accounts and access.subject_kind in ("", "ServiceAccount"):
        return accounts
    named = {
        Subject(str(entry.get("kind")), "", said)
        for one in topology.of_kind("RoleBinding", "ClusterRoleBinding")
        for entry in one.get("subjects") or ()
        if isinstance(entry, dict) and entry.get("name") == said and entry.get("kind") in ("User", "Group")
    }
    if access.subject_kind in ("User", "Group"):
        return [Subject(access.subject_kind, "", said)]
    return sorted(named) or _accounts_of(said, focus, topology)


def _accounts_of(said: str, focus: Focus, topology: Topology) -> list[Subject]:
    """A workload may what its ServiceAccount may."""
    return [
        Subject("ServiceAccount", one.namespace, text(pod_spec_of(topology.objects[one]), "serviceAccountName") or "default")
        for one in focus.objects
        if one.name == said and one.kind in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
    ]


def _unclear(access: Access, missing: tuple[str, ...]) -> Diagnosis:
    lacking = "to do what" if not access.verb else f"to {access.verb} what"
    said = f"Understood as a question about rights, but not {lacking}."
    examples = ("who can delete pods in namespace shop?", "who can read secrets?", "what can the serviceaccount ci do in shop?")
    answer = Answer(intent="clarify", notes=tuple(f"for example: {one}" for one in examples))
    return Diagnosis(outcome="unclear", statement=said, missing=missing, answer=answer)
