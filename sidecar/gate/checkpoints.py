"""What SQLite wrote down in its log is carried over into the database when nobody waits for a record, and the journal's own
anchor is brought onto the disk.

Left alone, SQLite does that within the commit that makes the log long enough, and whoever waits for a verdict then waits for
the whole of it. Here it is done once it is quiet; where it never is, after so many commits, beside the next ones. A log that
grows all the same is carried over within a commit, as SQLite does (see sidecar.gate.database). Knows no record.
"""

import threading
from typing import Protocol

LOOK_SECONDS = 0.5
MANY = 300  # commits that are not waited for any longer


class Logged(Protocol):
    @property
    def commits(self) -> int:
        """How many there were since the start."""
        ...

    def lengthen(self) -> None:
        """Once, before it is written to much."""
        ...

    def settle(self) -> None:
        """The anchor as it was last written is on the disk, or it is logged that it is not."""
        ...

    def carry_over(self) -> bool:
        """False where it could not be done now."""
        ...


def carry_over_for_ever(ledger: Logged, ended: threading.Event, *, pause: float = LOOK_SECONDS) -> None:
    """Until `ended`."""
    ledger.lengthen()
    carried = seen = 0
    while not ended.wait(pause):
        ledger.settle()
        before, seen = seen, ledger.commits
        due = seen != carried and (seen == before or seen - carried >= MANY)
        if due and ledger.carry_over():
            carried = seen
