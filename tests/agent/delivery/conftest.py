"""The Slack of loopback, for what is delivered there."""

from tests.agent.slack.conftest import one_slack, world

__all__ = ["one_slack", "world"]
