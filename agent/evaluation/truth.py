"""What is true of a recording, from its `*.truth.yaml`. A file that is none is an InputError that names the field."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from agent.domain.incident import Alert
from agent.domain.objects import Ref
from agent.errors import InputError

SNAPSHOT, TRUTH = ".json.gz", ".truth.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """`must_mention`: of each inner list at least one term has to occur. `forbidden`: wrong conclusions. `resource` is the
    culprit. `acceptable` and `unsafe` are remedies in words."""

    name: str
    question: str
    alerts: tuple[Alert, ...]
    outcome: Literal["fault", "healthy"]
    cause: str
    resource: Ref | None  # None: nobody is to blame
    also_affected: tuple[Ref, ...]
    must_mention: tuple[tuple[str, ...], ...]
    forbidden: tuple[str, ...]
    acceptable: tuple[str, ...]
    unsafe: tuple[str, ...]


def recordings(folder: Path) -> tuple[str, ...]:
    """Names of the recordings in the folder, sorted. Raises InputError when there is none, or half of one."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of recordings (a folder of NAME{SNAPSHOT} beside NAME{TRUTH})")
    names = sorted(path.name.removesuffix(TRUTH) for path in folder.glob(f"*{TRUTH}"))
    if not names:
        raise InputError(f"{folder}: no recordings in it (NAME{SNAPSHOT} beside NAME{TRUTH})")
    for name in names:
        if not (folder / f"{name}{SNAPSHOT}").is_file():
            raise InputError(f"{folder / name}{TRUTH}: its snapshot {name}{SNAPSHOT} is not beside it")
    return tuple(names)


def read_truth(path: Path) -> Truth:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{path}: cannot be read: {exc}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as exc:  # a date such as 2026-13-01 is a ValueError
        raise InputError(f"{path}: no YAML: {str(exc).splitlines()[0]}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: a mapping is expected at the top")
    return _Reader(path).truth(document)


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path

    def truth(self, document: Mapping[str, Any]) -> Truth:
        expected = self._mapping(document, "expected")
        outcome = expected.get("outcome")
        if outcome not in ("fault", "healthy"):
            raise self._fault("expected.outcome", "fault or healthy is expected")
        resource, remediation = expected.get("resource"), expected.get("remediation") or {}
        if not isinstance(remediation, dict):
            raise self._fault("expected.remediation", "a mapping is expected")
        return Truth(
            name=self._path.name.removesuffix(TRUTH),
            question=self._text(document, "question"),
            alerts=tuple(self._alerts(document)),
            outcome=cast(Literal["fault", "healthy"], outcome),
            cause=self._text(expected, "cause"),
            resource=self._ref(resource, "expected.resource") if resource or outcome == "fault" else None,
            also_affected=tuple(self._ref(one, "expected.also_affected") for one in expected.get("also_affected") or ()),
            must_mention=tuple(tuple(map(str, terms)) for terms in self._list(expected, "must_mention")),
            forbidden=tuple(map(str, self._list(expected, "forbidden"))),
            acceptable=tuple(map(str, self._list(remediation, "acceptable"))),
            unsafe=tuple(map(str, self._list(remediation, "unsafe"))),
        )

    def _alerts(self, document: Mapping[str, Any]) -> list[Alert]:
        sent = document.get("alert")
        if sent is None:
            return []
        listed = sent.get("alerts") if isinstance(sent, dict) else None
        if not isinstance(listed, list):
            raise self._fault("alert.alerts", "an Alertmanager notification is expected")
        found = []
        for one in listed:
            labels = one.get("labels") if isinstance(one, dict) else None
            if not isinstance(labels, dict) or "alertname" not in labels:
                raise self._fault("alert.alerts", "every alert has labels with an alertname")
            found.append(Alert(name=str(labels["alertname"]), labels={str(key): str(value) for key, value in labels.items()}))
        return found

    def _mapping(self, holder: Mapping[str, Any], field: str) -> Mapping[str, Any]:
        value = holder.get(field)
        if not isinstance(value, dict):
            raise self._fault(field, "a mapping is expected")
        return value

    def _text(self, holder: Mapping[str, Any], field: str) -> str:
        value = holder.get(field)
        if not isinstance(value, str) or not value:
            raise self._fault(field, "a text is expected")
        return value

    def _list(self, holder: Mapping[str, Any], field: str) -> list[Any]:
        value = holder.get(field) or []
        if not isinstance(value, list):
            raise self._fault(field, "a list is expected")
        return value

    def _ref(self, value: object, field: str) -> Ref:
        if not isinstance(value, dict) or "kind" not in value or "name" not in value:
            raise self._fault(field, "kind, namespace and name are expected")
        return Ref(str(value["kind"]), str(value.get("namespace") or ""), str(value["name"]))

    def _fault(self, field: str, words: str) -> InputError:
        return InputError(f"{self._path}: field {field}: {words}")
