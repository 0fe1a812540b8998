"""Questions that name no object but a kind of them ("is dns working"), or something that is not there. Pure."""

import re

from agent.domain.objects import Ref
from agent.domain.question import Question
from agent.reasoning.vocabulary import COMMON, ENGLISH, GENERIC, KIND_WORDS, VERBS
from agent.topology import Topology
from agent.topology.dns import cluster_dns
from agent.topology.fields import ref_of

_KINDS = (
    "Node",
    "PersistentVolumeClaim",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Certificate",
    "CronJob",
    "ResourceQuota",
    "Gateway",
)
_ALSO = {
    "claims": "PersistentVolumeClaim",
    "autoscalers": "HorizontalPodAutoscaler",
    "cronjobs": "CronJob",
    "gateways": "Gateway",
}
_DNS = ("dns", "coredns", "kube-dns")
_SUBJECT = re.compile(
    r"^(?:(?:why|how come|since when) )?(?:is |are |was |does |has )?(?:the |our |my )?([a-z0-9](?:[-a-z0-9]*[a-z0-9])?)"
    r" (?:is |are |was |keeps? )?(?:\w+ )?(?:down|broken|fail\w*|crash\w*|slow|not (?:working|ready|starting|responding)"
    r"|unavailable|unreachable|ok|okay|up)\b"
)


def of_topic(asked: Question, topology: Topology) -> tuple[Ref, ...]:
    """Every object of the kind that the question is about, where it names none of them."""
    words = asked.words
    if any(word in _DNS for word in words):
        service = cluster_dns(topology)
        return (ref_of(service),) if service is not None else ()
    kinds = {kind for word in words for kind in [_ALSO.get(word) or KIND_WORDS.get(word, "")] if kind in _KINDS}
    return tuple(ref for kind in sorted(kinds) for ref in sorted(map(ref_of, topology.of_kind(kind)))) if len(kinds) == 1 else ()


def unheard_of(asked: Question) -> str:
    """The word that stands where the name of a thing stands, and that is no ordinary word; "" where there is none."""
    match = _SUBJECT.match(asked.text.lower())
    word = match[1] if match is not None else ""
    ordinary = word in ENGLISH or word in GENERIC or word in COMMON or word in KIND_WORDS or word in VERBS
    return "" if ordinary or len(word) < 3 else word
