"""What is no question yet, or asks for a deed: a greeting is asked back, a command is told that a question changes nothing, words
of another language are told that they were not understood. By words alone. Pure."""

import re

from agent.domain.answer import Answer
from agent.domain.finding import Diagnosis
from agent.domain.question import Question
from agent.reasoning.vocabulary import COMMON, ENGLISH, GENERIC, KIND_WORDS, VERBS

_GREETINGS = frozenset({
    "hi", "hello", "hey", "yo", "hola", "hallo", "bonjour", "salut", "ciao", "moin", "servus", "ola", "namaste", "aloha", "ping",
    "test", "testing", "help", "thanks", "thank", "thx", "good", "morning", "evening", "afternoon", "day", "there", "you", "me",
    "please", "pls", "lestrade", "bot", "assistant", "buenos", "dias", "guten", "tag",
})  # fmt: skip
_DEED = re.compile(
    r"^(?:please |pls |now |can you |could you |just |go )*(restart|delete|remove|scale|roll ?back|undo|drain|cordon|uncordon"
    r"|fix|apply|patch|kill|redeploy|reboot|upgrade|stop|start|resume|pause|edit)\b(?! (?:of|is|was|count|loop|policy)\b)",
    re.I,
)
_CHOICES = ("what is wrong?", "what changed in the last hour?", "what breaks if I drain a node?", "who can delete pods?")
FEW = 2  # words that have to be strange before a question is called one of another language


def greeted(asked: Question, missing: tuple[str, ...]) -> Diagnosis | None:
    """Asks back where there is nothing but a greeting."""
    words = [word for word in asked.words if word.isalpha()]
    if not words or len(words) != len(asked.words) or not all(word in _GREETINGS for word in words):
        return None
    said = (
        "What would you like to know? Name a workload, a namespace or a node and what is the matter with it, or ask what is"
        " wrong, what changed, who may do something, or what would break."
    )
    return Diagnosis(outcome="unclear", statement=said, missing=missing, answer=Answer(intent="clarify", choices=_CHOICES))


def noted(asked: Question, *, found: bool) -> list[str]:
    """What has to be said before the answer. `found`: something of the cluster was recognised in the question."""
    notes = []
    deed = _DEED.search(asked.text)
    if deed is not None and "?" not in asked.text:
        notes.append(
            f"A question changes nothing, so nothing was done ({deed[1].lower()}): what can be done is proposed as a plan when"
            " the incident is investigated."
        )
    words = [word for word in asked.words if word.isalpha() and word not in _GREETINGS]
    strange = [word for word in words if len(word) > 1 and not _is_known(word)]
    if not found and not asked.symptoms and len(strange) >= FEW and 2 * len(strange) > len(words):
        notes.append("Few of these words were understood (questions are asked in English).")
    return notes


def _is_known(word: str) -> bool:
    return word in ENGLISH or word in COMMON or word in GENERIC or word in KIND_WORDS or word in VERBS
