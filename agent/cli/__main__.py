"""`python -m agent.cli` is `lestrade`."""

from agent.cli.program import main

main()
