"""The tables. Large text lies once, by its SHA-256, in `blobs`; everything else points at it."""

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text, text

metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("incident", Text, nullable=False),
    Column("group_key", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("outcome", String(32), nullable=False, default=""),
    Column("headline", Text, nullable=False, default=""),
    Column("report", Text, nullable=True),
    Column("owner", String(120), nullable=True),
    Column("claimed_until", String(40), nullable=True),
    Column("created_at", String(40), nullable=False),
    Column("updated_at", String(40), nullable=False),
)
# At most one unfinished run for an alert group: the database decides, so that two webhooks at once cannot both open one.
Index(
    "one_open_run_per_group",
    runs.c.group_key,
    unique=True,
    sqlite_where=text("state <> 'finished' AND group_key <> ''"),
    postgresql_where=text("state <> 'finished' AND group_key <> ''"),
)

events = Table(
    "events",
    metadata,
    Column("run", String(80), ForeignKey("runs.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(40), nullable=False),
    Column("stage", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("data", Text, nullable=False),
)

evidence = Table(
    "evidence",
    metadata,
    Column("run", String(80), ForeignKey("runs.id"), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("place", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("body", Text, nullable=False),
)

blobs = Table(
    "blobs",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("text", Text, nullable=False),
)

# What was asked of a language model and answered: an answer that came in is not paid for twice, and a day has a sum.
model_calls = Table(
    "model_calls",
    metadata,
    Column("run", String(80), primary_key=True),
    Column("request", String(64), primary_key=True),
    Column("reply", Text, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("cost", Float, nullable=False),
    Column("at", String(40), nullable=False, index=True),
)

model_conclusions = Table(
    "model_conclusions",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("text", Text, nullable=False),
    Column("at", String(40), nullable=False),
)
