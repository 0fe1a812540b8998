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


def of_kind(asked: Question, topology: Topology, namespaces: tuple[str, ...]) -> tuple[Ref, ...]:
    """Every object of the one kind that is spoken of without a name: "if the node goes away"."""
    kinds = list(
        dict.fromkeys(KIND_WORDS[word] for word in asked.words if word in KIND_WORDS and KIND_WORDS[word] != "Namespace")
    )
    named = topology.of_kind(kinds[0]) if len(kinds) == 1 else []
    return tuple(sorted(ref for ref in map(ref_of, named) if not ref.namespace or not namespaces or ref.namespace in namespaces))


_PLACE = re.compile(r"\bin (?:the )?([a-z0-9](?:[-a-z0-9]*[a-z0-9])?)\W*$")


def no_such_place(asked: Question, known: tuple[str, ...]) -> str:
    """The word that stands where a namespace stands at the end of the question, and is none; "" where there is none."""
    match = _PLACE.search(asked.text.lower())
    word = match[1] if match is not None else ""
    ordinary = word in ENGLISH or word in GENERIC or word in COMMON or word in KIND_WORDS or word in VERBS
    return "" if not word or ordinary or word in known or word in {one.name for one in asked.mentions} or len(word) < 3 else word


def speaks_of_dns(asked: Question) -> bool:
    return any(word in _DNS for word in asked.words)
