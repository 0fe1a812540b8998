"""What workloads need and get refused: hosts outside the cluster that do not answer, and credentials that are not taken.
Read from the callers' own logs; what stands behind a name inside the cluster is judged by other checks."""

import re
from collections.abc import Iterator
from datetime import timedelta

from agent.checks.applications import told
from agent.checks.callers import log_troubles
from agent.checks.registry import check, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref
from agent.signals.configuration import ConfigEdit, config_edits, started
from agent.signals.connections import ConnectionTrouble, target_of
from agent.signals.logs import is_error, started_lately
from agent.signals.masking import safe
from agent.topology import Topology, pod_spec_of
from agent.topology.calls import service_of
from agent.topology.fields import items, text
from agent.topology.pods import containers
from sidecar.contract import Json

SLACK = timedelta(minutes=1)
ENOUGH = 5  # failed connections from which a host outside is called failing
_ADDRESS = re.compile(r"[\d.:]+")
_KINDS = {
    "refused": "refuses connections",
    "timeout": "does not answer in time",
    "dns": "has no address (its name does not resolve)",
    "tls": "cannot be trusted (TLS)",
    "auth": "refuses the credentials",
    "reset": "breaks connections off",
}
# What databases and clouds say to their clients; of the general words below a target in the line has to show that the writer
# is the one who was refused, not one who refuses somebody.
_REFUSED = re.compile(
    r"password authentication failed for user \"?(?P<pg>[\w.-]+)|access denied for user '?(?P<my>[\w.-]+)|WRONGPASS|NOAUTH"
    r"|login failed for user '(?P<ms>[\w.-]+)|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|invalid_client"
    r"|(?P<general>invalid (?:username or password|credentials?|api[ _-]?key|access key|token|client secret)"
    r"|authentication failed|bad credentials|\b401 unauthorized\b"
    r"|(?:token|credentials?|password|api[ _-]?key) (?:has |have |is |are |was |were )?(?:expired|revoked))",
    re.I,
)
_NEEDLES = (
    "authentication failed", "access denied for user", "wrongpass", "noauth", "invalid", "login failed", "accesskeyid",
    "signaturedoesnotmatch", "bad credentials", "401", "expired", "revoked",
)  # fmt: skip
_SERVERS = re.compile(r"(?:^|/)(?:postgres|mysql|mariadb|redis|valkey|mongo|percona|mssql|rabbitmq|kafka|keycloak|vault)", re.I)


@check("external-dependency-failing", weight=0.5)
def nobody_answers_outside(topology: Topology) -> Iterator[Finding]:
    """A host that is not of this cluster and fails now, by the word of one or more callers."""
    callers: dict[tuple[str, int], list[tuple[Ref, ConnectionTrouble, Quote]]] = {}
    for unit, trouble, quote in log_troubles(topology):
        if unit in topology.objects and trouble.kind != "auth" and is_outside(topology, trouble.host, unit):
            callers.setdefault((trouble.host, trouble.port), []).append((unit, trouble, quote))
    for (host, port), ones in sorted(callers.items()):
        count = sum(trouble.count for _, trouble, _ in ones)
        if count < ENOUGH or not any(started_lately(trouble.last, topology.now) for _, trouble, _ in ones):
            continue
        units = [unit for unit, _, _ in ones]
        firsts = [trouble.first.at for _, trouble, _ in ones if trouble.first.at is not None]
        since = min(firsts, default=None)
        kind = ones[0][1].kind
        named = f"{host}:{port}" if port else host
        when = f" since {since:%H:%M:%SZ}" if since else ""
        yield Finding(
            cause="external-dependency-failing",
            subject=units[0],
            since=since,
            affects=tuple(units[1:]),
            params={"host": host, "port": port, "kind": kind, "callers": [str(unit) for unit in units], "count": count},
            quotes=tuple(quote for _, _, quote in ones[:3]),
            statement=f"{', '.join(map(str, units[:4]))} cannot use {named}, which is outside this cluster: it"
            f" {_KINDS[kind]} ({kind}, {count} times{when}).",
        )


