"""etcd, as its own log, the API server's words in logs and events, and its metrics show it: full, without a leader, slow."""

import re
from collections.abc import Iterator

from agent.checks.controlplane import SYSTEM
from agent.checks.policies import API_SERVER
from agent.checks.registry import check, earliest, quote_field
from agent.checks.told import Saying, credible, sayings
from agent.domain.finding import Finding
from agent.domain.objects import Ref
from agent.signals.readings import last, named, quantile
from agent.topology import Topology
from agent.topology.fields import name_of, ref_of
from sidecar.contract import Json

_FULL = re.compile(r"database space exceeded|etcdserver: no space|alarm:? ?NOSPACE", re.I)
_LEADERLESS = re.compile(
    r"etcdserver: no leader|lost the TCP streaming connection with peer|etcdserver: leader (?:changed|lost)", re.I
)
_SLOW = re.compile(
    r"slow fdatasync|apply request took too long|etcdserver: request timed out|failed to send out heartbeat on time", re.I
)
FULL = 0.95
SLOW_SECONDS = 0.1  # etcd wants its write-ahead log synced within 10 ms at the 99th percentile; ten times that is a fault


def members(topology: Topology) -> list[Ref]:
    """etcd's own pods, where the cluster runs it as pods."""
    return [ref_of(pod) for pod in topology.pods_in.get(SYSTEM, ()) if name_of(pod).startswith("etcd-")]


def _finding(topology: Topology, cause: str, told: list[Saying], words: str, params: dict[str, Json]) -> Finding:
    own = members(topology)
    subject = min(own) if own else API_SERVER
    units = tuple(one.unit for one in told if one.unit != subject)
    return Finding(
        cause=cause,
        subject=subject,
        affects=tuple(dict.fromkeys((*units, *(one for one in own if one != subject)))),
        since=earliest(*(one.first for one in told)),
        quotes=tuple(one.quote for one in told[:3]) or (quote_field(subject, "metrics", words),),
        params=params,
        statement=f"{words}.",
    )


@check("etcd-full", weight=0.97, wide=True)
def full(topology: Topology) -> Iterator[Finding]:
    """The database has reached its quota: etcd takes no more writes, so nothing in the cluster can be changed."""
    told = credible(sayings(topology, _FULL, ("space exceeded", "no space", "nospace")))
    shares = []
    quotas = [last(one) or 0.0 for one in named(topology.series, "etcd_server_quota_backend_bytes")]
    for one in named(topology.series, "etcd_mvcc_db_total_size_in_bytes"):
        size = last(one)
        if size is not None and max(quotas, default=0.0) > 0:
            shares.append((size / max(quotas), size))
    share, size = max(shares, default=(0.0, 0.0))
    if told or share >= FULL:
        room = f" ({size / 2**30:.1f} GiB, {share:.0%} of its quota)" if share else ""
        params: dict[str, Json] = {"share": round(share, 3)}
        yield _finding(
            topology, "etcd-full", told, f"etcd's database is full{room}, so the API server refuses every write", params
        )


@check("etcd-no-leader", weight=0.97, wide=True)
def no_leader(topology: Topology) -> Iterator[Finding]:
    words = ("no leader", "leader changed", "leader lost", "streaming connection")
    told = credible(sayings(topology, _LEADERLESS, words, at_least=3))
    without = [one.labels.get("instance", "") for one in named(topology.series, "etcd_server_has_leader") if last(one) == 0]
    if told or without:
        who = f" (members without one: {', '.join(without)})" if without else ""
        yield _finding(
            topology, "etcd-no-leader", told, f"etcd has no stable leader{who}: reads and writes of the API server fail", {}
        )


@check("etcd-disk-slow", weight=0.6)
def slow(topology: Topology) -> Iterator[Finding]:
    """Writes to etcd's disk take long: everything that the API server does is slow, and leaders are lost."""
    words = ("slow fdatasync", "took too long", "request timed out", "heartbeat on time")
    told = credible(sayings(topology, _SLOW, words, at_least=5))
    synced = quantile(named(topology.series, "etcd_disk_wal_fsync_duration_seconds_bucket"), 0.99)
    late = synced is not None and synced > SLOW_SECONDS
    if told or late:
        how = f" (99th percentile {synced * 1000:.0f} ms)" if late and synced is not None else ""
        params: dict[str, Json] = {"fsync_seconds": round(synced, 4)} if synced is not None else {}
        yield _finding(topology, "etcd-disk-slow", told, f"etcd's disk is slow{how}, so the API server answers late", params)
