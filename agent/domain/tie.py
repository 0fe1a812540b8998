"""How two objects of a diagnosis hang together, for whoever draws it."""

from dataclasses import dataclass

from agent.domain.objects import Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """`source` depends on `target` by `relation`, one of agent.topology's ("routes-to", "mounts", ...)."""

    source: Ref
    target: Ref
    relation: str
