"""Which cluster a database belongs to: the uid of its kube-system namespace, kept at the first start.

A database with the leases of one cluster must never be reaped against another.
"""

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert, select

metadata = MetaData()
_bound = Table(
    "bound_cluster",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("uid", Text, nullable=False),
    Column("name", Text, nullable=False),
)


def bound_to(connection: Connection) -> tuple[str, str] | None:
    """Uid and name of the cluster, None before the first start."""
    row = connection.execute(select(_bound.c.uid, _bound.c.name)).first()
    return (str(row.uid), str(row.name)) if row is not None else None


def bind(connection: Connection, uid: str, name: str) -> None:
    connection.execute(insert(_bound).values(id=1, uid=uid, name=name))
