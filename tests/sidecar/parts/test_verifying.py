"""The whole journal is verified by one at a time, and not again for everybody who looks."""

import threading

import pytest

from sidecar.audit import Fault, Head
from sidecar.audit.chain import NEVER
from sidecar.errors import JournalUnavailable
from sidecar.people_api.verifying import KEPT, Verifying


def test_what_came_of_it_is_shown_for_a_while_and_then_looked_at_anew():
    clock, found = [0.0], [None, Fault(2, "is not as it was written")]
    verifying = Verifying(lambda: (Head(7, "", NEVER), found.pop(0)), elapsed=lambda: clock[0])

    first = verifying.result()
    clock[0] += KEPT - 1
    again = verifying.result()
    assert (first.seq, first.fault, again.fault, again.age) == (7, "", "", KEPT - 1)

    clock[0] += 1
    assert verifying.result().fault == "record 2 is not as it was written"


def test_whoever_asks_while_it_is_looked_at_does_not_wait_and_sets_off_nothing():
    begun, go, times = threading.Event(), threading.Event(), []

    def verify():
        times.append(1)
        begun.set()
        go.wait(10)
        return Head(1, "", NEVER), None

    verifying = Verifying(verify)
    one = threading.Thread(target=verifying.result)
    one.start()
    begun.wait(10)
    others = [verifying.result() for _ in range(5)]
    go.set()
    one.join(10)

    assert others == [None] * 5
    assert len(times) == 1
    assert verifying.result().seq == 1


def test_a_journal_that_cannot_be_read_is_tried_again_by_the_next():
    answers = [JournalUnavailable("away"), None]

    def verify():
        found = answers.pop(0)
        if found is not None:
            raise found
        return Head(1, "", NEVER), None

    verifying = Verifying(verify)
    with pytest.raises(JournalUnavailable):
        verifying.result()
    assert verifying.result().seq == 1
