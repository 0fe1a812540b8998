"""From what was said to what is meant: "it", "there", "and its database?", "why?", "fix it". Words only; no cluster yet.

Pure. What names its own subject is left as it was said: the reasoner matches names to the cluster. Only what cannot stand by
itself is filled in from the thread.
"""

import re
from datetime import UTC, datetime

from agent.chat.meaning import Ask, AskOfRelated, Hush, Meaning, Read, Recheck, Repair, Show, Shown, Talk
from agent.chat.phrases import (
    AND,
    ASKING,
    CHOICE,
    CHOICE_IN,
    COMMAND,
    CONSENT,
    EVERYWHERE,
    EVIDENCE,
    FILLS,
    GREETING,
    HELP,
    NOT_SEEN,
    ORDINALS,
    OWN,
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
    STORE_WORDS,
    THANKS,
    THERE,
    THERE_IS,
    WHY,
)
from agent.domain.objects import Ref
from agent.domain.question import Intent
from agent.domain.session import Thread
from agent.reasoning.periods import period_of
from agent.reasoning.questions import understand, words_of
from agent.reasoning.vocabulary import ENGLISH, GENERIC, KIND_WORDS

_SHOWN: tuple[tuple[re.Pattern[str], Shown], ...] = (
    (WHY, "why"),
    (EVIDENCE, "evidence"),
    (RULED_OUT, "ruled-out"),
    (NOT_SEEN, "not-seen"),
    (PLAN, "plan"),
    (REPORT, "report"),
)
_PARTS_OF_SUBJECT = frozenset(["pod", "pods", "replica", "replicas", "container", "containers", "instance", "instances"])
_LONGEST_ELLIPSIS = 5  # words
_LONGEST_PHRASE = 160  # characters
_WHENEVER = datetime(2000, 1, 10, tzinfo=UTC)  # whether words name a time does not hang on what time it is


def meaning_of(said: str, thread: Thread) -> Meaning:
    """`said` is one line, as it was typed."""
    low = said.lower().replace("’", "'").strip(" .!?,;:")
    bare = " ".join(low.split())
    if len(bare) > _LONGEST_PHRASE:  # phrases are short, and looking for one in a long text takes long
        return _question(said.strip(), bare, thread)
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
        return Recheck(question=ask_about("health", _phrase(thread)))
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
    return _question(said.strip(), bare, thread)


def _minutes(time: str | None) -> int:
    """Whether so long a time may be is for policy to say; a plan holds a day at most."""
    words = {None: 60, "half an hour": 30, "an hour": 60, "a hour": 60, "a day": 1440, "an day": 1440}
    if time in words:
        return words[time]
    number = int("".join(filter(str.isdigit, time or "")) or 60)
    return max(1, min(1440, number * 60 if (time or "").lstrip("0123456789 ").startswith("h") else number))


def name_of(ref: Ref) -> str:
    """As a question names it: kind, name and namespace, so that nothing has to be guessed again."""
    if ref.kind == "Namespace":
        return f"namespace {ref.name}"
    return f"{ref.kind} {ref.name}" + (f" in namespace {ref.namespace}" if ref.namespace else "")


def ask_about(intent: Intent, name: str) -> str:
    """The shortest question of an intent."""
    match intent:
        case "health":
            return f"is everything in {name} healthy?" if name.startswith("namespace ") else f"is {name} healthy?"
        case "changed":
            return f"what changed in {name}?"
        case "access":
            return f"who can change {name}?"
        case "impact":
            return f"what would be affected if {name} goes down?"
        case "needs":
            return f"what does {name} depend on?"
        case "why":
            return f"what is wrong in {name}?" if name.startswith("namespace ") else f"why is {name} failing?"


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
    if not words or said[0] in ENGLISH or len(said) > _LONGEST_ELLIPSIS:
        return Talk(what="command")
    own = {thread.subject.name, thread.subject.namespace} if thread.subject else set()
    if thread.faulty and all(word in own for word in words):
        return Repair()
    return Repair(question=f"why is {what}{_carried(what, thread)} failing?")


def _read(found: "re.Match[str]", thread: Thread) -> Meaning:
    what, whose = ("events" if found["what"].startswith("event") else "logs"), found["whose"] or ""
    previous = bool(found["previous"] or found["previous2"])
    if whose and not PRONOUN.fullmatch(whose):
        if thread.namespace and THERE.fullmatch(f"in {whose}") and thread.subject is None:
            return Talk(what="nothing-yet")
        return Read(
            what="logs" if what == "logs" else "events",
            question=f"is {whose}{_carried(whose, thread)} healthy?",
            previous=previous,
        )
    if thread.subject is None or thread.subject.kind == "Namespace":
        return Talk(what="nothing-yet")
    return Read(what="logs" if what == "logs" else "events", subject=thread.subject, previous=previous)


