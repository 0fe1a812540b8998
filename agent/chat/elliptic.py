"""A question that cannot stand by itself ("and its database?", "in prod?", "why is it slow?"), filled in from the thread. Words
only; no cluster yet."""

import re
from datetime import UTC, datetime

from agent.chat.meaning import Ask, AskOfRelated, Meaning
from agent.chat.phrases import AND, ASKING, EVERYWHERE, FILLS, OWN, PRONOUN, STORE_WORDS, THERE, THERE_IS
from agent.domain.objects import Ref
from agent.domain.question import Intent
from agent.domain.session import Thread
from agent.reasoning.periods import period_of
from agent.reasoning.questions import understand, words_of
from agent.reasoning.vocabulary import ENGLISH, GENERIC, KIND_WORDS

_PARTS_OF_SUBJECT = frozenset(["pod", "pods", "replica", "replicas", "container", "containers", "instance", "instances"])
_ELSE = re.compile(
    r"^(?:and )?(?:is |are |what |has |does )?(?:there )?(?:anything |something |any ?thing |nothing )?else (?:is |that is )?"
    r"(?:wrong|broken|failing|down|not ok|on fire|red|bad|hurt|in trouble)\b"
)
LONGEST_ELLIPSIS = 5  # words
_WHENEVER = datetime(2000, 1, 10, tzinfo=UTC)  # whether words name a time does not hang on what time it is


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
        case "when":
            return f"since when is {name} failing?"
        case "which":
            return f"which pods of {name} are failing?"
        case "runs":
            return f"which version of {name} is running?"
        case "owner":
            return f"who owns {name}?"
        case "why":
            return f"what is wrong in {name}?" if name.startswith("namespace ") else f"why is {name} failing?"


def question_of(said: str, bare: str, thread: Thread) -> Meaning:
    if thread.subject is None and not thread.namespace:
        return Ask(question=said)
    own = OWN.search(bare)
    if own is not None and thread.subject is not None:
        return _of_own(bare, own, thread)
    behind = AND.match(bare)
    rest = behind["rest"] if behind else bare
    if _ELSE.search(rest):
        spoken_of = (*thread.suspects, *((thread.subject,) if thread.subject else ()))
        known = list(dict.fromkeys(one.name for one in spoken_of if one.kind != "Namespace"))
        if known:
            return Ask(question=f"is anything wrong besides {' and '.join(known)}?")
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
    subject = phrase_of(thread)
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
    if len(words) > LONGEST_ELLIPSIS:
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
        return Ask(question=f"{ask_about(thread.intent, phrase_of(thread)).rstrip('?')} {rest}?")
    store = re.fullmatch(r"(?:the )?([a-z]+)", rest)
    if is_and and store is not None and store[1] in STORE_WORDS and thread.subject is not None:
        return AskOfRelated(word=store[1], question=ask_about("health", "{}"))
    alone = not asks and (is_and or len(words) == 1)
    if alone and not understand(rest, _WHENEVER).symptoms and not PRONOUN.search(rest) and not THERE.search(rest):
        names = [word for word in words_of(rest) if word not in ENGLISH and word not in KIND_WORDS]
        if 1 <= len(names) <= 2:
            return Ask(question=ask_about(thread.intent, f"{rest}{carried(rest, thread)}"))
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
        text = text[:cut] + PRONOUN.sub(lambda _: phrase_of(thread), text[cut:], count=1)
    if text == bare and thread.namespace and not EVERYWHERE.search(bare) and not understand(bare, _WHENEVER).namespaces:
        text = f"{bare} in namespace {thread.namespace}"
    return _as_question(text, thread) if text != bare else bare


def _as_question(text: str, thread: Thread) -> str:
    return f"{text.rstrip('?. ')}?"


def carried(words: str, thread: Thread) -> str:
    """The namespace that is spoken of, for a name that comes without one."""
    if not thread.namespace or "/" in words or re.search(r"\b(?:in|namespace|ns)\b", words):
        return ""
    return f" in namespace {thread.namespace}"


def phrase_of(thread: Thread) -> str:
    if thread.subject is not None:
        return name_of(thread.subject)
    return f"namespace {thread.namespace}" if thread.namespace else "the cluster"
