"""What the programs that tests start import, imported once: nothing here may start a thread or read a setting. What nearly none
of them has a use for (a model's client) is left to those that have.
"""

import gc
import pkgutil
from importlib import import_module

import agent.app.build
import agent.bootstrap
import agent.cli
import agent.queue.jobs
import sidecar.app
import sidecar.cli

for package in (agent.cli, sidecar.cli):
    for command in pkgutil.iter_modules(package.__path__):
        if command.name != "__main__":  # that one runs
            import_module(f"{package.__name__}.{command.name}")
gc.freeze()  # all of it stays: no process looks for garbage among it, nor copies it for that
