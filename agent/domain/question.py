"""A question as it was understood: what is wanted to be known, about what, and of which time. Words only; no cluster yet."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Intent = Literal[
    "why",  # why is X failing; also everything that is no other intent
    "health",  # is X healthy
    "changed",  # what changed, when, by whom
    "access",  # who can do Z; what can X do
    "impact",  # what would be affected if ...
    "needs",  # what X depends on
    "when",  # when did it begin, what came first
    "which",  # which pods are failing, how many nodes are down
    "runs",  # which version of X runs
    "owner",  # who owns X, whom to call
]

Symptom = Literal[
    "crash", "unready", "pending", "image", "unreachable", "slow", "memory", "storage", "scaling", "rollout", "deletion",
    "rights", "job", "config",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Aware UTC. `said` is how the question put it. `anchor` "change": it begins with the last change of what is asked about,
    and `start` is how far back that is looked for. `begun`: where the words say that something began then, the latest time
    that they allow for it."""

    start: datetime
    end: datetime
    said: str
    anchor: Literal["", "change"] = ""
    begun: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """Words that seem to name an object. `kind` as Kubernetes writes it, "" when none was said; `namespace` where it was said
    in front (shop/web). `sure`: quoted, with a kind, or shaped as only names are; else it may be an ordinary word."""

    name: str
    kind: str = ""
    namespace: str = ""
    sure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may do what: `verb` and `resource` as RBAC writes them ("*" for any), `name` of one object, `subject` of whom it is
    asked ("": of everybody)."""

    verb: str = ""
    resource: str = ""
    name: str = ""
    subject: str = ""
    subject_kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    text: str
    intent: Intent
    words: tuple[str, ...] = ()
    symptoms: tuple[Symptom, ...] = ()
    mentions: tuple[Mention, ...] = ()
    namespaces: tuple[str, ...] = ()  # words that stand where a namespace's name stands
    period: Period | None = None
    access: Access | None = None
    besides: tuple[str, ...] = ()  # names of what is known already: "is anything wrong besides web?"
    guess: str = ""  # what the question takes for the cause: "is it the database?"
