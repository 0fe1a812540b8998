"""Understanding a question by its words alone: what is wanted, of what, with which symptom, of which time.

Pure, and careful: what is not clearly one of the other intents is a "why", because looking for a cause answers most questions.
Which of the words are names of the cluster is for `focus` to find; here stand those that are put as names are put.
"""

import re
from collections.abc import Iterator
from datetime import datetime

from agent.domain.question import Access, Mention, Question
from agent.reasoning.intents import ACTING, intent_of
from agent.reasoning.periods import period_of
from agent.reasoning.vocabulary import COMPOUNDS, ENGLISH, GENERIC, KIND_WORDS, SYMPTOMS, VERBS
from agent.topology.resources import resource_named

_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_KIND = "|".join(sorted(map(re.escape, KIND_WORDS), key=len, reverse=True))
_SUBJECT = (
    re.compile(
        rf"\bwhy (?:is|are|was|were|does|do|did|has|have|can(?:'t|not)?|won't|isn't|aren't|doesn't|don't|didn't) "
        rf"(?:the |our |my |this |a )?({_NAME})"
    ),
    re.compile(
        rf"\b(?:wrong|going on|happening|happened|up|the matter|the problem|problems?|issues?|trouble) (?:with|"
        rf"to) (?:the |our |my )?({_NAME})"
    ),
    re.compile(
        rf"\b(?:is|are|how is|how are|does|health of|status of|state of) (?:the |our |my )?({_NAME}) (?:healthy|"
        rf"ok|okay|fine|well|up|alive|ready|running|working|broken|down|degraded|doing|work|all right)\b"
    ),
    re.compile(rf"\b(?:health|status|state|timeline|version|image|owners?|history) of (?:the |our |my )?({_NAME})"),
    re.compile(rf"\b(?:when|since when|how long(?: ago)?) (?:did|has|have|was|were|is|are) (?:the |our |my )?({_NAME})"),
    re.compile(rf"\bfirst (?:error|failure|symptom|sign|warning|event)s? (?:of|in|on|from) (?:the |our |my )?({_NAME})"),
    re.compile(rf"\bwho (?:owns|maintains|is responsible for|looks after) (?:the |our |my )?({_NAME})"),
    re.compile(rf"\bwho (?:do|should|can|must) (?:i|we) \w+ (?:for|about) (?:the |our |my )?({_NAME})"),
    re.compile(
        rf"\b(?:depends? on|rely on|relies on|uses?|calls?|(?:talks?|talking|connects?|speaks?) to|(?:dependencies|upstreams?) of"
        r"|if|without|losing|loss of|restart|delete|drain|remove|cordon|stop|kill|evict) "
        rf"(?:i |we |you |someone |somebody |the |our |my |a )*(?:{ACTING} )?(?:the |our |my )?(?:(?:{_KIND}) )?({_NAME})"
    ),
    re.compile(
        rf"\b(?:changed|changes|different|deployed|edited|new|happened) (?:in|on|to|with|for|of) (?:the |our "
        rf"|my )?({_NAME})"
    ),
)  # fmt: skip
_EXISTS = re.compile(
    rf"\b(?:does|do) (?:the |our |my |a |an )?({_NAME})(?: (?:{_KIND}))? (?:still )?exist\b"
    rf"|\b(?:is|are) there (?:still )?(?:a |an |any )?(?:(?:{_KIND}) )?(?:called|named) ({_NAME})"
)
_NEEDY = re.compile(
    rf"\b(?:does|do) (?:the |our |my )?({_NAME}) (?:depends?|rely|calls?|uses?|needs?|talks?|connects?|reads?|mounts?)\b"
)
_QUOTED = re.compile(rf"[`\"'“‘]({_NAME})[`\"'”’]")
_TYPED = re.compile(rf"\b({_KIND})/({_NAME})", re.I)
_SPACED = re.compile(rf"(?<![\w/.:-])([a-z0-9][-a-z0-9]*)/({_NAME})(?![\w/:])")
_KIND_FIRST = re.compile(rf"\b({_KIND})\s+(?:called |named )?[`\"']?({_NAME})", re.I)
_KIND_LAST = re.compile(rf"\b({_NAME})[`\"']?\s+({_KIND})\b", re.I)
_SHAPED = re.compile(r"(?<![\w./:@-])([a-z0-9]+(?:[-_.][a-z0-9]+)+)(?![\w/@])", re.I)
_IN_SPACE = (
    re.compile(r"\b(?:in|of|for|from|to) (?:the )?(?:namespace|ns)\s+[`\"']?([a-z0-9][-a-z0-9]*)", re.I),
    re.compile(r"\b(?:in|of|for|from) (?:the )?[`\"']?([a-z0-9][-a-z0-9]*)[`\"']?\s+namespace\b", re.I),
    re.compile(r"(?:^|\s)(?:-n|--namespace)[ =]([a-z0-9][-a-z0-9]*)", re.I),
)
_NUMBERS = re.compile(r"v?\d+(?:[._-]\d+)*|\d+(?:s|m|h|d|mi|gi|ki|mb|gb|%)?")


