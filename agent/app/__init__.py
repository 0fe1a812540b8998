"""HTTP in: alerts, chat and the console. One file for each."""

from agent.app.build import create_app

__all__ = ["create_app"]
