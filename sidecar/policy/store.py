"""The highest version of a signed bundle that was ever loaded: a lower one would bring rules back that were given up.

Every function works inside the caller's transaction.
"""

from sqlalchemy import Column, Connection, Integer, MetaData, Table, delete, func, insert, select

metadata = MetaData()
_versions = Table("policy_versions", metadata, Column("version", Integer, primary_key=True, autoincrement=False))


def highest(connection: Connection) -> int | None:
    found = connection.execute(select(func.max(_versions.c.version))).scalar_one()
    return None if found is None else int(found)


def remember(connection: Connection, version: int) -> None:
    connection.execute(delete(_versions).where(_versions.c.version <= version))
    connection.execute(insert(_versions).values(version=version))
