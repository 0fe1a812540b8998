"""Who owns it, and whom to call: what labels and annotations of the object, its workload and its namespace say. Pure."""

import re
from collections.abc import Iterator

from agent.domain.answer import Answer
from agent.domain.finding import Diagnosis
from agent.domain.objects import Ref
from agent.reasoning.answers.reply import answered, listed, table, where
from agent.reasoning.focus import Focus
from agent.signals.masking import safe
from agent.topology import Topology
from agent.topology.fields import annotations_of, field_writes, labels_of

_OWNERS = re.compile(
    r"(?:^|[./_-])(?:owners?|owned[-_]by|team|squad|tribe|contacts?|on-?call|maintainers?|responsible|slack(?:[-_]channel)?|pagerduty"
    r"|cost-?cent(?:er|re)|business-?unit|escalation|support)(?:$|[./_-])",
    re.I,
)


def who_owns(focus: Focus, topology: Topology, missing: tuple[str, ...]) -> Diagnosis:
    asked = list(dict.fromkeys(topology.unit(one) for one in focus.objects))[:8]
    asked += [Ref("Namespace", "", one) for one in focus.namespaces if not asked]
    scope = listed(asked, most=3) if asked else where(())
    rows, left = table(dict.fromkeys(row for one in asked for row in _said(one, topology)))
    if rows:
        told = listed(list(dict.fromkeys(f"{key}: {value}" for _, key, value in rows)), most=4)
        said = f"Of {scope} labels and annotations say {told}."
    elif asked:
        said = f"Nothing that could be seen says who owns {scope}: no label or annotation such as owner, team or contact."
    else:
        said = "Whose owner is meant? Name a workload or a namespace."
    last = [(one, write) for one in asked for write in field_writes(topology.objects.get(one, {}))]
    if last:
        one, (manager, when, _) = max(last, key=lambda it: it[1][1])
        said += f" {one} was written last by {safe(manager, limit=60)} at {when:%Y-%m-%d %H:%M}Z."
    return answered(Answer(intent="owner", columns=("what", "key", "value"), rows=rows, notes=left), said, missing=missing)


def _said(one: Ref, topology: Topology) -> Iterator[tuple[str, str, str]]:
    """What the object says, and what its namespace says of all in it."""
    for ref in dict.fromkeys((one, Ref("Namespace", "", one.namespace))):
        manifest = topology.objects.get(ref)
        for key, value in sorted({**labels_of(manifest), **annotations_of(manifest)}.items()) if manifest is not None else ():
            if _OWNERS.search(key) and str(value).strip():
                yield str(ref), safe(key, limit=80), safe(str(value), limit=120)