def is_outside(topology: Topology, host: str, unit: Ref) -> bool:
    """A name of the outside world; of a bare address nobody can say where it is."""
    if _ADDRESS.fullmatch(host) or topology.host(host, unit.namespace) in topology.objects:
        return False
    return service_of(host, unit.namespace) is None or (host.count(".") == 1 and not _is_namespace(topology, host))


def _is_namespace(topology: Topology, host: str) -> bool:
    """name.namespace of this cluster looks like name.tld of the world."""
    space = host.rpartition(".")[2]
    return topology.get("Namespace", "", space) is not None or topology.knows_namespace(space)


@check("credentials-refused", weight=0.75)
def credentials_are_not_taken(topology: Topology) -> Iterator[Finding]:
    """A peer refuses user and password, key or token. The Secret they come from, and when it was edited, say whose fault."""
    for one in told(topology, _REFUSED, _NEEDLES, at_least=2):
        target, said = target_of(one.last.text[:1000]), one.match.groupdict()
        if not is_error(one.last.text) or (said["general"] and target is None) or is_server(topology, one.unit):
            continue
        user = said["pg"] or said["my"] or said["ms"] or ""
        edit = _secret_edit(topology, one.unit)
        begun = started(topology, one.unit)
        held = begun is not None and edit is not None and edit.once and begun < edit.at
        blamed = edit is not None and one.first.at is not None and not held and one.first.at >= edit.at - SLACK
        params: dict[str, Json] = {"count": one.count, "user": user, "host": target[0] if target else "", "stale": held}
        if edit is not None:
            params |= {"secret": edit.holder.name, "edited_by": edit.who}
        peer = f" at {target[0]}{f':{target[1]}' if target[1] else ''}" if target else ""
        yield Finding(
            cause="credentials-refused",
            subject=edit.holder if blamed and edit is not None else one.unit,
            since=one.first.at,
            affects=(one.unit,) if blamed else (),
            params=params,
            quotes=(*one.quotes, *((_edit_quote(edit),) if edit is not None and (held or blamed) else ())),
            statement=f"The credentials of {one.unit}{f' (user {user})' if user else ''} are refused{peer}:"
            f" {safe(one.last.text, limit=250).rstrip('.')}{_whose(edit, held=held, blamed=blamed)}.",
        )


def is_server(topology: Topology, unit: Ref) -> bool:
    """A database tells of clients that it refuses in the same words as its clients do."""
    return any(_SERVERS.search(text(one, "image")) for one in containers(pod_spec_of(topology.objects.get(unit, {}))))


def _secret_edit(topology: Topology, unit: Ref) -> ConfigEdit | None:
    return next(
        (one for one in config_edits(topology, unit) if one.holder.kind == "Secret" and _is_credential(topology, unit, one)), None
    )


def _is_credential(topology: Topology, unit: Ref, edit: ConfigEdit) -> bool:
    """Whether containers take it into their environment or mount it; a pull secret is none."""
    spec = pod_spec_of(topology.objects.get(unit, {}))
    names = {text(one, "valueFrom", "secretKeyRef", "name") for box in containers(spec) for one in items(box, "env")}
    names |= {text(one, "secretRef", "name") for box in containers(spec) for one in items(box, "envFrom")}
    names |= {text(one, "secret", "secretName") for one in items(spec, "volumes")}
    return edit.holder.name in names


def _edit_quote(edit: ConfigEdit) -> Quote:
    keys = ", ".join(edit.keys)
    return quote_field(edit.holder, "metadata.managedFields", f"{edit.who} wrote {keys or 'the data'}", edit.at)


def _whose(edit: ConfigEdit | None, *, held: bool, blamed: bool) -> str:
    if edit is not None and held:
        return (
            f"; {edit.holder} was edited by {edit.who} at {edit.at:%H:%M:%SZ} and its containers still hold the value of before"
        )
    if edit is not None and blamed:
        return f"; {edit.holder} was edited by {edit.who} at {edit.at:%H:%M:%SZ}, before it began"
    return ""
