"""Time series in memory: samples at lab times, stale markers where a series ended, two hours kept."""

import bisect
import math
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]
MOST_SELECTIONS = 1000
LOOKBACK = 300.0  # Prometheus: query.lookback-delta


def labels(name: str, values: Mapping[str, str]) -> Labels:
    return tuple(sorted({"__name__": name, **{k: v for k, v in values.items() if v != ""}}.items()))


@dataclass(frozen=True, slots=True)
class Matcher:
    name: str
    operator: Literal["=", "!=", "=~", "!~"]
    value: str

    def accepts(self, found: Mapping[str, str]) -> bool:
        """A label that is not there counts as empty; regular expressions match the whole value."""
        value = found.get(self.name, "")
        match self.operator:
            case "=":
                return value == self.value
            case "!=":
                return value != self.value
            case "=~":
                return re.fullmatch(self.value, value) is not None
            case "!~":
                return re.fullmatch(self.value, value) is None


@dataclass
class Series:
    labels: Labels
    times: list[float] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)  # None: stale

    def add(self, at: float, value: float | None) -> None:
        if self.times and at <= self.times[-1]:
            return
        self.times.append(at)
        self.values.append(value)

    def at(self, moment: float) -> tuple[float, float] | None:
        """The newest sample not older than the lookback; None when there is none or the series had ended."""
        index = bisect.bisect_right(self.times, moment) - 1
        if index < 0 or self.times[index] <= moment - LOOKBACK:
            return None
        value = self.values[index]
        return None if value is None else (self.times[index], value)

    def between(self, start: float, end: float) -> list[tuple[float, float]]:
        """Left-open, right-closed, without stale markers."""
        low, high = bisect.bisect_right(self.times, start), bisect.bisect_right(self.times, end)
        return [(t, v) for t, v in zip(self.times[low:high], self.values[low:high], strict=True) if v is not None]


class SeriesStore:
    def __init__(self, *, keep_seconds: float = 7200.0) -> None:
        self.keep = keep_seconds
        self._series: dict[Labels, Series] = {}
        self._by_name: dict[str, dict[Labels, Series]] = {}
        self._live: set[Labels] = set()
        self._selected: dict[tuple[Matcher, ...], list[Series]] = {}  # until a series comes or goes
        self._lock = threading.Lock()

    def scrape(self, at: float, samples: Iterable[tuple[Labels, float]]) -> None:
        """One round of all targets: what was there last time and is not now becomes stale."""
        with self._lock:
            seen: set[Labels] = set()
            for key, value in samples:
                if math.isnan(value):
                    continue
                seen.add(key)
                series = self._series.get(key)
                if series is None:
                    series = self._series[key] = Series(key)
                    self._selected.clear()
                    self._by_name.setdefault(dict(key)["__name__"], {})[key] = series
                series.add(at, value)
            for gone in self._live - seen:
                self._series[gone].add(at, None)
            self._live = seen
            self._prune(at - self.keep)

    def _prune(self, before: float) -> None:
        for key, series in list(self._series.items()):
            cut = bisect.bisect_left(series.times, before)
            if cut > 60:  # in batches, not a sample at a time
                del series.times[:cut], series.values[:cut]
            if not series.times or series.times[-1] < before:
                del self._series[key]
                self._selected.clear()
                del self._by_name[dict(key)["__name__"]][key]

    def select(self, matchers: Sequence[Matcher]) -> list[Series]:
        """A range query asks for the same ones at each of its steps."""
        wanted = tuple(matchers)
        with self._lock:
            if (known := self._selected.get(wanted)) is not None:
                return known
            exact = next((m.value for m in matchers if m.name == "__name__" and m.operator == "="), None)
            pool = self._by_name.get(exact, {}) if exact is not None else self._series
            found = [s for key, s in pool.items() for values in [dict(key)] if all(m.accepts(values) for m in matchers)]
            if len(self._selected) < MOST_SELECTIONS:
                self._selected[wanted] = found
            return found

    def label_values(self, name: str) -> list[str]:
        with self._lock:
            return sorted({v for key in self._series for k, v in key if k == name})

    def label_names(self) -> list[str]:
        with self._lock:
            return sorted({k for key in self._series for k, _ in key})

    def names(self) -> list[str]:
        return self.label_values("__name__")
