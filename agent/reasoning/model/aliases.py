"""Names of the cluster by stable aliases and back, where names are to stay in the house. Pure.

Two ways a name is known: it stands in what was read where a name is wanted (`learn`), or the text itself shows that it is one: an
address, a host, a word with a hyphen, the value of a key such as `namespace=`. What is left as it is, is VOCABULARY; a name
that is one ordinary word of it (`data`, `order`) is hidden where a name stands, and stays in prose, which nobody could read else.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv6Address

import orjson

from agent.reasoning.model.neutral import ORDINARY, VOCABULARY

SHORTEST_NAME = 2
_FLAT = str.maketrans("._", "--")
MOST_PARTS = 24  # of one name
DIGITS = 12  # of an alias: two names of a cluster have the same one about never
_WORD = r"\w(?:[\w.-]*\w)?"
_PLAIN = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*")
_PIECES = re.compile(
    r"(?P<mail>[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]*\w)"
    r"|(?P<six>(?<![0-9A-Fa-f:])(?=[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:]{2,40}(?:\d{0,2}(?:\.\d{1,3}){3})?(?![\w]))"
    rf"|(?P<escape>\\[nrt])|(?P<token>{_WORD})"
)
_FOUR = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}")
_ALIAS = re.compile(rf"(name-[0-9a-f]{{{DIGITS}}})")
_NO_NAME = re.compile(
    r"v?\d+(?:[._:-]\d+)*[a-zA-Z]{0,2}|\d{4}-\d\d-\d\d.*|0x[0-9a-f]+|(?:ev|look)-\d+", re.I
)  # numbers, versions, times, amounts
_KEBAB = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")
_HOST = re.compile(
    r"(?:[\w-]+\.)+(?:com|org|net|io|dev|local|internal|intern|lan|corp|cloud|app|co|de|uk|eu|fr|at|ch|us|gov|edu|tech|sh|svc|pod|home"
    r"|example|test|invalid|localdomain|arpa|info|biz|ai|site|online|store|shop|zone|systems|services|network)",
    re.I,
)
# Groups of APIs with whatever stands before them, and what everybody fetches from.
_COMMON_HOST = re.compile(
    r"(?:[\w.-]*\.)?(?:kubernetes\.io|k8s\.io|openshift\.io|argoproj\.io|fluxcd\.io|istio\.io|cert-manager\.io|coreos\.com|helm\.sh)"
    r"|(?:prometheus|docker|gcr|quay|ghcr|cncf|opentelemetry)\.io|github\.com|golang\.org|(?:svc\.)?cluster\.local",
    re.I,
)
_IN_CLUSTER = re.compile(r"([\w.-]+?)\.(?:svc|pod)(?:\.cluster\.local)?", re.I)
_AT = re.compile(r"\b([\w.-]{2,64})@([\w.-]{2,253})")
_IN_URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://(?:([\w.-]{1,64})(?::[^\s/@]{0,200})?@)?([\w.-]{1,253})", re.I)
_WITH_PORT = re.compile(r"(?<![\w.-])([a-z][\w.-]{1,252}):\d{2,5}(?![\w.])", re.I)
_FILE = re.compile(
    r"\.(?:go|py|js|ts|java|rb|c|cc|cpp|h|rs|cs|php|kt|scala|sql|ya?ml|json|log|sh|conf|ini|properties|xml|html)$", re.I
)
_KEYS = (
    r"(?:name|namespace|ns|pod|node|nodename|host|hostname|service|svc|server|servername|upstream|cluster|container|instance|job|db"
    r"|database|dbname|user|username|account|tenant|customer|team|project|app|application|component|release|chart|bucket|queue"
    r"|topic|table|schema|repository|repo|registry|image|domain|endpoint|address|addr|peer|broker|group|role|principal|owner|zone"
    r"|region|statefulset|deployment|daemonset|replicaset|configmap|secret|ingress|email|exported_\w+)"
)
_KEYED = re.compile(rf"(?<![A-Za-z])(?:[\w.-]{{0,20}}[._])?{_KEYS}[\"']?\s?[:=]\s?[\"']?([A-Za-z][\w./-]{{1,252}})", re.I)
_QUOTED = re.compile(rf"\b{_KEYS}s?\s[\"'`]([A-Za-z][\w./-]{{1,252}})[\"'`]", re.I)
# Where a name stands: behind a kind, on either side of a slash, as a value of a key or label, in a host or URL.
_KIND = (
    r"(?:pod|deployment|statefulset|daemonset|replicaset|job|cronjob|service|configmap|secret|ingress|node|namespace|container|claim"
    r"|persistentvolumeclaim|persistentvolume|serviceaccount|role|rolebinding|clusterrole|application|release|kustomization"
    r"|helmrelease|horizontalpodautoscaler|endpoints|volume)s?"
)
_BEHIND_KIND = re.compile(rf"\b{_KIND}[ /:]\s?[\"'`]?([A-Za-z][\w./-]{{1,252}})", re.I)
_BESIDE_SLASH = re.compile(r"(?<![\w./:-])([A-Za-z][\w.-]{0,252}/[A-Za-z][\w.-]{0,252})(?![\w/])")
_ASKED = re.compile(r"\blookup\s([\w.-]{2,253})")
# Pairs as Prometheus writes them: every value of a label may be a name, but those of labels that everybody has.
_PAIR = re.compile(r'\b([A-Za-z_]\w*)=~?"([^"\s{}]{2,253})"')
_LABELS = """le quantile code status phase reason condition type mode method verb version resource severity alertname msg message
level err error scope unit cpu device state __name__ operation result protocol severity_text lvl caller logger"""
NEUTRAL_LABELS = frozenset(_LABELS.split())


@dataclass(slots=True)
class Aliases:
    """`secret` is of the run: the same name has the same alias within it, and another one elsewhere. Off (`is_on` False) it
    changes nothing. Upper and lower case, and `.`, `_` or `-` between its parts, are the same name; an alias stands for the
    letters that it was put in place of, so that what comes back is what was there."""

    secret: str
    is_on: bool
    spared: frozenset[str] = frozenset()  # words of our own, beside VOCABULARY
    names: dict[str, str] = field(default_factory=dict)  # alias -> the letters that it stands for
    _known: set[str] = field(default_factory=set)
    _ordinary: set[str] = field(default_factory=set)  # names that are ordinary words too

    def learn(self, names: Iterable[str]) -> None:
        """Names of objects and of what else is called something in them."""
        if not self.is_on:
            return
        for token in (token for name in names for token in re.findall(_WORD, name)):
            self._know(token)
            if token.lower() in ORDINARY and token.lower() not in self.spared:
                self._ordinary.add(token.lower())

    def _know(self, token: str) -> None:
        if len(token) >= SHORTEST_NAME and not self._is_common(token):
            self._known.add(_flat(token))

    def hide(self, raw: str) -> str:
        if not self.is_on:
            return raw
        placed = self._without_ordinary(raw) if self._ordinary else raw
        return "".join(part if part in self.names else self._without_names(part) for part in _ALIAS.split(placed))

    def _without_names(self, raw: str) -> str:
        for token in (token for name in self._shown_in(raw) for token in re.findall(_WORD, name)):
            self._know(token)
        return _PIECES.sub(self._hidden, raw)

    def _without_ordinary(self, raw: str) -> str:
        """Without the names that are ordinary words, where they stand as names."""
        spans: set[tuple[int, int]] = set()
        for pattern in (_BEHIND_KIND, _BESIDE_SLASH, _KEYED, _QUOTED, _ASKED, _WITH_PORT, _IN_URL, _PAIR):
            for match in pattern.finditer(raw):
                start, end = match.span(match.re.groups)
                for word in _PLAIN.finditer(raw, start, end) if start >= 0 else ():
                    if word[0].lower() in self._ordinary:
                        spans.add(word.span())
        for start, end in sorted(spans, reverse=True):
            raw = f"{raw[:start]}{self._given(raw[start:end])}{raw[end:]}"
        return raw

    def show(self, told: str) -> str:
        return _ALIAS.sub(lambda match: self.names.get(match[0], match[0]), told) if self.is_on else told

    def document(self) -> str:
        """Everything that an alias was given to, as JSON text, to know it again (`resume`)."""
        return orjson.dumps([sorted(self.names.values()), sorted(self._known), sorted(self._ordinary)]).decode()

    def resume(self, document: str) -> None:
        given, known, *more = orjson.loads(document)
        self.names |= {self._alias(one): one for one in given}
        self._known |= set(known)
        self._ordinary |= {word for words in more for word in words}

    def _hidden(self, match: re.Match[str]) -> str:
        piece = match[0]
        if match["mail"]:
            return self._given(piece)
        if match["escape"]:
            return piece
        if match["six"] is not None:
            return self._six(piece)
        if _FOUR.fullmatch(piece):
            return piece if piece.startswith("127.") or not piece.strip("0.") else self._given(piece)
        return self._token(piece)

    def _token(self, token: str) -> str:
        """The longest runs of its parts that are names, from the left."""
        if token.lower() in self.spared:
            return token
        parts = re.split(r"([._-])", token)  # words at even places, what stands between them at odd ones
        words, found, at = len(parts) // 2 + 1, list[str](), 0
        while at < words:
            for end in range(min(words, at + MOST_PARTS), at, -1):
                run = "".join(parts[2 * at : 2 * end - 1])
                if _flat(run) in self._known and not self._is_common(run):
                    found.append(self._given(run))
                    break
            else:
                end = at + 1
                found.append(parts[2 * at])
            at = end
            if at < words:
                found.append(parts[2 * at - 1])
        return "".join(found)

    def _six(self, piece: str) -> str:
        for start, end in ((0, len(piece)), (0, len(piece) - 1), (1, len(piece)), (1, len(piece) - 1)):
            if piece[:start].strip(":") or piece[end:].strip(":"):
                continue
            try:
                address = IPv6Address(piece[start:end])
            except AddressValueError:
                continue
            if address.is_loopback or address.is_unspecified:
                return piece
            return piece[:start] + self._given(piece[start:end]) + piece[end:]
        return re.sub(_WORD, lambda match: self._token(match[0]), piece)

    def _shown_in(self, raw: str) -> Iterator[str]:
        """Names that the text itself shows to be some."""
        for pattern in (_IN_URL, _AT):
            for user, host in pattern.findall(raw):
                yield from (user, host)
        yield from (name for name in _WITH_PORT.findall(raw) if not _FILE.search(name))
        yield from (name for pattern in (_KEYED, _QUOTED, _ASKED) for name in pattern.findall(raw))
        yield from (value for label, value in _PAIR.findall(raw) if label not in NEUTRAL_LABELS)
        for token in re.findall(_WORD, raw):
            if inside := _IN_CLUSTER.fullmatch(token):
                yield from inside[1].split(".")
            is_host = _HOST.fullmatch(token) and not _COMMON_HOST.fullmatch(token) and not _FILE.search(token)
            if is_host:
                yield token.partition(".")[0]  # it may be called by that alone elsewhere
            if is_host or _KEBAB.fullmatch(token):
                yield token

    def _is_common(self, word: str) -> bool:
        lower = word.lower()
        if lower in VOCABULARY or lower in self.spared or _NO_NAME.fullmatch(word):
            return True
        return bool(_COMMON_HOST.fullmatch(word))

    def _given(self, surface: str) -> str:
        alias = self._alias(surface)
        self.names[alias] = surface
        return alias

    def _alias(self, surface: str) -> str:
        return f"name-{hmac.new(self.secret.encode(), surface.encode(), hashlib.sha256).hexdigest()[:DIGITS]}"


def _flat(name: str) -> str:
    return name.translate(_FLAT).lower()
