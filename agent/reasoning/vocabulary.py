"""Words that people use when they speak of a cluster: kinds and their short names, verbs of rights, symptoms, and ordinary
English that is never taken for a name. Data only.
"""

import re

from agent.domain.question import Symptom


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_KINDS = {
    "Pod": "pod pods po",
    "Deployment": "deployment deployments deploy",
    "StatefulSet": "statefulset statefulsets sts",
    "DaemonSet": "daemonset daemonsets ds",
    "ReplicaSet": "replicaset replicasets rs",
    "Job": "job jobs",
    "CronJob": "cronjob cronjobs cj",
    "Service": "service services svc",
    "Ingress": "ingress ingresses ing",
    "ConfigMap": "configmap configmaps cm",
    "Secret": "secret secrets",
    "ServiceAccount": "serviceaccount serviceaccounts sa",
    "PersistentVolumeClaim": "persistentvolumeclaim pvc pvcs claim",
    "PersistentVolume": "persistentvolume pv pvs",
    "StorageClass": "storageclass storageclasses sc",
    "HorizontalPodAutoscaler": "horizontalpodautoscaler hpa hpas autoscaler",
    "PodDisruptionBudget": "poddisruptionbudget pdb pdbs",
    "NetworkPolicy": "networkpolicy networkpolicies netpol",
    "ResourceQuota": "resourcequota quota quotas",
    "LimitRange": "limitrange limitranges",
    "Node": "node nodes",
    "Namespace": "namespace namespaces ns",
    "Gateway": "gateway",
    "HTTPRoute": "httproute httproutes",
    "Application": "application",
    "Certificate": "certificate certificates",
    "Issuer": "issuer issuers",
    "ClusterIssuer": "clusterissuer",
    "Kustomization": "kustomization kustomizations",
    "HelmRelease": "helmrelease helmreleases",
    "GitRepository": "gitrepository",
    "ScaledObject": "scaledobject scaledobjects",
    "Workspace": "workspace",
    "InferencePool": "inferencepool",
    "RayCluster": "raycluster",
    "RayJob": "rayjob",
    "RayService": "rayservice",
    "ResourceClaim": "resourceclaim",
}
KIND_WORDS = {word: kind for kind, words in _KINDS.items() for word in words.split()}

# A word of a question, and the RBAC verb that it means; behind a colon the resource that goes with it.
VERBS = {
    "delete": "delete", "remove": "delete", "kill": "delete", "read": "get", "get": "get", "see": "get", "view": "get",
    "look": "get", "access": "get", "list": "list", "watch": "watch", "create": "create", "deploy": "create",
    "make": "create", "add": "create", "edit": "patch", "change": "patch", "update": "update", "modify": "patch",
    "patch": "patch", "write": "patch", "restart": "patch", "scale": "patch", "evict": "create:pods/eviction",
    "exec": "create:pods/exec", "attach": "create:pods/attach", "port-forward": "create:pods/portforward",
    "portforward": "create:pods/portforward", "logs": "get:pods/log", "log": "get:pods/log",
    "impersonate": "impersonate", "bind": "bind", "escalate": "escalate", "cordon": "patch:nodes",
    "drain": "create:pods/eviction",
}  # fmt: skip

SYMPTOMS: dict[Symptom, re.Pattern[str]] = {
    "crash": re.compile(
        r"\b(?:crash|restart|die[sd]?\b|dying|exit|kill|back-?off|crashloop|comes? back|keeps? (?:going|falling)|"
        r"stopped|ended)"
    ),
    "unready": re.compile(
        r"\b(?:not (?:become |becoming |get )?ready|never bec[ao]me ready|unready|does(?:n't| not) come up|"
        r"not come up|0/\d|unhealthy|readiness|hang)"
    ),
    "pending": re.compile(
        r"\b(?:pending|not (?:scheduled|placed)|unschedulable|no (?:running )?pods?|does(?:n't| not) start|"
        r"not start|zero running|waiting|absent|gone|missing)"
    ),
    "image": re.compile(r"\b(?:image|pull|registry|errimagepull|imagepullbackoff|tag)\b"),
    "unreachable": re.compile(
        r"\b(?:unreachable|50[0234]|5xx|cannot (?:reach|connect|use)|can't (?:reach|connect|use)|refused|no "
        r"traffic|errors?|fail(?:s|ing)?|dns|resolve|timeouts?|time[sd]? out|gateway)\b"
    ),
    "slow": re.compile(r"\b(?:slow|latency|latencies|lag|takes? (?:too )?long|throttl|p99|cpu)\b"),
    "memory": re.compile(r"\b(?:oom|out of memory|memory|leak|oomkilled)\b"),
    "storage": re.compile(r"\b(?:disk|volume|storage|pvc|mount|full|space|read-only|attach)\b"),
    "scaling": re.compile(r"\b(?:scal(?:e|es|ed|ing)|hpa|autoscal\w*|replicas?|more pods|stays? at)\b"),
    "rollout": re.compile(
        r"\b(?:roll-?out|release|deploy(?:ed|ment|ing)?|stuck|old version|upgrade|revision|not (?:done|arrive))\b"
    ),
    "deletion": re.compile(r"\b(?:terminating|deletion|delete[sd]?|finali[sz]er|still there)\b"),
    "rights": re.compile(r"\b(?:403|forbidden|denied|permissions?|rbac|not allowed|unauthori[sz]ed)\b"),
    "job": re.compile(r"\b(?:job|cron|schedule|nightly|batch|export)\b"),
    "config": re.compile(r"\b(?:config\w*|settings?|environment|variable|secret|key)\b"),
}  # fmt: skip

