"""Whether a model's claims stand in what was read: evidence ids, quotes, resources. Pure; what fails is said in words.

A claim is kept only with a quote that stands, letter by letter, in a piece that exists and tells of the cluster. Prose is not
believed, only shown; but prose that points at evidence or objects which do not exist costs its claim. Numbers may be worked out,
so those that stand nowhere cost nothing: they are named.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from agent.domain.objects import Ref
from agent.ports.toolset import PAGE
from agent.reasoning.model.proposal import CauseClaim, Cited, Proposal, Refutation

SHORTEST_QUOTE = 8  # characters: a shorter one stands everywhere by chance
COUNTED = 10  # up to this, a whole number is a count that anybody makes
MOST_NUMBERS = 12  # that are named
MOST_FAULTS = 6  # that are looked for in one text: one costs it, and each is looked for in all that was read
_NUMBER = re.compile(r"(?<![\w.-])\d[\d,]*(?:\.\d+)?(?=\s?(?:%|[A-Za-zµ]{1,3})?(?![\w-]))")
_ANY_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_DIGITS = re.compile(r"\d*")
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
    """What claims are held against. `objects` were read (or are named by findings, as missing ones are). `told` is what the model
    was shown besides."""

    pieces: Mapping[str, Piece]
    objects: Collection[Ref]
    findings: Collection[str]
    told: str = ""
    _flat: dict[str, str] = field(default_factory=dict, compare=False, repr=False)  # a long text is held against many quotes
    _held: dict[tuple[str, str], bool] = field(default_factory=dict, compare=False, repr=False)

    def holds(self, evidence: str, words: str) -> bool:
        """Whether these words, flat, stand in that piece."""
        if evidence not in self._flat:
            self._flat[evidence] = _flat(self.pieces[evidence].text)
        if (evidence, words) not in self._held:
            self._held[evidence, words] = _stands(words, self._flat[evidence])
        return self._held[evidence, words]

    def mentions(self, name: str) -> bool:
        """Whether the name stands somewhere, and not only as part of a longer one."""
        word = _word(name)
        texts = (part for piece in self.pieces.values() for part in (piece.text, piece.source))
        return any(name in one and word.search(one) for one in texts)  # the first is a hundred times as fast

    def elsewhere(self, kind: str, name: str) -> list[Ref]:
        """Objects of that kind and name, in whatever namespace."""
        return sorted(one for one in self.objects if one.kind == kind and one.name == name)

    def numbers(self) -> set[str]:
        """All that stand anywhere, as they are compared."""
        texts = (self.told, *(part for piece in self.pieces.values() for part in (piece.source, piece.text)))
        return {_number(one) for text in texts for one in _ANY_NUMBER.findall(text)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """What is kept of a proposal; `violations` says what is not, one line each, fit to be sent back."""

    causes: tuple[CauseClaim, ...]
    refutes: tuple[Refutation, ...]
    summary: str
    inference: tuple[str, ...]
    violations: tuple[str, ...]
    numbers: tuple[str, ...] = ()  # in what is kept of its prose, that stand nowhere in what was read


def believed(proposal: Proposal, known: Known) -> Believed:
    violations: list[str] = []
    causes = []
    for cause in (_placed(one, known) for one in proposal.causes):
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
    summary = "" if invented else proposal.summary
    return Believed(
        causes=tuple(causes),
        refutes=tuple(refutes),
        summary=summary,
        inference=tuple(inference),
        violations=tuple(dict.fromkeys(violations)),
        numbers=_unseen_numbers([summary, *(one.statement for one in causes), *(one.why for one in refutes)], known),
    )


def _unseen_numbers(prose: Sequence[str], known: Known) -> tuple[str, ...]:
    said = {found[0]: _number(found[0]) for words in prose for found in _NUMBER.finditer(words)}
    doubtful = {raw: number for raw, number in said.items() if not (number.isdecimal() and int(number) <= COUNTED)}
    if not doubtful:
        return ()
    seen = known.numbers()
    return tuple(raw for raw, number in doubtful.items() if number not in seen)[:MOST_NUMBERS]


_HARMLESS = (
    "does not stand in",
    "is too short",
    "there is no evidence",
    "is a page of",
)  # beside a quote that stands, a slip and no lie


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
        elif piece.source.startswith(PAGE):
            wrong.append(f"{one.evidence} is a page of a runbook: it tells what may be, and nothing of this cluster")
        elif len(words) < SHORTEST_QUOTE:
            wrong.append(f"the quote of {one.evidence} is too short to show anything")
        elif not known.holds(one.evidence, words):
            wrong.append(f"the quote {words[:120]!r} does not stand in {one.evidence}")
        else:
            kept.append(one)
    return tuple(kept), wrong


def _placed(cause: CauseClaim, known: Known) -> CauseClaim:
    """With the namespace that it left out, where only one can be meant."""
    named = cause.subject
    others = [] if named.namespace else known.elsewhere(named.kind, named.name)
    if len(others) != 1:
        return cause
    return cause.model_copy(update={"subject": named.model_copy(update={"namespace": others[0].namespace})})


def _subject(cause: CauseClaim, known: Known) -> Iterator[str]:
    """An object that was read; or one that is missing, and then a quote that stands must name it."""
    ref = Ref(cause.subject.kind, cause.subject.namespace, cause.subject.name)
    if ref in known.objects:
        return
    quoted = [one.words for one in cause.evidence if one.evidence in known.pieces and _is_quote(one, known)]
    if others := known.elsewhere(ref.kind, ref.name):
        if not any(_word(f"{ref.namespace}/{ref.name}").search(one) for one in quoted):
            yield f"{ref} was not seen; there is {', '.join(map(str, others[:3]))}"
    elif not any(_word(ref.name).search(one) for one in quoted):
        yield f"{ref} was not seen, and no quote that stands names it"


def _is_quote(one: Cited, known: Known) -> bool:
    if known.pieces[one.evidence].source.startswith(PAGE):
        return False
    return len(_flat(one.words)) >= SHORTEST_QUOTE and known.holds(one.evidence, _flat(one.words))


def _made_up(prose: str, known: Known) -> Iterator[str]:
    """Evidence ids and objects in prose that do not exist, the first of them."""
    return islice(_faults(prose, known), MOST_FAULTS)


def _faults(prose: str, known: Known) -> Iterator[str]:
    for name in dict.fromkeys(_ID.findall(prose)):
        if name not in known.pieces:
            yield f"it speaks of {name}, and there is no such evidence"
    for kind, said in dict.fromkeys(_OBJECT.findall(prose)):
        namespace, _, name = said.rpartition("/")
        others = known.elsewhere(kind, name)
        if (others and not namespace) or any(one.namespace == namespace for one in others):
            continue
        if not known.mentions(said if others else name):  # one of another namespace has to be named with it
            yield f"it speaks of {kind} {said}, which was not seen"


def _stands(words: str, text: str) -> bool:
    """Somewhere, and without cutting a number short: `exit code 1` does not stand in `exit code 137`."""
    place = text.find(words)
    while words and place >= 0:
        before, after = text[max(0, place - 1) : place], text[place + len(words) : place + len(words) + 1]
        begins_within = words[0].isdigit() and before.isdigit()
        if not begins_within and not (words[-1].isdigit() and after.isdigit()):
            return True
        rest = _DIGITS.match(text, place)  # of the number that it begins within: a text may be all digits
        place = text.find(words, max(place + 1, rest.end() if begins_within and rest is not None else 0))
    return False


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")


def _number(raw: str) -> str:
    """However it is written: 4,096 and 4096 and 4096.0 are one."""
    plain = raw.replace(",", "")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return plain.lstrip("0") or "0"


def _flat(words: str) -> str:
    return " ".join(words.split())
