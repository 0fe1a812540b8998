"""Reading a mapping of a scenario file, key by key; what is wrong is a ScenarioError with the path to it."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from lab.scenarios.scenario import Manifest, ScenarioError
from lab.world.conditions import Condition, ConditionError, Conditions

DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
T = TypeVar("T")


class Reader:
    """A mapping of the file with the path that leads to it. What was not asked for is a mistake."""

    def __init__(self, value: Any, path: str, conditions: Conditions) -> None:
        if not isinstance(value, Mapping):
            raise ScenarioError(f"{path}: a mapping is wanted, not {_named(value)}")
        self.value, self.path, self.conditions = value, path, conditions
        self._asked: set[str] = set()

    def fail(self, key: str, problem: str) -> ScenarioError:
        return ScenarioError(f"{self.path}{'.' if key else ''}{key}: {problem}")

    def raw(self, key: str, default: Any = None) -> Any:
        self._asked.add(key)
        return self.value.get(key, default)

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        found = self.raw(key)
        if found is None:
            if default is None:
                raise self.fail(key, "is missing")
            return default
        if kind is float and isinstance(found, int) and not isinstance(found, bool):
            found = float(found)
        if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
            raise self.fail(key, f"{kind.__name__} is wanted, not {_named(found)}")
        return found

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> Any:
        found = self.take(key, str, default)
        if found not in choices:
            raise self.fail(key, f"{found!r} is none of {', '.join(choices)}")
        return found

    def strings(self, key: str) -> tuple[str, ...]:
        found = self.take(key, list, [])
        if not all(isinstance(x, str) for x in found):
            raise self.fail(key, "a list of strings is wanted")
        return tuple(found)

    def labels(self, key: str) -> dict[str, str]:
        found = self.take(key, dict, {})
        if not all(isinstance(k, str) and isinstance(v, str) for k, v in found.items()):
            raise self.fail(key, "a mapping of strings is wanted")
        return found

    def duration(self, key: str, default: str | None = None) -> timedelta:
        found = self.raw(key, default)
        if found is None:
            raise self.fail(key, "is missing")
        return duration(found, f"{self.path}.{key}")

    def condition(self, key: str) -> Condition | None:
        text = self.raw(key)
        if text is None:
            return None
        try:
            return self.conditions.compile(str(text))
        except ConditionError as exc:
            raise self.fail(key, str(exc)) from exc

    def inner(self, key: str, read: "Callable[[Reader], T]", default: T | None = None) -> T:
        found = self.raw(key)
        if found is None:
            if default is None:
                raise self.fail(key, "is missing")
            return default
        return self._read(found, f"{self.path}.{key}", read)

    def each(self, key: str, read: "Callable[[Reader], T]") -> tuple[T, ...]:
        found = self.take(key, list, [])
        return tuple(self._read(item, f"{self.path}.{key}[{i}]", read) for i, item in enumerate(found))

    def _read(self, value: Any, path: str, read: "Callable[[Reader], T]") -> T:
        reader = Reader(value, path, self.conditions)
        result = read(reader)
        reader.done()
        return result

    def manifests(self, key: str) -> tuple[Manifest, ...]:
        found = self.take(key, list, [])
        for i, item in enumerate(found):
            good = isinstance(item, dict) and "apiVersion" in item and "kind" in item and isinstance(item.get("metadata"), dict)
            if not good or not item["metadata"].get("name"):
                raise self.fail(f"{key}[{i}]", "a manifest with apiVersion, kind and metadata.name is wanted")
        return tuple(found)

    def done(self) -> None:
        unknown = sorted(set(self.value) - self._asked)
        if unknown:
            raise self.fail("", f"unknown key {unknown[0]!r}")


def duration(value: Any, path: str) -> timedelta:
    """Seconds as a number, or "1h30m", "10m", "5s"."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value)
    found = DURATION.fullmatch(str(value))
    if found is None or not any(found.groups()):
        raise ScenarioError(f"{path}: {value!r} is not a duration such as 5s, 10m or 1h30m")
    hours, minutes, seconds = (float(x or 0) for x in found.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _named(value: Any) -> str:
    return {str: "a string", dict: "a mapping", list: "a list", type(None): "nothing", bool: "a boolean"}.get(
        type(value), "a number"
    )
