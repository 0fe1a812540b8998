"""What an incident is about: namespaces, objects and symptom, matched to the names that the cluster really has.

An exact name wins over everything; a slip, other separators and a part of a name are tried in that order. What was named and
is not there, or fits in two places, is said and not guessed.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from agent.domain.incident import Incident
from agent.domain.objects import Ref
from agent.domain.question import Mention, Question, Symptom
from agent.reasoning.alerted import objects_of
from agent.reasoning.likeness import likeness_of, singular
from agent.reasoning.names import SHORTEST, nearest, parts_of
from agent.reasoning.questions import understand
from agent.reasoning.spaces import namespaces_named
from agent.reasoning.vocabulary import COMMON, GENERIC, KIND_PARTS, KIND_WORDS
from agent.topology import Topology, pod_spec_of
from agent.topology.extensions import is_custom
from agent.topology.fields import controller_of, labels_of, mapping, name_of, ref_of, text
from agent.topology.pods import containers

_BEHIND_NAMES = ("service", "svc", "server", "api", "app", "worker", "job", "db")  # glued to what people call it by
_RUNNING = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Service")  # what people mean when they name no kind
_NAMEABLE = (
    *_RUNNING,
    "HorizontalPodAutoscaler",
    "Pod",
    "Node",
    "PersistentVolumeClaim",
    "ConfigMap",
    "Secret",
    "Ingress",
    "ResourceQuota",
    "ReplicaSet",
    "PodDisruptionBudget",
    "ServiceAccount",
    "NetworkPolicy",
    "PersistentVolume",
    "StorageClass",
    *("Gateway", "HTTPRoute", "Application"),
)
_NAMES_APP = ("app.kubernetes.io/name", "app", "k8s-app", "app.kubernetes.io/instance")
_OF_A_POD = re.compile(
    r"-(?:[0-9a-f]{6,10}|[bcdfghjklmnpqrstvwxz2456789]{6,10}|\d{8})-[a-z0-9]{5}$|-[bcdfghjklmnpqrstvwxz2456789]{5}$"
)
_MARKED = re.compile(r"[-._\d]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """`objects` are exact or tolerant matches, nearest first; `namespaces` those named or implied.

    `rivals`: objects of one name in several namespaces, each of which may be meant. `elsewhere`: named, and only found
    outside of the namespaces that the question names. `absent`: named, and found nowhere. `unknown_namespaces`: named as
    namespaces, and none. `taken`: (what was said, what it was taken for) where that was not exact.
    """

    namespaces: tuple[str, ...] = ()
    objects: tuple[Ref, ...] = ()
    words: tuple[str, ...] = ()
    symptoms: tuple[Symptom, ...] = ()
    rivals: tuple[Ref, ...] = ()
    elsewhere: tuple[Ref, ...] = ()
    absent: tuple[Mention, ...] = ()
    unknown_namespaces: tuple[str, ...] = ()
    taken: tuple[tuple[str, Ref], ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.objects and not self.namespaces


def focus_on(incident: Incident, topology: Topology) -> Focus:
    """Objects of the alerts' labels first, then names in the question; tolerant of parts and small slips."""
    held = {ref.namespace for ref in topology.objects if ref.namespace}
    known = tuple(sorted(held | {name_of(one) for one in topology.of_kind("Namespace")}))
    namespaces = namespaces_named(incident, known)
    alerted = [ref for alert in incident.alerts for ref in objects_of(alert, topology)]
    asked = understand(incident.question, topology.now)
    search = _Search(topology, asked, namespaces)
    objects = search.objects()
    taken = dict(search.taken)
    for name in asked.namespaces if not alerted else ():
        if name not in known:
            taken.update({f"namespace {name}": Ref("Namespace", "", near) for near, _ in nearest(name, known, most=1)})
    strangers = () if alerted or not topology.saw("Namespace") else tuple(n for n in asked.namespaces if n not in known)
    return Focus(
        namespaces=namespaces,
        objects=tuple(dict.fromkeys((*alerted, *objects))),
        words=asked.words,
        symptoms=asked.symptoms,
        rivals=() if alerted else search.rivals(),
        elsewhere=() if alerted else tuple(search.elsewhere),
        absent=() if alerted else tuple(one for one in asked.mentions if search.is_absent(one, known)),
        unknown_namespaces=tuple(name for name in strangers if not nearest(name, known, most=1)),
        taken=tuple(taken.items()),
    )


