"""What is used up, seen in metrics: connections of a pool or a server, file descriptors, space and inodes of a volume, a node's
connection table."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta

from agent.checks.containers import began_words, rollback_params
from agent.checks.registry import check, quote_field
from agent.checks.saturation import WINDOW, began, measured
from agent.domain.finding import Finding
from agent.domain.objects import Ref, Series
from agent.signals.curves import gauge, growth, rate, total
from agent.signals.golden import by_name, unit_of
from agent.topology import Topology
from agent.topology.fields import at, text
from agent.topology.quantities import quantity, spoken
from agent.topology.workloads import rollback
from sidecar.contract import Json

FULL = 0.97
NEARLY, SOON = 0.10, timedelta(hours=4)  # free part of a volume, and how soon it is full at the present pace
OVER = 0.03  # free part of a volume from which it is called full
# (in use, the most there may be, those who wait): what a workload exports of its pools.
_POOLS = (
    ("hikaricp_connections_active", "hikaricp_connections_max", "hikaricp_connections_pending"),
    ("jdbc_connections_active", "jdbc_connections_max", "jdbc_connections_pending"),
    ("go_sql_in_use_connections", "go_sql_max_open_connections", "go_sql_wait_count_total"),
    ("go_sql_stats_connections_in_use", "go_sql_stats_connections_max_open", "go_sql_stats_connections_waited_for"),
    ("db_client_connections_usage", "db_client_connections_max", "db_client_connections_pending_requests"),
    ("db_client_connection_count", "db_client_connection_max", "db_client_connection_pending_requests"),
)
# (in use, the most there may be, of what): what servers and their exporters tell.
_SERVERS = (
    ("pg_stat_activity_count", "pg_settings_max_connections", "connections"),
    ("mysql_global_status_threads_connected", "mysql_global_variables_max_connections", "connections"),
    ("redis_connected_clients", "redis_config_maxclients", "clients"),
    ("process_open_fds", "process_max_fds", "file descriptors"),
    ("process_files_open_files", "process_files_max_files", "file descriptors"),
)


@check("connection-pool-exhausted", weight=0.8)
def pool_is_empty(topology: Topology) -> Iterator[Finding]:
    """All connections of a pod's pool in use, and somebody waits for one."""
    for used, most, waiting in _POOLS:
        limits, waits = _by_pod(topology, most), _by_pod(topology, waiting)
        for (unit, pod), series in sorted(_by_pod(topology, used).items()):
            busy, room = _now(topology, series), _now(topology, limits.get((unit, pod), ()))
            counts = waiting.endswith(("_total", "_waited_for"))
            queue = total([rate(one) if counts else gauge(one) for one in waits.get((unit, pod), ())])
            if room <= 0 or busy < FULL * room or queue.late() <= 0:
                continue
            since = began(total([gauge(one) for one in series]), FULL * room)
            back = rollback(topology, unit, since)
            words = f"{used} {busy:.0f} of {room:.0f}, {waiting} {queue.late():.3g}"
            yield Finding(
                cause="connection-pool-exhausted",
                subject=unit,
                since=since,
                params={"leak": "", **rollback_params(back)},
                quotes=(measured(pod, "connection pool", words, since),),
                statement=f"The connection pool of {unit} is exhausted: all {room:.0f} connections are in use since"
                f" {since:%H:%M:%SZ} and requests wait for one ({waiting}){began_words(back)}.",
            )


@check("server-limit-reached", weight=0.78)
def server_is_full(topology: Topology) -> Iterator[Finding]:
    """A server's own limit of connections, clients or file descriptors."""
    for used, most, what in _SERVERS:
        limits = _by_pod(topology, most)
        for (unit, pod), series in sorted(_by_pod(topology, used).items()):
            busy, room = _now(topology, series), _now(topology, limits.get((unit, pod), ()))
            if room <= 0 or busy < FULL * room:
                continue
            since = began(total([gauge(one) for one in series]), FULL * room)
            yield Finding(
                cause="server-limit-reached",
                subject=unit,
                since=since,
                affects=(pod,),
                params={"what": what, "used": busy, "limit": room},
                quotes=(measured(pod, what, f"{used} {busy:.0f} of {room:.0f}", since),),
                statement=f"{unit} has reached its limit of {what}: {busy:.0f} of {room:.0f} in use since {since:%H:%M:%SZ}, so"
                f" further ones are refused.",
            )


