"""Which areas of checks a symptom that a question names points to. A tie-break among causes that fit equally, never more.

What people see is where it hurts, which is seldom where it began: a restart may come from a scaled-down database.
"""

from collections.abc import Sequence
from functools import cache

from agent.checks import registered
from agent.domain.question import Symptom

FITS = 0.05  # less than what one more explained finding counts
_AREAS: dict[Symptom, tuple[str, ...]] = {
    "crash": ("containers", "config", "probes", "applications", "errors", "jobs", "gpus"),
    "unready": ("probes", "services", "config", "rollouts", "exposure"),
    "pending": ("scheduling", "capacity", "storage", "quotas", "queueing", "accelerators", "claims", "classes", "nodes",
                "webhooks"),
    "image": ("images",),
    "unreachable": ("services", "network", "policies", "ingress", "routes", "gateways", "dns", "resolving", "exposure", "outside",
                    "errors", "certificates", "degradation"),
    "slow": ("capacity", "saturation", "overload", "loaded", "degradation", "exhaustion", "autoscaling"),
    "memory": ("containers", "capacity", "gpus", "exhaustion"),
    "storage": ("storage", "exhaustion", "classes"),
    "scaling": ("autoscaling", "keda", "quotas", "rollouts"),
    "rollout": ("rollouts", "images", "probes", "quotas", "webhooks"),
    "deletion": ("deletion", "apis"),
    "rights": ("rights", "identity"),
    "job": ("jobs",),
    "config": ("config", "secretsync"),
}  # fmt: skip


@cache
def areas_of(cause: str) -> frozenset[str]:
    """The files of checks that report the cause."""
    return frozenset(one.look.__module__.rpartition(".")[2] for one in registered() if one.cause == cause)


def suits(symptoms: Sequence[Symptom], cause: str) -> float:
    return FITS if any(areas_of(cause) & set(_AREAS[one]) for one in symptoms) else 0.0
