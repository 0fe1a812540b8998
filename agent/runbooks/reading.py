"""From a Markdown file to a page: every field checked, every condition and expression compiled, templates as far as they go.

A page that cannot be used is an InputError of one line that names the file and the line.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from agent.domain.runbook import Ask, Detection, Page, Probe, Remedy
from agent.runbooks.conditions import is_named
from agent.runbooks.front_matter import FrontMatter, split
from sidecar.contract import Action, Json

SECTIONS = ("Meaning", "Impact", "Diagnosis", "Mitigation")
FINDING = ("finding",)
LOOKED_AT = ("object", "namespaceObject", "pods", "events", "logs", "others", "now")
"""What a page's own cause is told of: the object, its Namespace, its pods, what the events about it and its pods say, the
last lines of its logs, other objects of its namespace by kind, and the time."""
TOOLS = frozenset(
    {
        "rollout_history",
        "describe",
        "logs",
        "previous_logs",
        "events",
        "metrics",
        "changes",
        "endpoints",
        "dependents",
        "list",
        "alerts",
        "traces",
        "brought",
        "top",
    }
)
_MODELS: Mapping[str, Any] = {model.model_fields["kind"].default: model for model in get_args(get_args(Action)[0])}
ACTIONS = frozenset(_MODELS)
_SLUG = re.compile(r"^[a-z0-9]+(?:-[a-z0-9]+)*$")
_ALERT = re.compile(r"^[A-Za-z_][A-Za-z0-9_:]*$")
_DURATION = re.compile(r"^(\d+)(s|m|h)$")
_KIND = re.compile(r"^[A-Z][A-Za-z0-9]*$")
_PLACE = re.compile(r"\{([a-z_]+)((?:\.[A-Za-z0-9_]+)*)\}")
_PLACES = {"subject", "name", "namespace", "affected", "params", "item"}
_OF_CAUSE = {"cause", "title", "alerts", "symptoms", "when", "detect", "ask", "remedies", "verify"}
_OF_INVESTIGATION = {"investigation", "title", "alerts", "symptoms", "leads_to", "ask"}
_OF_DETECTION = {"each", "when", "says", "params", "shows", "since", "weight"}
_OF_REMEDY = {"title", "when", "action", "steps", "expect", "why", "human"}


def read_page(path: Path, name: str = "") -> Page:
    """`name` is how the page is called in reports; the file's path when it is not given."""
    front, body = split(path)
    reader = FrontMatter(path, front)
    document = reader.document
    is_investigation = "investigation" in document
    reader.known(document, _OF_INVESTIGATION if is_investigation else _OF_CAUSE)
    field = "investigation" if is_investigation else "cause"
    slug = reader.string(document, field)
    if slug != path.stem:
        raise reader.fault(f"{field} is {slug}, the file is named {path.stem}", field)
    if not _SLUG.match(slug):
        raise reader.fault(f"{field} is no slug: small letters, digits and single dashes", field)
    when = reader.string(document, "when", default="false" if is_investigation else f'finding.cause == "{slug}"')
    reader.condition(when, FINDING, "when")
    return Page(
        path=name or str(path),
        cause=slug,
        title=reader.string(document, "title", default=slug.replace("-", " ")),
        alerts=_alerts(reader),
        when=when,
        is_investigation=is_investigation,
        leads_to=reader.strings(document, "leads_to"),
        symptoms=reader.strings(document, "symptoms"),
        detection=_detection(reader) if "detect" in document else None,
        asks=tuple(_asks(reader)),
        remedies=tuple(_remedies(reader)),
        probes=tuple(_probes(reader)),
        sections=_sections(reader, body),
    )


def _alerts(reader: FrontMatter) -> tuple[str, ...]:
    names = reader.strings(reader.document, "alerts")
    for index, name in enumerate(names):
        if not _ALERT.match(name):
            raise reader.fault(f"{name!r} is no name of an alert", "alerts", index)
        if name in names[:index]:
            raise reader.fault(f"alert {name} is there twice", "alerts", index)
    return names


def _detection(reader: FrontMatter) -> Detection:
    found = reader.mapping(reader.document, "detect")
    reader.known(found, _OF_DETECTION, "detect", of="detect")
    each = found.get("each")
    kinds = [each] if isinstance(each, str) else each
    if not isinstance(kinds, list) or not kinds or not all(isinstance(kind, str) and _KIND.match(kind) for kind in kinds):
        raise reader.fault("each names no kind such as Deployment, or a list of them", "detect", "each")
    when = reader.string(found, "when", "detect")
    reader.condition(when, LOOKED_AT, "detect", "when")
    says = reader.string(found, "says", "detect")
    _placed(reader, says, "detect", "says")
    params = reader.mapping(found, "params", "detect")
    for name, source in params.items():
        reader.expression(str(source), LOOKED_AT, "detect", "params", name)
    shows = reader.strings(found, "shows", "detect")
    for index, source in enumerate(shows):
        reader.expression(source, LOOKED_AT, "detect", "shows", index)
    since = reader.string(found, "since", "detect", default="")
    if since:
        reader.expression(since, LOOKED_AT, "detect", "since")
    weight = found.get("weight", 0.7)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1:
        raise reader.fault("weight is no number above 0 and up to 1", "detect", "weight")
    return Detection(
        kinds=tuple(kinds),
        when=when,
        says=says,
        params={name: str(source) for name, source in params.items()},
        shows=shows,
        since=since,
        weight=float(weight),
    )


