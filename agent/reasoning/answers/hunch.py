"""Is it the database, is it DNS: whether what was found bears out what the question takes for the cause. By the areas of checks
and by what is blamed. Pure."""

import re
from collections.abc import Sequence

from agent.domain.finding import Diagnosis, RankedCause
from agent.domain.objects import Ref
from agent.reasoning.symptoms import areas_of

# What people suspect, the areas of checks that see it, words of causes, and kinds of objects that are to blame then.
_HUNCHES: tuple[tuple[re.Pattern[str], str, str, tuple[str, ...]], ...] = tuple(
    (re.compile(rf"\b(?:{said})\b"), areas, words, tuple(kinds.split()))
    for said, areas, words, kinds in (
        (r"dns|name resolution|core-?dns", "dns resolving externalnames", "dns|name|lookup", ""),
        (r"data ?bases?|db|sql|postgres\w*|mysql|mongo\w*|redis", "", "database|connection-pool|credentials", ""),
        (r"network\w*|cni|firewall|polic(?:y|ies)|mtu",
         "network policies cilium dataplane fitting outbound podnetwork", "network|traffic|conntrack", "NetworkPolicy"),
        (r"memory|oom|leak|ram|heap", "", "oom|memory|heap", ""),
        (r"cpu|throttl\w*", "", "cpu|overload", ""),
        (r"disk|storage|volumes?|pvc", "storage", "disk|volume|storage|claim|ephemeral", "PersistentVolumeClaim"),
        (r"nodes?|hardware|machine|host|vm", "nodes pools onenode", "node", "Node"),
        (r"deploy(?:ment|s)?|releases?|roll-?out|(?:new )?version|change|upgrade|image", "rollouts images",
         "release|rollout|image", ""),
        (r"config\w*|settings?|environment|secrets?|env|variable", "config secretsync", "config|secret|env", "ConfigMap Secret"),
        (r"certificates?|certs?|tls|ssl", "certificates servingcertificates", "certificate|tls|ca-", ""),
        (r"quotas?|limits?", "quotas", "quota|limit", "ResourceQuota LimitRange"),
        (r"permissions?|rbac|rights?|access", "rights identity", "rbac|access|denied|forbidden|token", ""),
        (r"probes?|health ?checks?|liveness|readiness", "probes", "probe", ""),
        (r"autoscal\w*|hpa|scaling", "autoscaling keda", "hpa|scal", "HorizontalPodAutoscaler"),
        (r"ingress|gateway|load ?balancer|routing", "ingress gateways routes exposure", "ingress|gateway|route|balancer",
         "Ingress Gateway HTTPRoute"),
        (r"etcd|api ?server|control ?plane|scheduler|controllers?", "controlplane etcd apis",
         "etcd|apiserver|scheduler|controller|api-", ""),
        (r"registry|pull", "images", "registry|image", ""),
    )
)  # fmt: skip
_STORES = re.compile(r"(?:^|[-.])(?:db|sql|postgres\w*|pg|mysql|mariadb|mongo\w*|redis|cassandra|database)(?:$|[-.])")


def borne_out(guess: str, found: Diagnosis) -> str:
    """A sentence that answers the guess; "" where nobody can tell what it is about."""
    told = [
        (part, about)
        for part in re.split(r" or (?:the |a |an |our |some )?", guess)
        if (about := next((one for one in _HUNCHES if one[0].search(part)), None)) is not None
    ]
    if not told or found.outcome not in ("fault", "unknown", "healthy"):
        return ""
    if found.outcome == "unknown":
        return f"Whether it is the {guess} cannot be told from what was seen."
    for part, about in told:
        if any(_fits(cause, about) for cause in found.causes):
            return f"Yes, as far as can be seen{f': the {part}' if ' or ' in guess else ''}."
    return f"No sign of the {' or the '.join(part for part, _ in told)} as the cause was seen." if found.causes else ""


def _fits(cause: RankedCause, about: tuple[re.Pattern[str], str, str, tuple[str, ...]]) -> bool:
    pattern, areas, words, kinds = about
    finding = cause.finding
    blamed: Sequence[Ref] = (finding.subject,)
    if pattern.search("database") and any(_STORES.search(ref.name) for ref in blamed):
        return True
    if pattern.search("deploy") and (cause.change is not None and "revision" in cause.change.what):
        return True
    return (
        bool(areas_of(finding.cause) & set(areas.split()))
        or re.search(words, finding.cause) is not None
        or finding.subject.kind in kinds
    )