# Names that objects have, and that in a sentence are more often ordinary words.
COMMON = _words(
    """
    default kubernetes pods pod service services node nodes the and with from this that what why how not are running ready
    pending api web test data monitoring cluster namespace job jobs queue report reports release events event error errors
    cause please does work
    """
)

# Parts of a name that say what a thing is and not which: checkout-service, checkout-deployment and checkout are one name.
KIND_PARTS = _words("service svc pod pods deployment deploy app application job cronjob statefulset daemonset")

# Things that people say for something of theirs, which no object is called by.
GENERIC = _words(
    """
    app apps application website site page pages platform system systems cluster everything anything something nothing all
    customers customer users user people clients client traffic requests request responses response network dns load latency
    alert alerts alarm error errors problem problems issue issues incident outage deploys deployments release releases
    rollout rollouts scheduler kubelet kubernetes k8s api control plane server servers namespace namespaces image images
    memory cpu disk volume storage data database databases db queue cache login checkout-flow frontend backend microservice
    microservices workload workloads container containers performance response-time response-times production prod staging
    test environment env version versions config configuration replicas replica
    """
)

# A kind's word and what stands behind it, which together are a thing of their own and no name.
COMPOUNDS = frozenset(
    (kind, behind)
    for kind, words in {
        "node": "image images pool pools group groups os upgrade upgrades update updates network disk memory version autoscaler",
        "nodes": "image images pool pools group groups",
        "pod": "network security template templates spec logs log identity ip ips cidr disruption",
        "service": "mesh account accounts discovery level endpoint endpoints ip ips",
        "ingress": "controller class nginx rule rules host hosts",
        "gateway": "api class timeout timeouts error errors",
        "certificate": "authority manager chain renewal rotation",
        "secret": "store manager rotation",
        "job": "queue queues controller runs",
        "deployment": "pipeline strategy window",
        "storage": "class classes",
        "namespace": "quota label labels",
    }.items()
    for behind in words.split()
)

ENGLISH = _words(
    """
    a about above across after again against ago all almost alone along already also although always am among an and another
    any anybody anymore anyone anything are aren't around as at away back be because become becomes been before began begin
    behind being below better between both broken but by came can can't cannot cause caused come comes coming could did
    didn't different do does doesn't doing don't done down during each either else end enough error errors even ever every
    everybody everyone everything fail failed failing fails failure few find fine first for found four from full gave get
    gets getting give go goes going gone good got had hang hangs happen happened happening happens has hasn't have haven't
    he healthy help her here high his hour hours how however i if in inside into is isn't it its itself just keep keeps kept
    know large last late later latest least left less let like list little long look looks lot low made make makes many may
    me mean means might mine minute minutes more most much must my near nearly need needs never new next no nobody none nor
    not nothing now nowhere of off often ok okay old on once one ones only or other others our ours out outside over own
    part please point possible present put quite rather ready really reason recent recently refuse refused restart restarted
    restarting restarts right run running runs said same say says second see seem seems seen several shall she should
    shouldn't show shows since slow so some somebody someone something sometimes soon start started starting starts state
    stay stays still stop stopped stops stuck such sudden suddenly sure take takes tell than that the their them then there
    these they thing things think this those though three through throws time times to today together told too took toward
    trouble try tries trying two under unhealthy until unready up upon us use used uses using usually very want wants was
    wasn't way we week well went were what when where whether which while who whole whom whose why will with within without
    won't word work worked working works would wrong yes yesterday yet you your yours pending waiting terminating crash
    crashes crashing crashed crashloop crashloopbackoff oomkilled evicted unknown completed affected impacted dies die died
    kill killed kills delete deleted deletes deletion remove removed drain drained cordon scale scaled scales reach reaches
    unreachable connect connects connecting traffic available unavailable degraded throttled placed scheduled unschedulable
    exists exist missing absent empty create created creating respond responds responding answer answers return returns
    throw serve serves serving load loads react lose lost shut report reports reported finish finished finishes arrive
    arrives morning evening night afternoon noon day days month currently exactly actually probably maybe anyway bound
    unbound mounted attached expired invalid valid denied forbidden allowed permitted access up-to-date read-only read-write
    follow-up follow-ups on-call out-of-memory back-off time-out time-outs re-run re-running rerun re-deploy re-deployed
    roll-out roll-outs rollout rollouts start-up start-ups shut-down set-up end-to-end long-running short-lived well-known
    real-time built-in root-cause e.g i.e etc non-ready not-ready self-healing auto-scaling auto-scaler multi-tenant
    cluster-wide cluster-scoped kube-system-wide high-level low-level user-facing customer-facing cluster-admin port-forward
    mesh internet browser browsers suspended cordoned dying dead orphaned idle flapping sth smth pls plz asap culprit blame
    adds lying piling step-by-step so-called half-open in-cluster out-of-disk out-of-date five hundred
    """
)
