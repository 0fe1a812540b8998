"""Fixtures that every test may use, and what would be done thousands of times for nothing: the search for garbage among what
stays for the whole run, and the reading of every authority of the internet for each client of a server on this machine.
"""

import gc
import sys

import certifi
import pytest

from tests.forked import Forked

gc.set_threshold(10_000, 20, 20)  # collecting tests makes objects and no garbage
LONG = ("tests/e2e", "tests/sidecar/process", "tests/cluster", "tests/abuse", "tests/policies", "tests/agent/cli")
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long goes first, and the many short ones fill what is left of the time."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_collection_finish() -> None:
    """Thousands of tests and all modules stay until the end: each search that went through them too would take a second."""
    gc.collect()
    gc.freeze()
