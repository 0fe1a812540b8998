"""A stand-in model for whoever plays a scenario of the laboratory."""

from contextlib import contextmanager
from typing import Any

from agent.cli.demonstration import Demonstration
from agent.settings import Settings
from lab.scenarios import Scenario
from tests.e2e.ledger import Write
from tests.fakes.model_server import ModelServer, Script


@contextmanager
def asked(script: Script, *, stream: bool = True):
    """(server, the demonstration whose agent asks it), taking answers as they come or whole."""
    with ModelServer.running(script) as server:

        class WithModel(Demonstration):
            def settings(self) -> Settings:
                more: dict[str, Any] = {"model": "stand-in", "model_url": server.url, "model_retries": 0, "model_stream": stream}
                return super().settings().model_copy(update=more)

        yield server, WithModel


def expected(scenario: Scenario) -> list[Write]:
    return sorted(Write(write.verb, write.resource, write.namespace, write.name) for write in scenario.truth.writes)
