"""What this process has done since it began, counted by the gate, shown by the people's side. Knows no Prometheus."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.contract import Decision, Settlement

NO_VERDICT = ("policy-unavailable", "policy-malformed")  # rules that a judge without a verdict denies by
REVOCATION_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)


@dataclass(slots=True)
class Tallies:
    decisions: Counter[str] = field(default_factory=Counter)
    engine_failures: Counter[str] = field(default_factory=Counter)
    revocations: list[int] = field(default_factory=lambda: [0] * (len(REVOCATION_BOUNDS) + 1))  # not cumulative; the last is +Inf
    revocation_seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def decided(self, decision: Decision) -> None:
        failed = next((reason.rule for reason in decision.reasons if reason.rule in NO_VERDICT), "")
        with self._lock:
            self.decisions[decision.verdict] += 1
            if failed:
                self.engine_failures[failed] += 1

    def revoked(self, settlement: Settlement) -> None:
        """How long the old token still worked. Of a lease whose end is not proven yet, nothing."""
        if settlement.refused_after_ms is None:
            return
        seconds = settlement.refused_after_ms / 1000
        place = next((number for number, bound in enumerate(REVOCATION_BOUNDS) if seconds <= bound), len(REVOCATION_BOUNDS))
        with self._lock:
            self.revocations[place] += 1
            self.revocation_seconds += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus has them: cumulative."""
        with self._lock:
            counts = list(self.revocations)
        bounds = [*(str(bound) for bound in REVOCATION_BOUNDS), "+Inf"]
        return [(bound, float(sum(counts[: number + 1]))) for number, bound in enumerate(bounds)]

    def snapshot(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        with self._lock:
            return dict(self.decisions), dict(self.engine_failures)
