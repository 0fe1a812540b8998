"""A runbook page as the machine reads it; conditions and templates are still text here."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.domain.objects import Ref
from sidecar.contract import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A further question before acting: `tool` by name, about `target` (a template), and what its answer settles."""

    tool: str
    target: str
    settles: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """What a question of a page came to. `text` is empty when nothing could be said, and `missing` says why."""

    page: str
    tool: str
    about: Ref
    settles: str
    text: str = ""
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A cause that a page finds by itself, with no code: each object of `kinds` for which the CEL text `when` holds.

    `says` is a template of the finding's one sentence. `params` and `shows` are CEL: values for templates, and values that
    are quoted as what the finding rests on. `since` is CEL for an RFC 3339 time, or empty. `weight` as a check's, 0 to 1.
    """

    kinds: tuple[str, ...]
    when: str
    says: str
    params: Mapping[str, str]
    shows: tuple[str, ...]
    since: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One thing to try. `action` is a template of a contract action, or None with `human` saying why a person is needed.

    `steps` are templates of several actions in order, each a mapping with `action` and, for one action per item of a
    list of params, `for_each`; then `action` is None too.
    """

    when: str
    action: Mapping[str, Json] | None
    expect: str
    why: str = ""
    human: str = ""
    title: str = ""
    steps: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How it is seen that a remedy helped: a CEL condition on an object (template `kubernetes`), or PromQL."""

    kubernetes: str = ""
    condition: str = ""
    promql: str = ""
    within_seconds: int
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is known about one cause, or how to look into alerts that have no cause of their own (`is_investigation`).

    `cause` is the page's slug, and the file's name. `when` is CEL over `finding`: for which findings the page is. `leads_to`
    are causes that an investigation usually ends in. `sections` maps Meaning, Impact, Diagnosis, Mitigation to their Markdown.
    """

    path: str
    cause: str
    title: str
    alerts: tuple[str, ...]
    when: str
    is_investigation: bool = False
    leads_to: tuple[str, ...] = ()
    symptoms: tuple[str, ...] = ()  # words in which people ask about it
    detection: Detection | None = None
    asks: tuple[Ask, ...]
    remedies: tuple[Remedy, ...]
    probes: tuple[Probe, ...]
    sections: Mapping[str, str]
