"""What goes to a model and what comes back, made harmless: secrets masked, text of the cluster fenced and labelled, names hidden
behind aliases where that is asked for. Pure."""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from agent.signals.masking import mask, printable

SHORTEST_NAME = 3
# Names that every cluster has say nothing about this one.
_EVERYWHERE = frozenset({"default", "kube-system", "kube-public", "kube-node-lease", "kube-root-ca.crt", "kubernetes"})
_ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b|\b[\w.+-]+@[\w-]+\.[\w.]+\b")
_ALIAS = re.compile(r"\bname-[0-9a-f]{8}\b")


def harmless(raw: str) -> str:
    """Secrets masked, control and direction characters as visible escapes."""
    return printable(mask(raw))


def fenced(raw: str, source: str, fence: str) -> str:
    """Text of the cluster between marks that it cannot know; `fence` is random for each run."""
    inside = raw.replace(fence, "[masked]")
    label = source.replace(fence, "").replace("\n", " ")
    return f"<<data {fence} from: {label}>>\n{inside}\n<<end {fence}>>"


@dataclass(slots=True)
class Aliases:
    """Names by stable aliases and back. `secret` is of the run: the same name has the same alias within it, and another one
    elsewhere. Off (`is_on` False) it changes nothing."""

    secret: str
    is_on: bool
    names: dict[str, str] = field(default_factory=dict)  # alias -> name
    _pattern: re.Pattern[str] | None = None

    def learn(self, names: Iterable[str]) -> None:
        fresh = {self._alias(one): one for one in names if len(one) >= SHORTEST_NAME and one not in _EVERYWHERE}
        if self.is_on and fresh.keys() - self.names.keys():
            self.names |= fresh
            longest_first = sorted(self.names.values(), key=lambda one: (-len(one), one))
            self._pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, longest_first))})(?![A-Za-z0-9])")

    def hide(self, raw: str) -> str:
        if not self.is_on:
            return raw
        self.learn(_ADDRESS.findall(raw))
        return self._pattern.sub(lambda match: self._alias(match[0]), raw) if self._pattern is not None else raw

    def show(self, told: str) -> str:
        return _ALIAS.sub(lambda match: self.names.get(match[0], match[0]), told) if self.is_on else told

    def document(self) -> str:
        """Every name that has an alias, as JSON text, to learn them again."""
        return orjson.dumps(sorted(self.names.values())).decode()

    def _alias(self, name: str) -> str:
        return f"name-{hmac.new(self.secret.encode(), name.encode(), hashlib.sha256).hexdigest()[:8]}"