# Questions ----------------------------------------------------------------------------------------------------------------


def _question(said: str, bare: str, thread: Thread) -> Meaning:
    if thread.subject is None and not thread.namespace:
        return Ask(question=said)
    own = OWN.search(bare)
    if own is not None and thread.subject is not None:
        return _of_own(bare, own, thread)
    behind = AND.match(bare)
    rest = behind["rest"] if behind else bare
    elliptic = _ellipsis(rest, thread, is_and=behind is not None)
    if elliptic is not None:
        return elliptic
    asked = understand(rest, _WHENEVER)
    names = [one.name for one in asked.mentions if one.sure or one.name not in GENERIC]
    fills = FILLS.search(rest)
    stands_for = PRONOUN.search(rest, fills.end() if fills else 0)
    if names and (stands_for is None or min(rest.find(name) for name in names) < stands_for.start()):
        return Ask(question=said)  # it names its own subject
    filled = _filled(rest, thread)
    return Ask(question=filled if filled != bare else said)


def _of_own(bare: str, own: "re.Match[str]", thread: Thread) -> Meaning:
    """ "its database": what belongs to the subject. Its pods are the subject itself."""
    word = own["word"]
    subject = _phrase(thread)
    if word in _PARTS_OF_SUBJECT:
        return Ask(question=_as_question(f"{bare[: own.start()]}the {word} of {subject}{bare[own.end() :]}", thread))
    behind = AND.match(bare)
    rest = behind["rest"] if behind else bare
    own = OWN.search(rest) or own
    if rest.strip() == own.group():
        return AskOfRelated(word=word, question=ask_about("health", "{}"))
    return AskOfRelated(word=word, question=f"{rest[: own.start()]}{{}}{rest[own.end() :]}?".replace("??", "?"))


def _ellipsis(rest: str, thread: Thread, *, is_and: bool) -> Meaning | None:
    """A name, a time or a namespace alone: the last question is asked with it."""
    words = rest.split()
    if len(words) > _LONGEST_ELLIPSIS:
        return None
    space = re.fullmatch(r"(?:in|of|for) (?:the )?(?:namespace |ns )?([a-z0-9][-a-z0-9]*)(?: namespace)?", rest)
    if (
        space is not None
        and is_and
        and space[1] not in ENGLISH
        and thread.subject is not None
        and thread.subject.kind != "Namespace"
    ):
        return Ask(question=ask_about(thread.intent, f"{thread.subject.kind} {thread.subject.name} in namespace {space[1]}"))
    asks = ASKING.match(rest) is not None
    if not asks and period_of(rest, _WHENEVER) is not None and not understand(rest, _WHENEVER).mentions:
        return Ask(question=f"{ask_about(thread.intent, _phrase(thread)).rstrip('?')} {rest}?")
    store = re.fullmatch(r"(?:the )?([a-z]+)", rest)
    if is_and and store is not None and store[1] in STORE_WORDS and thread.subject is not None:
        return AskOfRelated(word=store[1], question=ask_about("health", "{}"))
    alone = not asks and (is_and or len(words) == 1)
    if alone and not understand(rest, _WHENEVER).symptoms and not PRONOUN.search(rest) and not THERE.search(rest):
        names = [word for word in words_of(rest) if word not in ENGLISH and word not in KIND_WORDS]
        if 1 <= len(names) <= 2:
            return Ask(question=ask_about(thread.intent, f"{rest}{_carried(rest, thread)}"))
    return None


def _filled(bare: str, thread: Thread) -> str:
    """Pronouns and "there" replaced; where there are none, and it is not about the whole cluster, the place is added."""
    place = f"in namespace {thread.namespace}" if thread.namespace else "in the cluster"
    is_there = THERE_IS.search(bare)
    cut = is_there.end() if is_there else 0
    text = bare[:cut] + THERE.sub(place, bare[cut:], count=1)
    if thread.subject is not None:
        fills = FILLS.search(text)
        cut = fills.end() if fills else 0
        text = text[:cut] + PRONOUN.sub(lambda _: _phrase(thread), text[cut:], count=1)
    if text == bare and thread.namespace and not EVERYWHERE.search(bare) and not understand(bare, _WHENEVER).namespaces:
        text = f"{bare} in namespace {thread.namespace}"
    return _as_question(text, thread) if text != bare else bare


def _as_question(text: str, thread: Thread) -> str:
    return f"{text.rstrip('?. ')}?"


def _carried(words: str, thread: Thread) -> str:
    """The namespace that is spoken of, for a name that comes without one."""
    if not thread.namespace or "/" in words or re.search(r"\b(?:in|namespace|ns)\b", words):
        return ""
    return f" in namespace {thread.namespace}"


def _phrase(thread: Thread) -> str:
    if thread.subject is not None:
        return name_of(thread.subject)
    return f"namespace {thread.namespace}" if thread.namespace else "the cluster"
