"""The agent's pages: rendered here, one small script for what is live, nothing from elsewhere. They show and ask; they approve
nothing, which is the sidecar's and its own pages' alone."""

from agent.app.console.pages import add_console

__all__ = ["add_console"]
