"""Runs, evidence and events, durable, in one database."""

from agent.store.database import Database
from agent.store.events import SqlEventLog
from agent.store.runs import SqlRunStore

__all__ = ["Database", "SqlEventLog", "SqlRunStore"]
