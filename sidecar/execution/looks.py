"""What one submission sees of the cluster: each thing is looked at once, whoever asks for it.

Facts, effects, previews and the card are of one and the same look, so they cannot contradict each other. Whoever decides
later (the lease, each step) looks anew; only judging a plan may take looks of the last seconds along. Knows no plan.
"""

import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from sidecar.errors import ClusterUnavailable
from sidecar.execution.recent import Question, Recent
from sidecar.ports import ApiAnswer, ApiCall, Cluster, Credential
from sidecar.ports.cluster import ApiStream

AT_ONCE = 8
# One for the whole process: threads, and the connections that they keep alive, outlast a submission.
_pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="look")


@dataclass(slots=True)
class Looks:
    """Implements sidecar.ports.Cluster: the sidecar's own GETs are answered from the first look at a path, everything else
    goes straight through. `waited`: seconds in which at least one answer of the API server was still to come.

    `recent`: where looks are kept for others; with `reuse` they are also taken from there, and `reused` says that one was.
    """

    cluster: Cluster
    recent: Recent | None = None
    reuse: bool = False
    reused: bool = False
    waited: float = 0.0
    _seen: dict[Question, Future[ApiAnswer]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _under_way: int = 0
    _since: float = 0.0

    @property
    def name(self) -> str:
        return self.cluster.name

    def send(self, call: ApiCall, credential: Credential | None = None) -> ApiAnswer:
        if call.method != "GET" or credential is not None:
            return self._sent(call, credential)
        question = (call.path, call.query)
        with self._lock:
            look = self._seen.get(question)
            mine = look is None
            if look is None:
                look = self._seen[question] = Future()
        if mine:
            try:
                look.set_result(self._looked(call, question))
            except BaseException as exc:  # noqa: BLE001  whoever waits for this look gets it as well
                look.set_exception(exc)
        return look.result()

    def _looked(self, call: ApiCall, question: Question) -> ApiAnswer:
        if self.recent is None:
            return self._sent(call, None)
        known = self.recent.of(question) if self.reuse else None
        if known is not None:
            self.reused = True
            return known
        asked = self.recent.asking()
        answer = self._sent(call, None)
        self.recent.keep(question, answer, asked)
        return answer

    def each(self, calls: Iterable[ApiCall]) -> list[ApiAnswer | ClusterUnavailable]:
        """Several requests at once, none of them remembered."""
        return list(_pool.map(self._tried, calls))

    def stream(self, call: ApiCall, *, silence: float) -> ApiStream:
        return self.cluster.stream(call, silence=silence)

    def _tried(self, call: ApiCall) -> ApiAnswer | ClusterUnavailable:
        try:
            return self._sent(call, None)
        except ClusterUnavailable as exc:
            return exc

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
