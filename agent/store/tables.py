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
    # What came later has a default that the database knows: it is added to a database of an earlier version.
    Column("cluster", Text, nullable=False, server_default=""),
    Column("priority", Integer, nullable=False, server_default="1"),  # 0 goes first
    Column("place", Text, nullable=False, server_default=""),  # what its alerts are about, and what that lies in
    Column("last_alert_at", String(40), nullable=False, server_default=""),
    Column("told", Integer, nullable=False, server_default="0"),  # how often its events told of alerts that joined
    Column("cause", Text, nullable=False, server_default=""),  # the root cause it has named and works on
    Column("change", Text, nullable=False, server_default=""),  # the change behind that, and what it explains
    Column("deaths", Integer, nullable=False, server_default="0"),  # of processes that worked on it, since it last got on
    Column(
        "died_at", Integer, nullable=False, server_default="-9"
    ),  # the step that it did not get beyond; checkpoints begin at -1
    # Whether it was asked, after its end, what of it is to be silenced; of a version that did not say, it was.
    Column("silence_asked", Integer, nullable=False, default=0, server_default="1"),
)
# At most one unfinished run for an alert group: the database decides, so that two webhooks at once cannot both open one.
Index(
    "one_open_run_per_group_and_cluster",
    runs.c.cluster,
    runs.c.group_key,
    unique=True,
    sqlite_where=text("state <> 'finished' AND group_key <> ''"),
    postgresql_where=text("state <> 'finished' AND group_key <> ''"),
)

Index("open_runs", runs.c.state)
# A few of many, looked for with every alert that is new: said by what they are, since what they are not is in no index.
NOT_FINISHED = runs.c.state.in_(("queued", "running"))
Index("runs_under_way", runs.c.state, runs.c.cluster)
Index("runs_by_end", runs.c.state, runs.c.updated_at)
Index("runs_by_alert", runs.c.cluster, runs.c.last_alert_at)
# A list is read in this order: without it every report would be gone through for the times that stand behind it.
Index("runs_by_time", runs.c.created_at, runs.c.id)

# The book of alerts: everything that was ever notified, with what was done about it.
alerts = Table(
    "alerts",
    metadata,
    Column("cluster", Text, primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("severity", String(40), nullable=False),
    Column("labels", Text, nullable=False),
    Column("group_key", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("starts_at", String(40), nullable=False),
    Column("first_seen", String(40), nullable=False),
    Column("last_seen", String(40), nullable=False),
    Column("times", Integer, nullable=False),
    Column("done", String(16), nullable=False),
    Column("why", Text, nullable=False),
    Column("run", String(80), nullable=False),
)
Index("alerts_by_run", alerts.c.run)
Index("alerts_by_sight", alerts.c.last_seen)

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
    Column("at", String(40), nullable=False, server_default=""),  # when it was put there last
)
Index("blobs_by_time", blobs.c.at)
Index("evidence_by_text", evidence.c.sha256)

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

# What a run may be about to spend: taken of the day's budget before the model is asked, and given back with its answer.
model_reservations = Table(
    "model_reservations",
    metadata,
    Column("run", String(80), primary_key=True),
    Column("tokens", Integer, nullable=False),
    Column("cost", Float, nullable=False),
    Column("until", String(40), nullable=False),  # a process that died gives nothing back
)

model_conclusions = Table(
    "model_conclusions",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("text", Text, nullable=False),
    Column("at", String(40), nullable=False),
)
