"""A control plane with hollow nodes that stands until it is interrupted: `make cluster-server`, or
`python -m tests.cluster.standing [KUBECONFIG] [SCENARIO]`. The admin's kubeconfig is written to the path given."""

import shutil
import signal
import sys
import threading
from pathlib import Path

from lab.scenarios import load
from tests.cluster.nodes import Nodes
from tests.cluster.server import ControlPlane
from tests.servers import ROOT


def main(arguments: list[str]) -> int:
    program = ROOT / ".cache" / "bin" / "controlplane"
    written = Path(arguments[0] if arguments else ROOT / ".cache" / "cluster.kubeconfig").absolute()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with ControlPlane(str(program)) as plane, Nodes(plane) as nodes:
        if len(arguments) > 1:
            nodes.play(load(arguments[1]))
        written.parent.mkdir(exist_ok=True)
        written.touch(mode=0o600)
        shutil.copyfile(plane.kubeconfig, written)
        print(f"export KUBECONFIG={written}\n# until interrupted; logs and audit.log lie in {plane.folder}", flush=True)
        ended.wait()
    written.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
