"""A control plane with hollow nodes that stands until it is interrupted: `make cluster-server SCENARIO=name`, or
`python -m tests.cluster.standing [KUBECONFIG] [SCENARIO]`. The admin's kubeconfig is written to the path given. A scenario's
objects are made and its history is played, up to the point where its fault shows; its last hand is nobody's here."""

import shutil
import signal
import sys
import threading
from pathlib import Path

from lab.scenarios import Scenario, load, names
from tests.cluster.admin import Admin
from tests.cluster.nodes import Nodes
from tests.cluster.server import ControlPlane
from tests.cluster.stage import NotHere, Stage
from tests.cluster.under_test import HOLLOW_QUIET
from tests.servers import ROOT


def main(arguments: list[str]) -> int:
    program = ROOT / ".cache" / "bin" / "controlplane"
    written = Path(arguments[0] if arguments else ROOT / ".cache" / "cluster.kubeconfig").absolute()
    name = arguments[1] if len(arguments) > 1 else ""
    if name and name not in names():
        print(f"no scenario {name}; there are {', '.join(sorted(names()))}", file=sys.stderr)
        return 2
    scenario = load(name) if name else None
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was begun is ended
    try:
        with ControlPlane(str(program)) as plane, Nodes(plane) as nodes:
            if scenario is not None:
                print(f"# {name} is played: some minutes, in the cluster's own time", flush=True)
                nodes.play(scenario)
                _shown(scenario, Admin(plane.kubeconfig))
            written.parent.mkdir(exist_ok=True)
            written.touch(mode=0o600)
            shutil.copyfile(plane.kubeconfig, written)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: ended.set())
            print(f"export KUBECONFIG={written}\n# until interrupted; logs and audit.log lie in {plane.folder}", flush=True)
            ended.wait()
    except KeyboardInterrupt:
        return 130
    except NotHere as exc:
        print(f"{name} cannot be played here: {exc}", file=sys.stderr)
        return 1
    written.unlink(missing_ok=True)
    return 0


def _shown(scenario: Scenario, admin: Admin) -> None:
    """Its objects, as somebody's cluster has them; they go with the control plane. Raises NotHere."""
    stage = Stage(admin, scenario, quiet=HOLLOW_QUIET)
    stage.__enter__()  # never left: whoever looks at the cluster wants them there
    stage.play()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
