"""A record as a CloudEvent (CNCF CloudEvents 1.0.2, JSON format, structured mode). Pure."""

import re
from collections.abc import Mapping

from sidecar.contract import Json

SOURCE = "/lestrade/sidecar"
TYPE = "dev.lestrade.sidecar"
_UNRESERVED = re.compile(r"[^A-Za-z0-9._~-]")


def cloud_event(record: Mapping[str, Json], *, cluster: str) -> dict[str, Json]:
    """`source` and `id` together are unique: the journal of one cluster, and a record's number and mac within it. The whole
    record, mac included, is `data`, so that a copy can be verified with the key."""
    event: dict[str, Json] = {
        "specversion": "1.0",
        "id": f"{record['seq']}-{str(record['mac'])[:16]}",
        "source": f"{SOURCE}/{_UNRESERVED.sub('-', cluster) or 'unknown'}",
        "type": f"{TYPE}.{_UNRESERVED.sub('-', str(record['kind']))}",
        "time": record["at"],
        "datacontenttype": "application/json",
        "sequence": str(record["seq"]).zfill(16),
        "data": {**record},
    }
    subject = record["lease"] or record["plan"]
    if subject:  # an attribute without a value is left out
        event["subject"] = subject
    return event
