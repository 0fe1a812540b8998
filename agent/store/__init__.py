"""Runs, alerts, evidence, events and conversations, durable, in one database."""

from agent.store.alert_list import SqlAlertList
from agent.store.alerts import SqlAlertBook
from agent.store.database import Database
from agent.store.deliveries import SqlDeliveryBook
from agent.store.events import SqlEventLog
from agent.store.finding import SqlRunList
from agent.store.model_book import SqlModelBook
from agent.store.retention import Pruned, SqlRetention
from agent.store.runs import SqlRunStore
from agent.store.sessions import SqlSessionStore
from agent.store.silences import AskedSilence, SqlSilenceBook
from agent.store.slack import SqlSlackBook

__all__ = [
    "AskedSilence",
    "Database",
    "Pruned",
    "SqlAlertBook",
    "SqlAlertList",
    "SqlDeliveryBook",
    "SqlEventLog",
    "SqlModelBook",
    "SqlRetention",
    "SqlRunList",
    "SqlRunStore",
    "SqlSessionStore",
    "SqlSilenceBook",
    "SqlSlackBook",
]
