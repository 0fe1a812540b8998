"""What one submission sees of the cluster: each thing is looked at once, whoever asks for it.

Facts, effects, previews and the card are of one and the same look, so they cannot contradict each other. Whoever decides
later (the lease, each step) looks anew; only judging a plan may take looks of the last seconds along. Knows no plan.
"""

import threading
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from sidecar.contract import Matcher
from sidecar.errors import ClusterUnavailable
from sidecar.execution.live import NO_ALERTMANAGER
from sidecar.execution.recent import Question, Recent
from sidecar.ports import Alerts, ApiAnswer, ApiCall, Cluster, Credential, FiringAlert
from sidecar.ports.cluster import ApiStream

# For the whole process: threads, and the connections that they keep alive, outlast a submission. No task waits for another.
_pool = ThreadPoolExecutor(16, thread_name_prefix="look")
_dry_runs = ThreadPoolExecutor(8, thread_name_prefix="dry-run")


@dataclass(slots=True)
class Looks:
    """Implements sidecar.ports.Looking, for one thread: the sidecar's own GETs are answered from the first look at a path,
    everything else goes straight through. `waited`: seconds in which at least one answer of the API server was still to come.

    `recent`: where looks are kept for others; with `reuse` they are also taken from there, and `reused` says that one was.
    `by_now`: the API server's clock by the latest answer to a look or a dry run, and of those that were reused what has passed
    since.
    """

    cluster: Cluster
    alerts: Alerts = NO_ALERTMANAGER
    recent: Recent | None = None
    reuse: bool = False
    reused: bool = False
    by_now: datetime | None = None
    waited: float = 0.0
    _seen: dict[Question, ApiAnswer | ClusterUnavailable] = field(default_factory=dict)
    _firing: dict[tuple[Matcher, ...], tuple[FiringAlert, ...]] = field(default_factory=dict)
    _silent: ClusterUnavailable | None = None  # what Alertmanager does not answer
    _lock: threading.Lock = field(default_factory=threading.Lock)  # of what the requests under way write
    _under_way: int = 0
    _since: float = 0.0

    @property
    def name(self) -> str:
        return self.cluster.name

    @property
    def absent(self) -> str:
        return self.alerts.absent

    def firing(self, matchers: tuple[Matcher, ...]) -> tuple[FiringAlert, ...]:
        if self._silent is not None:
            raise self._silent
        if matchers not in self._firing:
            try:
                self._firing[matchers] = self.alerts.firing(matchers)
            except ClusterUnavailable as exc:  # who keeps one step waiting keeps each of twenty waiting, twice
                self._silent = exc
                raise
        return self._firing[matchers]

    def send(self, call: ApiCall, credential: Credential | None = None) -> ApiAnswer:
        if call.method != "GET" or credential is not None:
            return self._sent(call, credential)
        question = (call.path, call.query)
        found = self._seen.get(question)
        if found is None:
            self._recall([question])
            found = self._seen.get(question) or self._looked(call)
            self._seen[question] = found
        if isinstance(found, ClusterUnavailable):
            raise found
        return found

    def ahead(self, calls: Iterable[ApiCall]) -> None:
        new = {(call.path, call.query): call for call in calls}
        self._recall(new.keys() - self._seen.keys())
        left = [question for question in new if question not in self._seen]
        if len(left) > 1:  # a single one goes out when it is asked for, and no thread has to be woken for it
            self._seen.update(zip(left, _pool.map(self._looked, [new[question] for question in left]), strict=True))

    def _recall(self, questions: Collection[Question]) -> None:
        """What was looked at for somebody else lately, if that may be used."""
        if self.recent is None or not self.reuse or not questions:
            return
        found, by_now = self.recent.of(questions)
        if found:
            self.reused = True
            self._seen.update(found)
            self._later(by_now)

    def _later(self, date: datetime | None) -> None:
        with self._lock:
            if date is not None and (self.by_now is None or date > self.by_now):
                self.by_now = date

    def _looked(self, call: ApiCall) -> ApiAnswer | ClusterUnavailable:
        if self.recent is None:
            return self._tried(call)
        asked = self.recent.asking()
        answer = self._tried(call)
        if isinstance(answer, ApiAnswer):
            self.recent.keep((call.path, call.query), answer, asked)
        return answer

    def each(self, calls: Iterable[ApiCall]) -> list[ApiAnswer | ClusterUnavailable]:
        """Several requests at once, such as dry runs, none of them remembered."""
        return list(_dry_runs.map(self._tried, calls))

    def stream(self, call: ApiCall, *, silence: float) -> ApiStream:
        return self.cluster.stream(call, silence=silence)

    def _tried(self, call: ApiCall) -> ApiAnswer | ClusterUnavailable:
        try:
            answer = self._sent(call, None)
        except ClusterUnavailable as exc:
            return exc
        self._later(answer.date)
        return answer

    def _sent(self, call: ApiCall, credential: Credential | None) -> ApiAnswer:
        with self._lock:
            if self._under_way == 0:
                self._since = time.perf_counter()
            self._under_way += 1
        try:
            return self.cluster.send(call, credential)
        finally:
            with self._lock:
                self._under_way -= 1
                if self._under_way == 0:
                    self.waited += time.perf_counter() - self._since
