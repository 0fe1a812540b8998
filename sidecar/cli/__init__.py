"""The operator's command line. Talks to a running sidecar, or reads its files; only `serve` becomes one."""

from sidecar.cli.program import main

__all__ = ["main"]
