"""From what was said to what is meant: "it", "there", "and its database?", "why?", "fix it". Words only; no cluster yet.

Pure. What names its own subject is left as it was said: the reasoner matches names to the cluster. Only what cannot stand by
itself is filled in from the thread.
"""

import re

from agent.chat.elliptic import LONGEST_ELLIPSIS, ask_about, carried, name_of, phrase_of, question_of
from agent.chat.meaning import Ask, Hush, Meaning, Read, Recheck, Repair, Show, Shown, Talk
from agent.chat.phrases import (
    CHOICE,
    CHOICE_IN,
    COMMAND,
    CONSENT,
    EVIDENCE,
    GREETING,
    HELP,
    NOT_SEEN,
    ORDINALS,
    PLAN,
    PRONOUN,
    READ,
    RECHECK,
    REFRAIN,
    REPAIR,
    REPAIR_NAMED,
    REPORT,
    REQUEST,
    RULED_OUT,
    SILENCE,
    THANKS,
    THERE,
    WHY,
)
from agent.domain.objects import Ref
from agent.domain.session import Thread
from agent.reasoning.questions import words_of
from agent.reasoning.vocabulary import ENGLISH, KIND_WORDS

_SHOWN: tuple[tuple[re.Pattern[str], Shown], ...] = (
    (WHY, "why"),
    (EVIDENCE, "evidence"),
    (RULED_OUT, "ruled-out"),
    (NOT_SEEN, "not-seen"),
    (PLAN, "plan"),
    (REPORT, "report"),
)
_LONGEST_PHRASE = 160  # characters


def meaning_of(said: str, thread: Thread) -> Meaning:
    """`said` is one line, as it was typed."""
    low = said.lower().replace("’", "'").strip(" .!?,;:")
    bare = " ".join(low.split())
    if len(bare) > _LONGEST_PHRASE:  # phrases are short, and looking for one in a long text takes long
        return question_of(said.strip(), bare, thread)
    if thread.choices:
        chosen = _chosen(bare, thread)
        if chosen is not None:
            return chosen
    small = _small_talk(said, bare)
    if small is not None:
        return small
    repair = _repair(said, bare, thread)
    if repair is not None:
        return repair
    if RECHECK.match(bare) and (thread.subject is not None or thread.namespace or thread.repair):
        return Recheck(question=ask_about("health", phrase_of(thread)))
    for pattern, what in _SHOWN:
        if pattern.match(bare):
            return Show(what=what) if thread.run else Talk(what="nothing-yet")
    streams = READ.match(bare)
    if streams is not None:
        return _read(streams, thread)
    silence = SILENCE.match(bare)
    if silence is not None:
        return Hush(minutes=_minutes(silence["time"])) if thread.run else Talk(what="nothing-yet")
    if COMMAND.match(bare) and "?" not in said:
        return Talk(what="command")
    return question_of(said.strip(), bare, thread)


def _minutes(time: str | None) -> int:
    """Whether so long a time may be is for policy to say; a plan holds a day at most."""
    words = {None: 60, "half an hour": 30, "an hour": 60, "a hour": 60, "a day": 1440, "an day": 1440}
    if time in words:
        return words[time]
    number = int("".join(filter(str.isdigit, time or "")) or 60)
    return max(1, min(1440, number * 60 if (time or "").lstrip("0123456789 ").startswith("h") else number))


def _small_talk(said: str, bare: str) -> Talk | None:
    if not bare or HELP.match(bare):
        return Talk(what="help")
    if re.fullmatch(r"#?\d{1,2}", bare):
        return Talk(what="no-choice")
    if REFRAIN.match(bare) and "?" not in said:
        return Talk(what="refrain")
    if GREETING.match(bare):
        return Talk(what="greeting")
    if THANKS.match(bare):
        return Talk(what="thanks")
    return None


def _chosen(bare: str, thread: Thread) -> Meaning | None:
    """A number, "the second one", a namespace or the words of a choice; None where it is none of these."""
    for choice in thread.choices:
        if bare == choice.lower().strip(" .!?"):
            return Ask(question=_of_choice(choice, thread))
    inside = CHOICE_IN.match(bare)
    for choice in thread.choices:
        space = inside["space"] if inside else bare
        if re.search(rf"\bnamespace {re.escape(space)}\b", choice.lower()) or f" {space}/" in choice.lower():
            return Ask(question=_of_choice(choice, thread))
    which = CHOICE.match(bare)
    if which is None:
        return None
    word = which["which"]
    number = int(word) if word.isdigit() else len(thread.choices) if word == "last" else ORDINALS.get(word, 0)
    if word.isdigit() and not 1 <= number <= len(thread.choices):
        return Talk(what="no-choice")
    return Ask(question=_of_choice(thread.choices[number - 1], thread)) if number else None


def _of_choice(choice: str, thread: Thread) -> str:
    """A choice is a full question, or an object ("Deployment shop/cart") that the last question is asked of."""
    named = re.fullmatch(r"([A-Z][A-Za-z]+) (?:([a-z0-9-]+)/)?([^\s/]+)", choice)
    if named is None:
        return choice
    return ask_about(thread.intent, name_of(Ref(named[1], named[2] or "", named[3])))


def _repair(said: str, bare: str, thread: Thread) -> Meaning | None:
    """Only what asks for it in full; "fix?" and "do it?" ask what that would be."""
    consents = CONSENT.match(bare) is not None and bool(thread.faulty) and thread.faulty == thread.run
    asks = "?" in said and not REQUEST.match(bare)
    if REPAIR.match(bare) or (consents and not asks):
        if not thread.faulty:
            return Talk(what="nothing-to-repair" if thread.run else "nothing-yet")
        return Show(what="plan") if asks else Repair()
    named = REPAIR_NAMED.match(bare)
    return _repair_of(named["what"], thread) if named is not None and not asks else None


def _repair_of(what: str, thread: Thread) -> Meaning:
    """ "fix checkout": where that is the subject, the same as "fix it"; else its diagnosis comes first, in the same run."""
    said = words_of(what)
    words = [word for word in said if word not in ENGLISH and word not in KIND_WORDS]
    if not words or said[0] in ENGLISH or len(said) > LONGEST_ELLIPSIS:
        return Talk(what="command")
    own = {thread.subject.name, thread.subject.namespace} if thread.subject else set()
    if thread.faulty and all(word in own for word in words):
        return Repair()
    return Repair(question=f"why is {what}{carried(what, thread)} failing?")


def _read(found: "re.Match[str]", thread: Thread) -> Meaning:
    what, whose = ("events" if found["what"].startswith("event") else "logs"), found["whose"] or ""
    previous = bool(found["previous"] or found["previous2"])
    if whose and not PRONOUN.fullmatch(whose):
        if thread.namespace and THERE.fullmatch(f"in {whose}") and thread.subject is None:
            return Talk(what="nothing-yet")
        return Read(
            what="logs" if what == "logs" else "events",
            question=f"is {whose}{carried(whose, thread)} healthy?",
            previous=previous,
        )
    if thread.subject is None or thread.subject.kind == "Namespace":
        return Talk(what="nothing-yet")
    return Read(what="logs" if what == "logs" else "events", subject=thread.subject, previous=previous)