# Apostrophes that people in a hurry leave out; "its" and "were" are words of their own.
_SHORT = (
    (re.compile(r"\b(what|who|where|how|when|why|that|there)s\b", re.I), r"\1's"),
    (re.compile(r"\b(is|are|do|does|did|was|has|have|had|would|could|should|ca|wo)nt\b", re.I), r"\1n't"),
)
_WORD_OF_NAME = r"[a-z0-9][-a-z0-9._/]*"
_BESIDES = re.compile(
    r"\s*,?\b(?:besides|beside|other than|apart from|aside from|except(?:ing)?(?: for)?|not counting|outside(?: of)?)\s+"
    rf"(?:the |our |my )?(?P<names>{_WORD_OF_NAME}(?:(?:\s*,\s*(?:and )?|\s+and\s+)(?:the )?{_WORD_OF_NAME})*)(?:\s+namespace)?",
    re.I,
)
# Only whoever asks for more names what is known already: "all is well except web" is about web.
_MORE = re.compile(
    r"^(?:and |so |ok,? |then )*(?:is|are|what|anything|any|does|do|tell|show)\b.*\b"
    r"(?:anything|something|else|other|wrong|broken|failing|healthy|fine|ok|okay|well|everything|rest|problems?|issues?)\b",
    re.I,
)
_USES = re.compile(r"\b(?:us(?:e|es|ing)|depends?|rel(?:y|ies)|calls?|mounts?|needs?|(?:talks?|connects?) to)\b")
_GUESS = re.compile(
    r"^(?:so |and |but |hm+,? |ok,? )*(?:is|was|could|can|might|may|isn't) (?:"
    r"(?:it|this|that) (?:be |have been |just |only |really |maybe |perhaps |caused by |due to |because of |about )*"
    r"(?:the |a |an |our |some )?"
    r"(?!\w+ing )(?P<guess>[a-z][a-z0-9 -]{1,30}?)"
    r"(?: (?:problem|problems|issue|issues|thing|fault|trouble|again|that's down|then))*"
    r"|(?:the |our )?(?P<named>[a-z][a-z0-9 -]{1,30}?) (?:be )?(?:the |to )(?:problem|(?:root )?cause|reason|culprit|issue|blame)"
    r")\W*$"
)


def understand(text: str, now: datetime) -> Question:
    """The same words, the same understanding. `now` is the cluster's time: what "an hour ago" is counted from."""
    flat = " ".join(text.replace("’", "'").split())
    said = flat
    for pattern, written_out in _SHORT:
        said = pattern.sub(written_out, said)
    apart = _BESIDES.search(said) if _MORE.search(said) else None
    names = re.split(r"\s*,\s*(?:and )?|\s+and\s+", apart["names"].lower()) if apart is not None else []
    besides = tuple(one.removeprefix("the ") for one in names)
    if any(_is_ordinary(one) or one in ("cluster", "network", "internet", "world", "hours") for one in besides):
        besides = ()  # "outside the cluster"
    if apart is not None and besides:
        said = f"{said[: apart.start()].rstrip()} {said[apart.end() :].lstrip()}".strip()
    low = said.lower()
    intent = intent_of(low)
    if intent not in ("why", "health", "which") or _USES.search(low):
        besides = ()  # "does anything besides web need it?" asks for no trouble
    guess = _GUESS.match(low)
    return Question(
        text=flat,
        intent=intent,
        words=words_of(said),
        symptoms=tuple(name for name, pattern in SYMPTOMS.items() if pattern.search(low)),
        mentions=tuple(dict.fromkeys(_mentions(said, low))),
        namespaces=tuple(dict.fromkeys(_spaces(said))),
        period=period_of(said, now),
        access=_access(low) if intent == "access" else None,
        besides=besides,
        guess=(guess["guess"] or guess["named"] or "") if guess is not None else "",
    )


def _spaces(flat: str) -> Iterator[str]:
    """Words in the place of a namespace's name."""
    for pattern in _IN_SPACE:
        yield from (name.lower() for name in pattern.findall(flat) if name.lower() not in ENGLISH)


def words_of(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.lower() for word in _WORD.findall(text)))


