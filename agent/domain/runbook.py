"""A runbook page as the machine reads it; conditions and templates are still text here."""

from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.contract import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    tool: str
    target: str
    settles: str


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
    """`when` is CEL over finding/objects. `sections` maps Meaning, Impact, Diagnosis, Mitigation to their Markdown."""

    path: str
    cause: str
    title: str
    alerts: tuple[str, ...]
    when: str
    asks: tuple[Ask, ...]
    remedies: tuple[Remedy, ...]
    probes: tuple[Probe, ...]
    sections: Mapping[str, str]
