"""Certificates that Ingresses and Gateways serve from a Secret: over, for another host, or not a pair with their key.

Seen in the public part of the Secret (where it was read whole), in metrics of ingress-nginx and of the x509 exporter, and in what
ingress controllers write. Certificates of cert-manager are judged by its own objects.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from agent.checks.registry import check, quote_field
from agent.checks.told import sayings
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref
from agent.signals.golden import by_name
from agent.signals.readings import last
from agent.topology import Topology
from agent.topology.fields import items, moment, ref_of, text, time_at

# ingress-nginx, internal/ingress/controller/controller.go.
_UNUSABLE = re.compile(
    r"(?:Unexpected error validating|Error getting) SSL certificate \"(?P<space>[\w.-]+)/(?P<name>[\w.-]+)\""
    r"(?: for server \"(?P<host>[^\"]+)\")?: (?P<why>[^\n]{1,240})",
    re.I,
)
_ENDS = re.compile(
    r"SSL certificate for server \"(?P<host>[^\"]+)\" is about to expire \((?P<until>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", re.I
)


@check("serving-certificate-expired", weight=0.94)
def no_longer_valid(topology: Topology) -> Iterator[Finding]:
    """Nobody is let in with it from that moment on; what ends soon and is renewed in time is no fault."""
    found: dict[Ref, tuple[datetime, Quote]] = {}
    for subject, until, quote in (*_read(topology), *_measured(topology), *_told(topology)):
        if until <= topology.now and not _renews_itself(topology, subject):
            found.setdefault(subject, (until, quote))
    for subject, (until, quote) in sorted(found.items()):
        users = _users(topology, subject)
        by = f", which {', '.join(map(str, users[:3]))} {'serves' if len(users) == 1 else 'serve'}," if users else ""
        yield Finding(
            cause="serving-certificate-expired",
            subject=subject,
            since=until,
            affects=users,
            params={"until": f"{until:%Y-%m-%d %H:%M:%SZ}"},
            quotes=(quote,),
            statement=f"The TLS certificate of {subject}{by} expired at {until:%Y-%m-%d %H:%M:%SZ}, so clients refuse to connect"
            " (x509: certificate has expired).",
        )


def _read(topology: Topology) -> Iterator[tuple[Ref, datetime, Quote]]:
    for secret in topology.of_kind("Secret"):
        until = time_at(secret, "certificate", "notAfter")
        if until is not None and _users(topology, ref_of(secret)):
            words = f"tls.crt holds until {until:%Y-%m-%d %H:%M:%SZ}"
            yield ref_of(secret), until, quote_field(ref_of(secret), "data", words, until)


def _measured(topology: Topology) -> Iterator[tuple[Ref, datetime, Quote]]:
    for name in ("nginx_ingress_controller_ssl_expire_time_seconds", "x509_cert_not_after"):
        for series in by_name(topology).get(name, ()):
            value, labels = last(series), series.labels
            spaces = (labels.get("secret_namespace"), labels.get("exported_namespace"), labels.get("namespace"))
            known = [Ref("Secret", one, labels.get("secret_name", "")) for one in spaces if one]
            secret = next((one for one in known if one in topology.objects), None)
            subject = secret or _by_host(topology, labels.get("host", ""))
            if value is not None and 0 < value < 4e9 and subject is not None:
                until = datetime.fromtimestamp(value, UTC)
                yield subject, until, quote_field(subject, "metrics", f"{name} {value:.0f} ({until:%Y-%m-%d %H:%M:%SZ})", until)


def _told(topology: Topology) -> Iterator[tuple[Ref, datetime, Quote]]:
    for one in sayings(topology, _ENDS, ("about to expire",)):
        subject, until = _by_host(topology, one.match["host"]), moment(one.match["until"].replace(" ", "T"))
        if subject is not None and until is not None:
            yield subject, until, one.quote


@check("serving-certificate-unusable", weight=0.92)
def not_for_this_host(topology: Topology) -> Iterator[Finding]:
    """The controller serves its own certificate instead: the Secret's is for other names, or no pair of certificate and key."""
    found: dict[Ref, tuple[str, Quote]] = {}
    for one in sayings(topology, _UNUSABLE, ("ssl certificate",)):
        secret = Ref("Secret", one.match["space"], one.match["name"])
        if secret in topology.objects or not topology.saw("Secret"):
            found.setdefault(secret, (f"{one.match['host'] or 'its hosts'}: {one.match['why']}", one.quote))
    for ingress in topology.of_kind("Ingress"):
        for entry in items(ingress, "spec", "tls"):
            secret = Ref("Secret", ref_of(ingress).namespace, text(entry, "secretName"))
            names = items(topology.objects.get(secret, {}), "certificate", "names")
            bare = [host for host in items(entry, "hosts") if isinstance(host, str) and names and not _covers(names, host)]
            if bare:
                words = f"{', '.join(bare[:3])}: the certificate is for {', '.join(map(str, names[:4]))}"
                found.setdefault(secret, (words, quote_field(secret, "data", f"tls.crt is for {', '.join(map(str, names[:4]))}")))
    for secret, (words, quote) in sorted(found.items()):
        users = _users(topology, secret)
        yield Finding(
            cause="serving-certificate-unusable",
            subject=secret,
            affects=users,
            params={"said": words},
            quotes=(quote,),
            statement=f"The TLS certificate in {secret} cannot be served for {words.rstrip('. ')}; clients get another one and"
            " refuse it.",
        )


def _covers(names: list[str], host: str) -> bool:
    """RFC 6125: a wildcard stands for one label, the leftmost."""
    return any(name.lower() == host.lower() or (name.startswith("*.") and host.partition(".")[2].lower() == name[2:].lower())
               for name in names if isinstance(name, str))  # fmt: skip


def _by_host(topology: Topology, host: str) -> Ref | None:
    """The Secret (or else the Ingress) that serves this host."""
    for ingress in topology.of_kind("Ingress") if host else ():
        for entry in items(ingress, "spec", "tls"):
            if host in items(entry, "hosts"):
                secret = Ref("Secret", ref_of(ingress).namespace, text(entry, "secretName"))
                return secret if secret in topology.objects else ref_of(ingress)
    return None


def _users(topology: Topology, secret: Ref) -> tuple[Ref, ...]:
    """Ingresses and Gateways that serve it, by the names they name."""
    known: Mapping[Ref, list[Ref]] | None = topology.derived.get("serves")
    if known is None:
        found: dict[Ref, list[Ref]] = {}
        for one in topology.of_kind("Ingress", "Gateway"):
            for named in topology.names.get(ref_of(one), ()):
                if named.to.kind == "Secret":
                    found.setdefault(named.to, []).append(ref_of(one))
        known = topology.derived["serves"] = found
    return tuple(dict.fromkeys(known.get(secret, ())))


def _renews_itself(topology: Topology, subject: Ref) -> bool:
    """Whether a Certificate of cert-manager makes the Secret: then that one says why it was not renewed."""
    return any(edge.target.kind == "Certificate" and edge.target in topology.objects for edge in topology.edges.get(subject, ()))
