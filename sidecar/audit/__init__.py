"""The record: a keyed chain of entries, written in the same transaction as what it records. Knows no cluster."""

from sidecar.audit.anchor import Anchor, AnchorConfigMap, AnchorFile, heads_in
from sidecar.audit.chain import Body, Fault, Head, Written, check, seal, written
from sidecar.audit.journal import Journal

__all__ = [
    "Anchor",
    "AnchorConfigMap",
    "AnchorFile",
    "Body",
    "Fault",
    "Head",
    "Journal",
    "Written",
    "check",
    "heads_in",
    "seal",
    "written",
]
