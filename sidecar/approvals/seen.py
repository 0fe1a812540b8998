"""What the identity provider last said of people, in the database. Works inside the caller's transaction."""

import json
from datetime import UTC, datetime

from sqlalchemy import Column, Connection, Float, Table, Text, insert, select, update

from sidecar.approvals.directory import Seen
from sidecar.approvals.store import metadata

_seen = Table(
    "people_seen",
    metadata,
    Column("name", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("called", Text, nullable=False),
    Column("also", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("at", Float, nullable=False),
)


def get(connection: Connection, name: str) -> Seen | None:
    row = connection.execute(select(_seen).where(_seen.c.name == name)).mappings().first()
    if row is None:
        return None
    return Seen(
        name=row["name"],
        subject=row["subject"],
        email=row["email"],
        called=row["called"],
        also=frozenset(json.loads(row["also"])),
        roles=frozenset(json.loads(row["roles"])),
        at=datetime.fromtimestamp(row["at"], UTC),
    )


def put(connection: Connection, seen: Seen) -> None:
    values = {
        "subject": seen.subject,
        "email": seen.email,
        "called": seen.called,
        "also": json.dumps(sorted(seen.also)),
        "roles": json.dumps(sorted(seen.roles)),
        "at": seen.at.timestamp(),
    }
    if connection.execute(update(_seen).where(_seen.c.name == seen.name).values(**values)).rowcount == 0:
        connection.execute(insert(_seen).values(name=seen.name, **values))
