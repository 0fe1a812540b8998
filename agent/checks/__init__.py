"""Checks: one file an area, small pure functions from a topology to findings. A new file here is found by itself."""

import importlib
import pkgutil

from agent.checks.registry import is_wide, registered, run, weight_of

for _module in sorted(one.name for one in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")

__all__ = ["is_wide", "registered", "run", "weight_of"]
