"""Sends one request of a step with the lease's own credential, as long as the lease holds, and says what the answer means."""

from sidecar.credentials import Refused, message_of
from sidecar.errors import ClusterUnavailable
from sidecar.execution.pointer import value_at
from sidecar.gate.desk import Desk
from sidecar.gate.stop import why_over
from sidecar.gate.task import No, Task
from sidecar.ports import ApiAnswer, ApiCall, Credential

FIRST_REFUSALS = 10  # a right just minted may be refused for some milliseconds (2 in 420, recorded)
BUDGET_TRIES = 20
_UNDECIDED = (408, 502, 503, 504)  # of whoever stands between, too: the write may still be under way


def send_one(call: ApiCall, task: Task, *, desk: Desk) -> ApiAnswer | No:
    """The answer to a write that was done, or why it was not; waits out a right that is not there yet, a throttled server
    and a disruption budget. Raises ClusterUnavailable where it may have been done, or may be done yet."""
    answer = _answered(call, task, desk=desk)
    if isinstance(answer, No):
        return answer
    # etcd gives up waiting before the write does; the API server says so with a 500.
    if answer.status in _UNDECIDED or (answer.status == 500 and "timed out" in message_of(answer)):
        raise ClusterUnavailable(f"the API server says {answer.status}: {message_of(answer)}")
    if answer.status == 409 and call.path.endswith("/eviction") and _still_there(call, desk=desk):
        return No(status="refused", reason="conflict", message=message_of(answer))
    return _judged(answer, call) or answer


def _answered(call: ApiCall, task: Task, *, desk: Desk) -> ApiAnswer | No:
    credential = _credential(task, desk=desk)
    if isinstance(credential, No):
        return credential
    eviction = call.path.endswith("/eviction")
    refusals, throttled, stale = 0, 0, 0
    while True:
        over = why_over(task.held.lease, taking_back=task.direction == "undo", desk=desk)
        if over:
            return No(status="refused", reason="lease-over", message=over)
        try:
            answer = desk.cluster.send(call, credential)
        finally:
            desk.recent.forget()
        if answer.status == 401 and not stale:  # the token is older than the API server's clock allows
            stale += 1
            desk.issuer.forget(task.held.lease.id)
            credential = _credential(task, desk=desk)
            if isinstance(credential, No):
                return credential
            continue
        if answer.status == 403 and refusals < FIRST_REFUSALS and "exceeded quota" not in message_of(answer):
            refusals += 1
            desk.clock.sleep(0.02 * refusals)
        elif answer.status == 429 and throttled < BUDGET_TRIES:
            throttled += 1
            desk.clock.sleep(0.25 if eviction else 0.1)
        else:
            return answer


def _credential(task: Task, *, desk: Desk) -> Credential | No:
    minted = desk.issuer.credential(task.held.lease.id)
    if isinstance(minted, Refused):
        over = why_over(task.held.lease, taking_back=task.direction == "undo", desk=desk)  # its account goes when it ends
        if over:
            return No(status="refused", reason="lease-over", message=over)
        raise ClusterUnavailable(f"no token for the lease: the API server says {minted.status}: {minted.detail}")
    return minted.credential


def _judged(answer: ApiAnswer, call: ApiCall) -> No | None:
    """None: done. A conflict is looked at again; everything else is an end."""
    status, text = answer.status, message_of(answer)
    eviction = call.path.endswith("/eviction")
    if 200 <= status < 300 or (eviction and status == 404):
        return None
    if eviction and status == 409:
        return None  # another pod of the same name: the one that was approved is gone
    match status:
        case 409 if call.method == "POST":
            return No(status="refused", reason="target-changed", message=text)
        case 404 | 409:
            return No(status="refused", reason="conflict", message=text)
        case 422 if isinstance(call.body, list):
            # A failed test of a JSON Patch and an invalid result look alike: the next look tells them apart.
            return No(status="failed", reason="conflict", message=text)
        case 401 | 403:
            return No(status="refused", reason="forbidden", message=text)
        case 429:
            return No(status="failed", reason="disruption-budget" if eviction else "throttled", message=text)
        case _ if status >= 500:
            return No(status="failed", reason="server-error", message=text)
        case _:
            return No(status="failed", reason="invalid", message=text)


def _still_there(eviction: ApiCall, *, desk: Desk) -> bool:
    """Whether the very pod is there and stays: a 409 says that another one has its name, or that the API server met somebody
    else's write to it. Raises ClusterUnavailable."""
    wanted = value_at(eviction.body, ("deleteOptions", "preconditions", "uid"))
    answer = desk.cluster.send(ApiCall(method="GET", path=eviction.path.removesuffix("/eviction")))
    same = answer.status != 404 and value_at(answer.body, ("metadata", "uid")) in (wanted, None)
    return same and value_at(answer.body, ("metadata", "deletionTimestamp")) is None
