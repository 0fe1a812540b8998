"""What may be read, as data of the platform team: namespaces and kinds, by name or pattern. Pure."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from sidecar.contract import Json

_SAME = ("events", "events.events.k8s.io")  # one kind under two names: who hides the one hides the other


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRules:
    """Patterns with `*`. Kinds as kubectl writes them: `pods`, `deployments.apps`, `pods/log`; a kind covers its
    subresources but for the log, which is a kind of its own. What is hidden is hidden, whatever else is shown."""

    namespaces: tuple[str, ...] = ("*",)
    hidden_namespaces: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("*",)
    hidden_kinds: tuple[str, ...] = ()

    @property
    def everywhere(self) -> bool:
        return "*" in self.namespaces and not self.hidden_namespaces

    def shows_namespace(self, name: str) -> bool:
        return _among(name, self.namespaces) and not _among(name, self.hidden_namespaces)

    def shows_kind(self, resource: str, group: str, *, log: bool = False) -> bool:
        """`resource`: its name in URLs."""
        whole = f"{resource}.{group}" if group else resource
        names = (whole, f"{whole}/log") if log else (whole,)
        wanted = names[-1]
        hidden = (*names, *_SAME) if whole in _SAME else names
        return (_among(wanted, self.kinds) or "*" in self.kinds) and not any(_among(name, self.hidden_kinds) for name in hidden)


NOTHING = ReadingRules(namespaces=(), kinds=())


def rules_from(data: Json) -> ReadingRules:
    """From the section `reading` of the platform's data; where there is no such data, nothing may be read."""
    if not isinstance(data, dict):
        return NOTHING
    return ReadingRules(
        namespaces=_texts(data.get("namespaces")),
        hidden_namespaces=_texts(data.get("hidden_namespaces")),
        kinds=_texts(data.get("kinds")),
        hidden_kinds=_texts(data.get("hidden_kinds")),
    )


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _among(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
