"""Which namespaces an incident is about, by its alerts and its question. Pure."""

import re

from agent.domain.incident import Incident
from agent.reasoning.names import nearest
from agent.reasoning.questions import understand
from agent.reasoning.vocabulary import COMMON

_UNTIMELY = ("Watchdog", "InfoInhibitor")  # alerts that are about no namespace whatever their labels say
_BEHIND_IN = re.compile(r"\bin\s+[\"'`]?([a-z0-9][-a-z0-9]*)", re.I)


def namespaces_named(incident: Incident, known: tuple[str, ...]) -> tuple[str, ...]:
    """Namespaces that alert labels or the question name; () when they name none."""
    found: list[str] = []
    for alert in incident.alerts:
        labels = [alert.labels.get(label, "") for label in ("namespace", "exported_namespace", "kubernetes_namespace")]
        found += [name for name in labels if name in known and alert.name not in _UNTIMELY]
    asked = understand(incident.question, incident.opened_at)
    found += [name for name in asked.namespaces if name in known]
    found += [mention.namespace for mention in asked.mentions if mention.namespace in known]
    found += [name.lower() for name in _BEHIND_IN.findall(asked.text) if name.lower() in known]
    found += [name for name in known if name in asked.words and name not in COMMON]
    if not found:  # a slip of the keyboard, where the word can only be a namespace
        found += [near for name in asked.namespaces for near, _ in nearest(name, known, most=1)]
    return tuple(dict.fromkeys(found))
