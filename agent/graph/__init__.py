"""The stages of a run as a graph whose state outlives the process. The only folder that knows langgraph."""

import os

# Only plain JSON comes back out of a checkpoint; langgraph reads this when it is imported.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")

from agent.graph.investigation import GRAPH_VERSION, NODES, Investigation
from agent.graph.keeping import checkpoints
from agent.state import Bounds, Means, Progress

__all__ = ["GRAPH_VERSION", "NODES", "Bounds", "Investigation", "Means", "Progress", "checkpoints"]
