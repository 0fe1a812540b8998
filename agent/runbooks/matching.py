"""Which page fits, and why: a finding by its `when`, alerts by their names, a question by the words that few pages have. Pure."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.domain.finding import Finding
from agent.domain.runbook import Page
from agent.runbooks.pages import Library

MOST_PAGES = 5
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]+|\d{3}")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PARTS = {"title": 4.0, "cause": 4.0, "alerts": 2.0, "Meaning": 2.0, "Diagnosis": 1.0, "Impact": 1.0, "Mitigation": 0.5}
_SYMPTOM = 14.0  # a symptom in the list of a page is enough to name it, and no more than a rare word of a title
_ENOUGH = 12.0  # for a page to be named at all: one rare word of a title, or a few of the text
_SMALL = frozenset(
    _WORD.findall(
        "a an and are as at be because been but by can could did do does for from get gets go had has have how i if in into is"
        " it its me my no not of on one or our out say says see should so some than that the their them then there these they"
        " this to up was we were what when where which who why will with without would you your still since all any only after"
        " before more same name wrong broken problem issue please help kube cluster namespace kubernetes make makes made use uses"
        " used need needs look looks find found come comes work works again many much time times minutes find set sets one two"
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A page, and in words why it fits."""

    page: Page
    why: str


def match_finding(finding: Finding, library: Library) -> tuple[Match, ...]:
    page = library.for_finding(finding)
    if page is None:
        return ()
    why = f"it is the page of cause {finding.cause}" if page.cause == finding.cause else f"its condition holds: {page.when}"
    return (Match(page=page, why=why),)


def match_alerts(names: Iterable[str], library: Library) -> tuple[Match, ...]:
    """Every page that names one of the alerts: investigations first, then causes by name."""
    found: dict[str, Match] = {}
    for name in dict.fromkeys(names):
        for page in library.for_alert(name):
            how = "says what to look at for" if page.is_investigation else "is about a cause that may be behind"
            found.setdefault(page.cause, Match(page=page, why=f"it {how} alert {name}"))
    return tuple(sorted(found.values(), key=lambda one: not one.page.is_investigation))


def match_question(question: str, library: Library) -> tuple[Match, ...]:
    """The pages that the question names, that say its symptoms, or that speak its words, rare words counting more; best first.
    () when no page does."""
    named = {page.cause: page for page in library.pages.values()}
    for slug in re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)+", question.lower()):
        if slug in named:
            return (Match(page=named[slug], why=f"the question names cause {slug}"),)
    alerts = [word for word in _WORD.findall(question) if library.for_alert(word)]
    if alerts:
        return match_alerts(alerts, library)
    scored = sorted(_scored(question, library), key=lambda one: (-one[0], one[1].page.cause))
    best = scored[0][0] if scored else 0.0
    return tuple(match for score, match in scored[:MOST_PAGES] if score >= best / 2)


def _scored(question: str, library: Library) -> Iterator[tuple[float, Match]]:
    texts = {page.cause: _weights(page) for page in library.pages.values()}
    rarity = _rarity(texts.values())
    spoken = {stem: word for word in reversed(_WORD.findall(question)) for stem in words_of(word)}
    asked = [word for word in dict.fromkeys(words_of(question)) if word in rarity]
    plain = f" {' '.join(re.findall(r'[a-z0-9]+', question.lower()))} "
    for page in library.pages.values():
        told = [symptom for symptom in page.symptoms if f" {symptom.lower()} " in plain]
        shared = [word for word in asked if word in texts[page.cause]]
        score = sum(rarity[word] * texts[page.cause][word] for word in shared) + _SYMPTOM * len(told)
        whys = [f"it is about {chr(39)}{symptom}{chr(39)}" for symptom in told[:2]]
        if shared:
            whys.append(f"it speaks of {', '.join(dict.fromkeys(spoken[stem].lower() for stem in shared))}")
        if score >= _ENOUGH:
            yield score, Match(page=page, why="; ".join(whys))


def words_of(text: str) -> list[str]:
    """Stems of the words that say something; HumpedWords fall into their parts."""
    parts = [part.lower() for word in _WORD.findall(text) for part in (*_HUMP.split(word), word)]
    return [_stem(part) for part in parts if part not in _SMALL and (len(part) > 2 or part in ("ip", "pv"))]


def _stem(word: str) -> str:
    for ending in ("ations", "ation", "ings", "ing", "ies", "ied", "ed", "es", "s", "er"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def _weights(page: Page) -> Mapping[str, float]:
    """Each word's weight: that of the weightiest part of the page it stands in."""
    found: dict[str, float] = {}
    texts: Sequence[tuple[str, str]] = (
        ("title", page.title),
        ("cause", page.cause.replace("-", " ")),
        ("alerts", " ".join(page.alerts)),
        *page.sections.items(),
    )
    for part, text in texts:
        for word in words_of(text):
            found[word] = max(found.get(word, 0.0), _PARTS.get(part, 0.5))
    return found


def _rarity(texts: Iterable[Mapping[str, float]]) -> Mapping[str, float]:
    counts: Counter[str] = Counter()
    total = 0
    for words in texts:
        counts.update(words.keys())
        total += 1
    return {word: math.log(1 + total / count) for word, count in counts.items()}