def _mentions(flat: str, low: str) -> Iterator[Mention]:
    """Sure ones first. Kind words, ordinary words and numbers are no names, whatever stands around them."""
    for kind, name in _TYPED.findall(flat):
        yield Mention(name=name.lower(), kind=KIND_WORDS[kind.lower()], sure=True)
    for space, name in _SPACED.findall(flat):
        if space.lower() not in KIND_WORDS and not _is_ordinary(name) and space.lower() not in ENGLISH:
            yield Mention(name=name.lower(), namespace=space.lower(), sure=True)
    for name in _QUOTED.findall(flat):
        if not _is_ordinary(name):
            yield Mention(name=name.lower(), sure=True)
    for kind, name in _KIND_FIRST.findall(flat):
        if KIND_WORDS[kind.lower()] != "Namespace" and not _is_ordinary(name) and (kind.lower(), name.lower()) not in COMPOUNDS:
            yield Mention(name=name.lower(), kind=KIND_WORDS[kind.lower()], sure=_is_shaped(name))
    for name, kind in _KIND_LAST.findall(flat):
        if KIND_WORDS[kind.lower()] != "Namespace" and not _is_ordinary(name):
            yield Mention(name=name.lower(), kind=KIND_WORDS[kind.lower()] if _is_shaped(name) else "", sure=_is_shaped(name))
    for name in _SHAPED.findall(flat):
        if _is_shaped(name) and not _is_ordinary(name):
            yield Mention(name=name.lower(), sure=True)
    for names in _EXISTS.findall(low):
        yield from (Mention(name=name, sure=True) for name in names if name and not _is_ordinary(name))
    for pattern in (*_SUBJECT, _NEEDY):
        for name in pattern.findall(low):
            if not _is_ordinary(name) and name not in GENERIC:
                yield Mention(name=name, sure=_is_shaped(name))


def _is_ordinary(name: str) -> bool:
    word = name.lower()
    return word in ENGLISH or word in KIND_WORDS or word in VERBS or _NUMBERS.fullmatch(word) is not None or len(word) < 2


def _is_shaped(name: str) -> bool:
    """As names are and ordinary words are not: parts joined by a hyphen, a dot or an underscore, with letters in them."""
    parts = re.split(r"[-_.]", name.lower())
    return len(parts) > 1 and all(parts) and not all(part.isdigit() or part in ENGLISH for part in parts)


def _access(low: str) -> Access:
    said = [word for word in words_of(low) if word in VERBS]
    # "read logs" is a right on logs, whatever comes first
    spoken = next((word for word in said if ":" in VERBS[word]), said[0] if said else "")
    verb = VERBS.get(spoken, "")
    resource, name = _resource(low[low.find(spoken) :] if spoken else low)
    kind, subject = _whose(low)
    if verb.partition(":")[2]:  # exec, logs and the like are rights on a part of a pod
        verb, resource = verb.partition(":")[0], verb.partition(":")[2]
    if re.search(r"\b(?:cluster-?)?admins?\b|\b(?:do )?(?:everything|anything)\b", low):
        verb, resource = verb or "*", resource or "*"
    return Access(verb=verb, resource=resource, name=name, subject=subject, subject_kind=kind)


def _resource(low: str) -> tuple[str, str]:
    """The resource that follows the verb, and the name of one object behind it."""
    for match in re.finditer(r"\b([a-z]+(?:/[a-z]+)?)\b", low):
        word = match[1]
        known = resource_named(word) if word not in ("sa", "serviceaccount", "no", "to", "binding") else None
        if known is None or (known[0] == "namespaces" and re.match(r"\s+[a-z0-9-]+", low[match.end() :])):
            continue
        behind = re.match(rf"\s+(?:called |named )?[`\"']?({_NAME})", low[match.end() :])
        name = behind[1] if behind and not _is_ordinary(behind[1]) else ""
        return known[0], name
    return "", ""


def _whose(low: str) -> tuple[str, str]:
    match = re.search(rf"\b(service ?account|sa|user|group)s? (?:called |named )?[`\"']?({_NAME}(?:[:/]{_NAME})*)", low)
    if match and not _is_ordinary(match[2]):
        kind = {"user": "User", "group": "Group"}.get(match[1], "ServiceAccount")
        return kind, match[2]
    match = re.search(rf"^(?:can|may|could|is|are) (?:the )?({_NAME}) (service ?account|sa|user|group)\b", low)
    if match and (match[1] == "default" or not _is_ordinary(match[1])):
        return {"user": "User", "group": "Group"}.get(match[2], "ServiceAccount"), match[1]
    match = re.search(
        rf"\bwhat (?:can|may|could|is|are) (?:the )?({_NAME}(?:[:/]{_NAME})*)(?: (?:service ?account|user|group))? "
        r"(?:do|access|allowed)",
        low,
    ) or re.search(rf"^(?:can|may) ()({_NAME}(?:[:/]{_NAME})*) ", low)
    named = match[match.lastindex or 1] if match else ""
    return ("", named) if named and not _is_ordinary(named) else ("", "")