def _asks(reader: FrontMatter) -> Iterator[Ask]:
    for index, one in enumerate(reader.sequence(reader.document, "ask")):
        place = ("ask", index)
        if not isinstance(one, dict) or one.get("tool") not in TOOLS:
            raise reader.fault(f"a question names no tool that exists (there are: {', '.join(sorted(TOOLS))})", *place)
        reader.known(one, {"tool", "target", "settles"}, *place, of="a question")
        target = reader.string(one, "target", *place, default="{subject}")
        _placed(reader, target, *place, "target")
        settles = reader.string(one, "settles", *place)
        yield Ask(tool=one["tool"], target=target, settles=settles)


def _remedies(reader: FrontMatter) -> Iterator[Remedy]:
    for index, one in enumerate(reader.sequence(reader.document, "remedies")):
        place = ("remedies", index)
        if not isinstance(one, dict):
            raise reader.fault("a remedy is no mapping", *place)
        reader.known(one, _OF_REMEDY, *place, of="a remedy")
        when = reader.string(one, "when", *place, default="true")
        reader.condition(when, FINDING, *place, "when")
        action, steps, human = one.get("action"), one.get("steps", []), one.get("human", "")
        if sum(bool(part) for part in (action, steps, human)) != 1:
            raise reader.fault("a remedy has either action, steps or human", *place)
        if action:
            _action(reader, action, False, *place, "action")
        if not isinstance(steps, list):
            raise reader.fault("steps is no list", *place, "steps")
        for number, step in enumerate(steps):
            if not isinstance(step, dict):
                raise reader.fault("a step is no mapping", *place, "steps", number)
            reader.known(step, {"action", "for_each", "expect"}, *place, "steps", number, of="a step")
            _action(reader, step.get("action"), "for_each" in step, *place, "steps", number)
        for field in ("title", "expect", "why", "human"):
            _placed(reader, reader.string(one, field, *place, default=""), *place, field)
        yield Remedy(
            when=when,
            action=action,
            steps=tuple(steps),
            human=str(human),
            expect=str(one.get("expect", "")),
            why=str(one.get("why", "")),
            title=str(one.get("title", "")) or _title(action, steps, human),
        )


def _action(reader: FrontMatter, template: object, has_items: bool, *place: str | int) -> None:
    """The template has the fields that the contract's action of that kind has; what is filled in later is looked at then."""
    if not isinstance(template, dict) or template.get("kind") not in ACTIONS:
        raise reader.fault(f"no action of the closed union ({', '.join(sorted(ACTIONS))})", *place)
    fields = _MODELS[template["kind"]].model_fields
    unknown = sorted(set(map(str, template)) - set(fields))
    if unknown:
        raise reader.fault(f"{template['kind']} has no field {unknown[0]}", *place)
    absent = sorted(name for name, field in fields.items() if field.is_required() and name not in template and name != "kind")
    if absent:
        raise reader.fault(f"{template['kind']} needs {', '.join(absent)}", *place)
    changes = template.get("changes", [])
    for change in changes if isinstance(changes, list) else []:
        if not isinstance(change, dict) or not {"path", "after"} <= set(change) <= {"path", "before", "after"}:
            raise reader.fault("a change has path and after (before is taken from the live object)", *place)
    for words in _texts(template):
        _placed(reader, words, *place, has_items=has_items)


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _placed(reader: FrontMatter, words: str, *place: str | int, has_items: bool = False) -> None:
    """Every {place} of a template means something."""
    for match in _PLACE.finditer(words):
        head, rest = match[1], match[2]
        if head not in _PLACES or (head == "params") != bool(rest) or (head == "item" and not has_items):
            told = "{subject}, {name}, {namespace}, {affected}, {params.NAME}"
            raise reader.fault(f"{match[0]} means nothing here; there are {told}, and {{item}} in steps with for_each", *place)


def _title(action: Mapping[str, Json] | None, steps: list[Any], human: str) -> str:
    first = action or (steps[0]["action"] if steps else None)
    return str(first["kind"]).replace("_", " ") if first else f"a person: {human[:80]}"


def _probes(reader: FrontMatter) -> Iterator[Probe]:
    for index, one in enumerate(reader.sequence(reader.document, "verify")):
        place = ("verify", index)
        if not isinstance(one, dict) or bool(one.get("promql")) == bool(one.get("kubernetes")):
            raise reader.fault("a verification has either kubernetes with condition, or promql", *place)
        reader.known(one, {"kubernetes", "condition", "promql", "within", "optional"}, *place, of="a verification")
        match = _DURATION.match(str(one.get("within", "")))
        if match is None:
            raise reader.fault("within is no duration such as 90s or 10m", *place)
        condition = str(one.get("condition", ""))
        if one.get("kubernetes") and not is_named(condition):
            reader.condition(re.sub(r"\{[\w.]+\}", "0", condition), ("object",), *place, "condition")
        for field in ("kubernetes", "promql"):
            _placed(reader, str(one.get(field, "")), *place, field)
        seconds = int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
        yield Probe(
            kubernetes=str(one.get("kubernetes", "")),
            condition=condition,
            promql=str(one.get("promql", "")),
            within_seconds=min(seconds, 3600),
            optional=one.get("optional") is True,
        )


def _sections(reader: FrontMatter, body: str) -> dict[str, str]:
    parts = re.split(r"^#{1,3} +(.+?)\s*$", body, flags=re.M)
    found = {parts[index]: parts[index + 1].strip() for index in range(1, len(parts) - 1, 2)}
    for name in SECTIONS:
        if not found.get(name):
            raise reader.fault(f"section {name} is missing or empty (there are to be {', '.join(SECTIONS)})")
    return found