def _by_pod(topology: Topology, name: str) -> dict[tuple[Ref, Ref], list[Series]]:
    found: dict[tuple[Ref, Ref], list[Series]] = defaultdict(list)
    for one in by_name(topology).get(name, ()):
        unit = unit_of(topology, one.labels)
        if unit is not None and one.samples:
            found[unit, Ref("Pod", one.labels.get("namespace", unit.namespace), one.labels.get("pod", ""))].append(one)
    return found


def _now(topology: Topology, series: Sequence[Series]) -> float:
    """The sum of the newest values; 0 when there are none of the last minutes."""
    return sum(gauge(one).late() for one in series if topology.now.timestamp() - one.samples[-1][0] <= WINDOW)


@check("volume-full", weight=0.92)
@check("volume-inodes-full", weight=0.92)
def volume_is_used_up(topology: Topology) -> Iterator[Finding]:
    """kubelet_volume_stats: next to nothing free, or little and soon nothing. Inodes run out while bytes are left."""
    names = by_name(topology)
    for free, whole, cause in (
        ("kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes", "volume-full"),
        ("kubelet_volume_stats_inodes_free", "kubelet_volume_stats_inodes", "volume-inodes-full"),
    ):
        sizes = {_claim(one): one.samples[-1][1] for one in names.get(whole, ()) if one.samples}
        for one in names.get(free, ()):
            claim, curve = _claim(one), gauge(one)
            size = sizes.get(claim) or (_capacity(topology, claim) if cause == "volume-full" else 0.0)
            if claim not in topology.objects or not size or not curve.size:
                continue
            if topology.now.timestamp() - float(curve.times[-1]) > WINDOW:
                continue
            share = curve.late() / size
            used = type(curve)(curve.times, size - curve.values)
            rise = growth(used, size)
            soon = share < NEARLY and rise is not None and rise.seconds < SOON.total_seconds() and rise.fit > 0.8
            if share >= OVER and not soon:
                continue
            yield _volume(topology, cause, claim, share, rise.seconds if soon and rise is not None and share >= OVER else 0.0)


def _claim(one: Series) -> Ref:
    return Ref("PersistentVolumeClaim", one.labels.get("namespace", ""), one.labels.get("persistentvolumeclaim", ""))


def _capacity(topology: Topology, claim: Ref) -> float:
    return quantity(at(topology.objects.get(claim, {}), "status", "capacity", "storage")) or 0.0


def _volume(topology: Topology, cause: str, claim: Ref, share: float, seconds: float) -> Finding:
    users = tuple(sorted(topology.dependents_of(claim)))
    manifest = topology.objects[claim]
    asked = at(manifest, "spec", "resources", "requests", "storage")
    kind = topology.get("StorageClass", "", text(manifest, "spec", "storageClassName"))
    params: dict[str, Json] = {"free": round(share, 3)}
    amount = quantity(asked)
    if cause == "volume-full" and amount and kind is not None and at(kind, "allowVolumeExpansion") is True:
        params |= {"size": str(asked), "suggested_size": spoken(amount * 1.5, asked)}
    what = "free space" if cause == "volume-full" else "free inodes (many small files)"
    when = f"; at the present pace it is full in {seconds / 3600:.1f} h" if seconds else ", so writes fail"
    by = f" (used by {', '.join(map(str, users[:3]))})" if users else ""
    size = f" of {asked}" if asked else ""
    quotes = [measured(claim, "volume stats", f"{share:.1%} {what}")]
    quotes += [quote_field(claim, "spec", f"resources.requests.storage: {asked}")] if asked else []
    return Finding(
        cause=cause,
        subject=claim,
        affects=users,
        params=params,
        quotes=tuple(quotes),
        statement=f"{claim}{size}{by} has {share:.1%} {what} left{when}.",
    )
