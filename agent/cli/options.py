"""Options that several commands have. Only what `--help` needs."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None, typer.Option("--config", help="TOML file with settings (also LESTRADE_CONFIG).", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else, to standard output.")]
Context = Annotated[str, typer.Option("--context", help="Context of the kubeconfig.", show_default=False)]
FromSnapshot = Annotated[
    Path | None,
    typer.Option("--snapshot", help="Look at this snapshot file (or dump folder) instead of a cluster.", show_default=False),
]
