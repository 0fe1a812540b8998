"""Whether a model's claims stand in what was read: evidence ids, quotes, resources. Pure; what fails is said in words.

A claim is kept only with a quote that stands, letter by letter, in a piece that exists. Prose is not believed, only shown; but
prose that points at evidence or objects which do not exist costs its claim.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agent.domain.objects import Ref
from agent.reasoning.model.proposal import CauseClaim, Cited, Proposal, Refutation

SHORTEST_QUOTE = 8  # characters: a shorter one stands everywhere by chance
_NUMBERS = re.compile(r"^\s*\d+: ", re.M)
_ID = re.compile(r"\b(?:ev|look)-\d+\b")
_OBJECT = re.compile(
    r"\b(Pod|Deployment|StatefulSet|DaemonSet|ReplicaSet|Job|CronJob|Service|ConfigMap|Secret|Node|Ingress|PersistentVolumeClaim"
    r"|HorizontalPodAutoscaler|NetworkPolicy|ServiceAccount|Namespace|ResourceQuota)[ /]+"
    r"`?([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?:/[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)?)`?(?![\w-])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One piece of evidence as the model could have read it."""

    source: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What claims are held against. `objects` were read (or are named by findings, as missing ones are)."""

    pieces: Mapping[str, Piece]
    objects: Collection[Ref]
    findings: Collection[str]
    _flat: dict[str, str] = field(default_factory=dict, compare=False, repr=False)  # a long text is held against many quotes

    def holds(self, evidence: str, words: str) -> bool:
        """Whether these words, flat, stand in that piece."""
        if evidence not in self._flat:
            self._flat[evidence] = _flat(self.pieces[evidence].text)
        return words in self._flat[evidence]

    def mentions(self, name: str) -> bool:
        return any(name in piece.text or name in piece.source for piece in self.pieces.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """What is kept of a proposal; `violations` says what is not, one line each, fit to be sent back."""

    causes: tuple[CauseClaim, ...]
    refutes: tuple[Refutation, ...]
    summary: str
    inference: tuple[str, ...]
    violations: tuple[str, ...]


def believed(proposal: Proposal, known: Known) -> Believed:
    violations: list[str] = []
    causes = []
    for cause in proposal.causes:
        quotes, wrong = _standing(cause.evidence, known)
        wrong += [*_made_up(cause.statement, known), *_subject(cause, known)]
        if cause.confirms and cause.confirms not in known.findings:
            wrong.append(f"there is no finding {cause.confirms}")
        if not quotes:
            wrong.append("nothing that it cites stands in the evidence")
        violations += [f"cause {cause.cause} of {cause.subject.kind} {cause.subject.name}: {one}" for one in wrong]
        if quotes and not _costs(wrong):
            causes.append(cause.model_copy(update={"evidence": quotes}))
    refutes = []
    for one in proposal.refutes:
        quotes, wrong = _standing(one.evidence, known)
        wrong += list(_made_up(one.why, known))
        if one.finding not in known.findings:
            wrong.append(f"there is no finding {one.finding}")
        if not quotes:
            wrong.append("nothing that it cites stands in the evidence")
        violations += [f"refutation of {one.finding}: {line}" for line in wrong]
        if quotes and not _costs(wrong):
            refutes.append(one.model_copy(update={"evidence": quotes}))
    invented = list(_made_up(proposal.summary, known))
    violations += [f"summary: {one}" for one in invented]
    inference = [one for one in proposal.inference if not list(_made_up(one, known))]
    violations += [f"inference: {line}" for one in proposal.inference for line in _made_up(one, known)]
    return Believed(
        causes=tuple(causes),
        refutes=tuple(refutes),
        summary="" if invented else proposal.summary,
        inference=tuple(inference),
        violations=tuple(dict.fromkeys(violations)),
    )


_HARMLESS = ("does not stand in", "is too short", "there is no evidence")  # beside a quote that stands, a slip and no lie


def _costs(wrong: Sequence[str]) -> bool:
    """Whether what is wrong costs the claim, where at least one quote stands."""
    return any(not any(part in one for part in _HARMLESS) for one in wrong)


def _standing(cited: Sequence[Cited], known: Known) -> tuple[tuple[Cited, ...], list[str]]:
    kept, wrong = [], []
    for one in cited:
        piece = known.pieces.get(one.evidence)
        words = _flat(one.words)
        if piece is not None and not known.holds(one.evidence, words):  # numbers that `slice` puts in front of lines
            plain = _NUMBERS.sub("", one.words)
            one, words = one.model_copy(update={"words": plain}), _flat(plain)
        if piece is None:
            wrong.append(f"there is no evidence {one.evidence}")
        elif len(words) < SHORTEST_QUOTE:
            wrong.append(f"the quote of {one.evidence} is too short to show anything")
        elif not known.holds(one.evidence, words):
            wrong.append(f"the quote {words[:120]!r} does not stand in {one.evidence}")
        else:
            kept.append(one)
    return tuple(kept), wrong


def _subject(cause: CauseClaim, known: Known) -> Iterator[str]:
    """An object that was read; or one that is missing, and then a quote that stands must name it."""
    ref = Ref(cause.subject.kind, cause.subject.namespace, cause.subject.name)
    if ref in known.objects:
        return
    quoted = [one for one in cause.evidence if one.evidence in known.pieces and _is_quote(one, known)]
    if not any(cause.subject.name in one.words for one in quoted):
        yield f"{ref} was not seen, and no quote that stands names it"


def _is_quote(one: Cited, known: Known) -> bool:
    return len(_flat(one.words)) >= SHORTEST_QUOTE and known.holds(one.evidence, _flat(one.words))


def _made_up(prose: str, known: Known) -> Iterator[str]:
    """Evidence ids and objects in prose that do not exist."""
    for name in dict.fromkeys(_ID.findall(prose)):
        if name not in known.pieces:
            yield f"it speaks of {name}, and there is no such evidence"
    for kind, said in dict.fromkeys(_OBJECT.findall(prose)):
        name = said.rpartition("/")[2]
        if not any(one.kind == kind and one.name == name for one in known.objects) and not known.mentions(name):
            yield f"it speaks of {kind} {said}, which was not seen"


def _flat(words: str) -> str:
    return " ".join(words.split())
