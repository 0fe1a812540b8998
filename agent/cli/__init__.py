"""The command line. It alone meets the laboratory (demo, eval)."""

from agent.cli.program import main

__all__ = ["main"]
