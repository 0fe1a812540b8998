"""Who a workload is to others: cloud identities that are not federated with its account, tokens that the API server rejects."""

import re
from collections.abc import Iterator

from agent.checks.registry import check, quote_field
from agent.checks.told import sayings
from agent.domain.finding import Finding
from agent.domain.objects import Ref
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import annotations_of, at, labels_of, mapping, text

# Entra ID (AADSTS70021, 700213, 700016, 7000222 ...), AWS STS, Google: a token of ours was shown, and nobody vouches for it.
_FEDERATION = re.compile(
    r"AADSTS(?:70021\d?|700016|7002\d\d|7000\d\d|90061)\b[^\n]{0,200}"
    r"|(?:AccessDenied|InvalidIdentityToken)[^\n]{0,120}AssumeRoleWithWebIdentity"
    r"|AssumeRoleWithWebIdentity[^\n]{0,160}(?:AccessDenied|InvalidIdentityToken|not authorized)"
    r"|iam\.serviceAccounts\.getAccessToken[^\n]{0,120}denied|No matching federated identity record found[^\n]{0,160}",
    re.I,
)
_TOKEN = re.compile(
    r"the server has asked for the client to provide credentials|invalid bearer token"
    r"|service account token (?:has expired|is not valid yet)|token audiences? [^\n]{0,80}(?:is|are) invalid for the target",
    re.I,
)


@check("workload-identity-refused", weight=0.93)
def not_federated(topology: Topology) -> Iterator[Finding]:
    """A cloud does not accept the identity of the workload's ServiceAccount: federation, annotation or label is missing."""
    for one in sayings(topology, _FEDERATION, ("aadsts", "assumerolewithwebidentity", "getaccesstoken", "federated identity")):
        workload = topology.objects.get(one.unit)
        if workload is None:
            continue
        spec = pod_spec_of(workload)
        account = Ref("ServiceAccount", one.unit.namespace, text(spec, "serviceAccountName") or "default")
        lacks = _lacks(topology, one.unit, account) if "AADSTS" in one.words else ""
        words = " ".join(one.match[0].split())[:220].rstrip(". ")
        yield Finding(
            cause="workload-identity-refused",
            subject=one.unit,
            since=one.first,
            quotes=(one.quote, *((quote_field(account, "metadata", lacks),) if lacks else ())),
            params={"service_account": account.name, "lacks": lacks},
            statement=f"{one.unit} is refused by the cloud as {account}: {words}{f'; {lacks}' if lacks else ''}.",
        )


def _lacks(topology: Topology, unit: Ref, account: Ref) -> str:
    """What Entra's workload identity needs in the cluster and is not there: the pods' label, the account's annotation."""
    workload, held = topology.objects.get(unit, {}), topology.objects.get(account)
    labels = labels_of(workload) if unit.kind == "Pod" else mapping(workload, "spec", "template", "metadata", "labels")
    if labels.get("azure.workload.identity/use") != "true":
        return "the pods lack the label azure.workload.identity/use=true"
    if held is not None and not annotations_of(held).get("azure.workload.identity/client-id"):
        return f"{account} lacks the annotation azure.workload.identity/client-id"
    return ""


@check("service-account-token-rejected", weight=0.85)
def token_rejected(topology: Topology) -> Iterator[Finding]:
    """The API server does not accept a workload's token (401): it has expired, is for another audience, or its account was made
    anew; or the pod mounts none."""
    for one in sayings(topology, _TOKEN, ("provide credentials", "bearer token", "account token", "audience")):
        workload = topology.objects.get(one.unit)
        if workload is None:
            continue
        spec = pod_spec_of(workload)
        bare = at(spec, "automountServiceAccountToken") is False
        why = (
            "its pods mount no token (automountServiceAccountToken: false)"
            if bare
            else "the token is old, for another audience, or of"
        )
        why += "" if bare else " a ServiceAccount that was made anew since"
        yield Finding(
            cause="service-account-token-rejected",
            subject=one.unit,
            since=one.first,
            quotes=(one.quote,),
            params={"mounts_token": not bare},
            statement=f"The API server does not accept the credentials of {one.unit} (401 Unauthorized): {why}.",
        )