def _custom_named(topology: Topology, put: set[tuple[str, str]], words: tuple[str, ...]) -> Iterator[Ref]:
    """Custom resources that a question may name: by a name that is no ordinary word, or where their kind is spoken of too."""
    spoken = {KIND_WORDS[word] for word in words if word in KIND_WORDS}
    for kind, manifests in topology.kinds.items():
        if kind in _NAMEABLE or not is_custom(manifests[0]):
            continue
        for ref in map(ref_of, manifests):
            if _MARKED.search(ref.name) or (kind, ref.name.lower()) in put or kind in spoken:
                yield ref


class _Search:
    """One question's names against one topology."""

    def __init__(self, topology: Topology, asked: Question, namespaces: tuple[str, ...]) -> None:
        self._topology, self._asked, self._namespaces = topology, asked, namespaces
        self._by_name: dict[str, list[Ref]] = {}
        for kind in _NAMEABLE:
            for manifest in topology.of_kind(kind):
                self._by_name.setdefault(name_of(manifest).lower(), []).append(ref_of(manifest))
        for manifest in topology.of_kind("Pod"):  # a static pod bears its node's name behind what people call it
            owner = controller_of(manifest)
            if owner is not None and owner.kind == "Node":
                self._by_name.setdefault(name_of(manifest).lower().removesuffix(f"-{owner.name}"), []).append(ref_of(manifest))
        for ref in _custom_named(topology, {(mention.kind, mention.name) for mention in asked.mentions}, asked.words):
            self._by_name.setdefault(ref.name.lower(), []).append(ref)
        self._exact: dict[str, list[Ref]] = {}  # what was said -> objects of that name inside
        self.taken: dict[str, Ref] = {}
        self.elsewhere: list[Ref] = []

    def objects(self) -> list[Ref]:
        kinds = {mention.name: mention.kind for mention in self._asked.mentions if mention.kind}
        put = {mention.name for mention in self._asked.mentions}
        for word in dict.fromkeys((*self._asked.words, *(mention.name for mention in self._asked.mentions))):
            if word in COMMON and word not in put:
                continue
            self._keep(word, self._of_kind(self._by_name.get(word, []), kinds.get(word, "")))
        for mention in self._asked.mentions:
            if mention.name not in self._exact:
                self._nearly(mention)
        inside = [self._topology.unit(ref) for refs in self._exact.values() for ref in refs]
        if inside or self.elsewhere:
            return list(dict.fromkeys(inside))
        return self._shortly() or self._loosely()

    def _shortly(self) -> list[Ref]:
        """What people call for short without asking for it by name: "checkout broken"."""
        for word in self._asked.words:
            for name in self._glued(word) if word not in COMMON and word not in GENERIC else ():
                refs = [ref for ref in self._by_name[name] if self._is_inside(ref) and ref.kind in _RUNNING]
                if refs:
                    self.taken[word] = self._topology.unit(refs[0])
                    return list(dict.fromkeys(map(self._topology.unit, refs)))
        return []

    def _of_kind(self, refs: Sequence[Ref], kind: str) -> Sequence[Ref]:
        """Those of the kind that was said, if there are any: people say "pod" for the workload too."""
        named = [ref for ref in refs if ref.kind == kind]
        return named if named and kind != "Pod" else refs

    def _keep(self, word: str, refs: Sequence[Ref]) -> None:
        inside = [ref for ref in refs if self._is_inside(ref)]
        if inside:
            self._exact[word] = inside
        elif refs and word not in self._namespaces:
            self.elsewhere += [ref for ref in dict.fromkeys(map(self._topology.unit, refs)) if ref.kind in _RUNNING]

    def _is_inside(self, ref: Ref) -> bool:
        return not self._namespaces or not ref.namespace or ref.namespace in self._namespaces

    def _nearly(self, mention: Mention) -> None:
        """A pod that is gone, a missing object that something refers to, a container or an app label, a slip of a name."""
        gone = [ref for ref in self._gone(mention.name) if self._is_inside(ref)]
        if gone:
            self._exact[mention.name] = gone
            return
        if not mention.sure and (mention.name in COMMON or mention.name in GENERIC):
            return
        labelled = [ref for ref in self._labelled(mention.name) if self._is_inside(ref)]
        if labelled:
            self._exact[mention.name] = labelled
            return
        for name in dict.fromkeys(
            (
                *(name for name, _ in nearest(mention.name, self._by_name.keys(), most=3)),
                *self._of_parts(mention),
                *self._glued(mention.name),
            )
        ):
            refs = [ref for ref in self._by_name[name] if self._is_inside(ref) and ref.kind in (*_RUNNING, mention.kind)]
            if refs:
                self._exact[mention.name] = refs
                self.taken[mention.name] = self._topology.unit(refs[0])
                return

    def _of_parts(self, mention: Mention) -> list[str]:
        """Names of the same parts in another order or without what only says the kind; else longer names that hold them all."""
        said = {singular(part) for part in parts_of(mention.name)} - KIND_PARTS
        if not mention.sure or not said:
            return []
        known = {name: {singular(part) for part in parts_of(name)} - KIND_PARTS for name in self._by_name}
        same = sorted(name for name, parts in known.items() if parts == said)
        longer = sorted(
            (name for name, parts in known.items() if len(said) > 1 and said < parts), key=lambda name: (len(name), name)
        )
        return same or (longer if len(longer) == 1 else [])

    def _glued(self, said: str) -> list[str]:
        """The one name that is the word with what only says the kind behind it and nothing between: cartservice, web2api."""
        found = [said + behind for behind in _BEHIND_NAMES if len(said) >= SHORTEST and said + behind in self._by_name]
        return found if len(found) == 1 else []

    def _gone(self, name: str) -> list[Ref]:
        """The workload of a pod that only events or its own name still speak of; an object that is referred to and missing."""
        topology = self._topology
        bare = _OF_A_POD.sub("", name)  # of a pod, whatever revision it was of
        if bare != name:
            known = [ref for ref in self._by_name.get(bare, ()) if ref.kind in ("Deployment", "DaemonSet", "Job", "CronJob")]
            if known:
                return known
        told = [topology.unit_of_name(ref) for ref in topology.events if ref.name == name]
        named = [one.to for ones in topology.names.values() for one in ones if one.to.name == name]
        stems = [
            unit
            for space in {ref.namespace for refs in self._by_name.values() for ref in refs}
            for pod in [Ref("Pod", space, name)]
            for unit in [topology.unit_of_name(pod)]
            if unit != pod
        ]
        return list(dict.fromkeys([*told, *stems, *named]))

    def _labelled(self, name: str) -> list[Ref]:
        found = []
        for manifest in self._topology.of_kind("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"):
            labels = {**labels_of(manifest), **mapping(manifest, "spec", "template", "metadata", "labels")}
            named = {text(one, "name") for one in containers(pod_spec_of(manifest))}
            if name in named or any(labels.get(key) == name for key in _NAMES_APP):
                found.append(ref_of(manifest))
        return found

    def _loosely(self) -> list[Ref]:
        said = [word for word in self._asked.words if word not in self._namespaces]
        loose: list[tuple[float, Ref]] = []
        for name, refs in self._by_name.items():
            inside = [ref for ref in refs if ref.kind in _RUNNING and self._is_inside(ref)]
            score = likeness_of(name, said) if inside else 0.0
            loose += [(score, ref) for ref in inside if score]
        best = max((score for score, _ in loose), default=0.0)
        return list(dict.fromkeys(ref for score, ref in sorted(loose, key=lambda one: (-one[0], one[1])) if score >= best - 0.01))

    def rivals(self) -> tuple[Ref, ...]:
        """One for each namespace that has an object of a name that was said, unless another name tells which is meant."""
        spaces = {}
        for word, refs in self._exact.items():
            running = [ref for ref in refs if ref.kind in _RUNNING]
            spaces[word] = {ref.namespace for ref in running or refs if ref.namespace}
        told = [found for found in spaces.values() if len(found) == 1]
        for word, found in spaces.items():
            if len(found) < 2 or len(self._namespaces) == 1 or any(one <= found for one in told):
                continue
            best: dict[str, Ref] = {}
            for ref in sorted(self._exact[word], key=lambda one: _NAMEABLE.index(one.kind) if one.kind in _NAMEABLE else 99):
                best.setdefault(ref.namespace, ref)
            return tuple(sorted(best.values()))
        return ()

    def is_absent(self, mention: Mention, known: Iterable[str]) -> bool:
        """Named as an object is named, and nothing is called so, not even in part."""
        name = mention.name
        if name in self._exact or name in known or name in {ref.name for ref in self.elsewhere}:
            return False
        if "_" in name or ("." in name and not mention.kind) or any(name in one or one in name for one in self._exact):
            return False
        if any(name == ref.name.lower() for ref in self._topology.objects):
            return False  # of a kind that nobody asks about by itself
        if not mention.sure and any(likeness_of(one, (name,)) for one in self._by_name):
            return False
        return not nearest(name, tuple(known), most=1)
