"""Opens the sidecar's database as its settings say: to work with it, or to read the record. Knows no cluster and no HTTP."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sidecar.audit import Anchor, AnchorConfigMap, AnchorFile, Journal
from sidecar.errors import JournalUnavailable, SettingsError
from sidecar.gate import binding
from sidecar.gate.database import engine_for, sole_use
from sidecar.gate.ledger import Ledger
from sidecar.ports import ApiCall, Cluster
from sidecar.secret_files import secret_from
from sidecar.settings import Settings

# Counts on while the machine is asleep, or waking it up would look like a clock that was set: CLOCK_MONOTONIC does so on
# macOS, where time.monotonic stands still, and CLOCK_BOOTTIME on Linux.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class WallClock:
    """Implements sidecar.ports.Clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def elapsed(self) -> float:
        return time.clock_gettime(_ELAPSED)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def open_ledger(settings: Settings, make: Callable[..., Ledger] = Ledger, cluster: Cluster | None = None) -> Ledger:
    """The database, the journal and its anchors, ready to be written. `cluster` holds the anchor that is a ConfigMap.

    Raises JournalUnavailable, SettingsError.
    """
    try:
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise SettingsError(f"state folder {settings.state}: {exc.strerror}") from exc
    key = secret_from(settings.audit_key_file, settings.state / "audit.key", what="the journal's key")
    lock = sole_use(settings.url_of_database)
    ledger = _ledger(settings, key, make, cluster)
    if lock is not None:
        ledger.on_close.callback(os.close, lock)
    try:
        ledger.open()
    except BaseException:
        ledger.close()
        raise
    return ledger


def bind_cluster(ledger: Ledger, cluster: Cluster) -> None:
    """One database, one cluster: by the uid of its kube-system namespace, whatever the cluster is called.

    Raises SettingsError for a database of another cluster, ClusterUnavailable, JournalUnavailable.
    """
    answer = cluster.send(ApiCall(method="GET", path="/api/v1/namespaces/kube-system"))
    metadata = answer.body.get("metadata") if isinstance(answer.body, dict) else None
    uid = metadata.get("uid") if isinstance(metadata, dict) else None
    if answer.status != 200 or not isinstance(uid, str) or not uid:
        raise SettingsError(
            f"cluster {cluster.name}: namespace kube-system cannot be read ({answer.status}), so it is not known which cluster "
            "this is; see deploy/rbac/sidecar.yaml"
        )
    with ledger.write() as transaction:
        known = binding.bound_to(transaction.connection)
        if known is None:
            binding.bind(transaction.connection, uid, cluster.name)
            return
    if known[0] != uid:
        raise SettingsError(
            f"the database belongs to cluster {known[1]} (kube-system {known[0]}), this is {cluster.name} ({uid}): give each "
            "cluster a database of its own, or a new state folder"
        )


def open_record(settings: Settings) -> Ledger:
    """The same to be read only: nothing is made. Raises JournalUnavailable, SettingsError."""
    key_file = settings.audit_key_file or settings.state / "audit.key"
    if settings.url_of_database.startswith("sqlite:///") and not Path(settings.url_of_database[10:]).exists():
        raise JournalUnavailable(
            f"there is no database at {settings.url_of_database}: no sidecar has worked here yet, or its state is elsewhere"
            " (LESTRADE_SIDECAR_STATE, LESTRADE_SIDECAR_DATABASE_URL)"
        )
    return _ledger(settings, secret_from(key_file, key_file, what="the journal's key"), Ledger)


def _ledger(settings: Settings, key: str, make: Callable[..., Ledger], cluster: Cluster | None = None) -> Ledger:
    outside: dict[str, Anchor] = {}
    if settings.audit_anchor_file is not None:
        outside[f"the anchor {settings.audit_anchor_file}"] = AnchorFile(settings.audit_anchor_file)
    if settings.audit_anchor_configmap and cluster is not None:
        anchor = AnchorConfigMap(cluster, settings.audit_anchor_configmap)
        outside[anchor.place] = anchor
    return make(
        engine_for(settings.url_of_database),
        journal=Journal(key.encode()),
        anchor=AnchorFile(settings.state / "journal.anchor", waits=False),  # the journal itself is on the disk
        outside=outside,
        clock=WallClock(),
    )
