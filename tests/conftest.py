"""What holds for every test: what would be done thousands of times for nothing (the search for garbage among what stays for the
whole run, the reading of every authority of the internet for each client of a server on this machine), Ctrl-C, and the second go
of a test whose programs got no processor in time.
"""

import gc
import signal
import sys

import certifi
import pytest

from tests.forked import Forked
from tests.servers import lacking

gc.set_threshold(10_000, 20, 20)  # collecting tests makes objects and no garbage
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # behind a script's `&`: what tests start would be deaf to Ctrl-C too
    signal.signal(signal.SIGINT, signal.default_int_handler)
LONG = ("tests/e2e", "tests/sidecar/process", "tests/cluster", "tests/abuse", "tests/policies", "tests/agent/cli")
# These start programs and talk to them, three at a time on two cores: what fails is tried once more and shown as RERUN, never in
# silence. Should more than a few need it, something is wrong, and the run fails for it.
STARVABLE = LONG + tuple(f"tests/agent/{part}" for part in ("app", "chat", "slack", "store", "telemetry", "toolsets"))
STARVABLE += ("tests/deploy", "tests/lab/api", "tests/sidecar/parts", "tests/sidecar/policy")
SECOND_GO = pytest.mark.flaky(reruns=1, reruns_delay=6)  # seconds: longer than any pause of ours after a failure
MOST_SECOND_GOES = 3
END = "-----END CERTIFICATE-----\n"


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One in place of 140: a client of httpx's is made in 1 ms and not in 50."""
    authority = tmp_path_factory.mktemp("authorities") / "one.pem"
    authority.write_text(certifi.contents().partition(END)[0] + END)
    certifi.where = lambda: str(authority)


@pytest.fixture(autouse=True)
def sidecars_of_demonstrations_are_forked() -> None:
    if module := sys.modules.get("agent.cli.governed"):  # not imported for those that have no use for it
        module.Governed.spawn = Forked


@pytest.fixture(scope="session")
def font() -> None:
    from agent.chat.slack.picture import font_file  # a second's import, which few want

    if font_file() is None:
        lacking("no font DejaVu Sans, which Slack charts are drawn with: install fonts-dejavu-core or run .ci/servers as root")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long goes first, and the many short ones fill what is left of the time."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
    for item in items:
        if item.nodeid.startswith(STARVABLE) and item.get_closest_marker("cluster") is None:  # on a real one each takes minutes
            item.add_marker(SECOND_GO)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")  # a worker of xdist has none
    if reporter is None:
        return
    again = len(reporter.stats.get("rerun", ()))
    if again > MOST_SECOND_GOES and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.section("too many second goes", red=True)
        reporter.line(f"{again} tests passed only when tried again; {MOST_SECOND_GOES} are put down to a busy machine")


def pytest_collection_finish() -> None:
    """Thousands of tests and all modules stay until the end: each search that went through them too would take a second."""
    gc.collect()
    gc.freeze()
