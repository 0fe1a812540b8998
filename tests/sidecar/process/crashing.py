"""The sidecar, dying for a test: `python -m tests.sidecar.process.crashing N` kills itself after its Nth record."""

import os
import signal
import sys

from sidecar.app import serve
from sidecar.audit import Head
from sidecar.gate.ledger import Ledger
from sidecar.settings import load


def dying(after: int) -> type[Ledger]:
    class Dying(Ledger):
        seen = 0

        def committed(self, head: Head) -> None:
            super().committed(head)
            Dying.seen += 1
            if Dying.seen == after:
                os.kill(os.getpid(), signal.SIGKILL)

    return Dying


if __name__ == "__main__":
    serve(load(), dying(int(sys.argv[1])))
