"""What a credential looks like, by the name it goes by and by its own shape: pure. Knows no Kubernetes.

A masked value becomes a mark: the same value has the same mark for as long as the process lives, so that a change can be
seen and the value cannot be guessed from it (the key of the mark never leaves the process).
"""

import hmac
import re
import secrets
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from sidecar.reading.commands import credentials_in, may_start_a_tool, starts_a_tool, words_of


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_WORDS = _set("password passwd passphrase passcode pass pwd secret secrets token credential credentials creds dsn jwt sas")
_ENDINGS = (
    *("password", "passwd", "passphrase", "apikey", "secretkey", "accesskey", "privatekey", "authtoken", "accesstoken"),
    *("bearertoken", "clientsecret", "requirepass", "masterauth"),
)
_HEADERS = _set("authorization proxy-authorization cookie set-cookie")
# As the last word of a field's name: the thing itself. A field that ends in "secret" or "token" more often holds a name.
_ITSELF = _set("password passwd passphrase passcode pwd")
_KEYS = _set("api access secret private signing encryption master account shared auth session license ssh")
# What comes last says that it is something about a credential, and not the credential itself.
_ABOUT = _set(
    "file path dir directory name names url uri endpoint host hostname port enabled enable disabled disable ttl seconds minutes "
    "hours days expiry expires expiration ref type algorithm alg length len size policy version count limit max min mount "
    "audience issuer header field provider store manager rotation interval timeout required format encoding prefix env user "
    "username mode class"
)
_HARMLESS = re.compile(
    r"true|false|yes|no|on|off|null|none|enabled|disabled|\d{1,3}|\$[({]?[A-Za-z_][\w.:-]*[)}]?|\{\{.*\}\}|/(run|var|etc|mnt|secrets|tmp|home|opt|vault)/[\w./-]*"
    r"|\*hidden-[0-9a-f]{12}\*",
    re.IGNORECASE,
)
# Before anything is taken apart: has the text anything of a credential in it?
_STEMS = ("pass", "pwd", "secret", "token", "cred", "key", "dsn", "jwt", "sas", "conn", "auth", "cookie")
_STEM = re.compile("|".join(_STEMS), re.IGNORECASE)
# Letters of both kinds and figures, as no name in Kubernetes has them; or a token by which nodes join.
_RANDOM = re.compile(
    r"(?=[^a-z]{0,511}[a-z])(?=[^A-Z]{0,511}[A-Z])(?=[^0-9]{0,511}[0-9])[\w+/.=~!@#%^&*-]{12,512}|[a-z0-9]{6}\.[a-z0-9]{16}"
)
_URL = re.compile(  # a port and what comes after it is no password, though an @ may follow
    r"(?P<lead>[a-zA-Z][\w+.-]{0,30}://[^\s/@:'\"]{0,256}:)"
    r"(?P<value>(?!\d{1,5}(?:[/?#]|\Z))(?:[^\s'\",@]|,(?![a-zA-Z][\w+.-]*://)){1,256}+(?:@[^\s'\",@/:]{0,64}+)*)(?=@)"
)
_KNOWN = re.compile(
    r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{2,}+\.[\w-]*"  # a JSON Web Token
    r"|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{15,}|\bxox[abeprs]-[\w-]{8,}|\bxapp-[\w-]{8,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{30,}|\b[rs]k_(?:live|test)_\w{10,}|\bhvs\.[\w-]{20,}"
    r"|\bsk-(?:(?=[\w-]{0,64}[A-Z])[\w-]{16,}|(?=[a-z]{0,64}\d)[a-z0-9]{16,}(?![\w-]))"  # not a pod of sk-payments
    r"|\bnpm_\w{30,}|\bdop_v1_\w{40,}|https://hooks\.slack\.com/services/[\w/]{10,}"
)
_HEADER = re.compile(  # a plain word is one only where a header begins: "basic authentication failed"
    r"(?i)(?P<lead>(?P<sent>uthorization['\"]?\s{0,3}[:=]\s{0,3}['\"]?)?\b(?:Bearer|Basic)\s+)"
    r"(?(sent)|(?!(?-i:[a-z]{8,20})(?:[\s,;:]|\Z)))(?P<value>[\w+/.~-]{8,}=*)"
)
_NAMES = re.compile(r"[a-z0-9._-]+")  # what images and hosts may be called
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_KEY_ALONE = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[A-Za-z0-9+/=\s\\]{16,16384}-----END [A-Z ]{0,40}PRIVATE KEY-----"
)
_VALUE = r"""(?P<value>\$[({][^\s)}]*[)}]|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&"']+)"""
_ASSIGNED = re.compile(r"(?<![\w.-])-{0,2}(?P<name>[A-Za-z_][\w.-]{0,250})\s{0,3}=\s{0,3}")
_WORTH = re.compile(_VALUE)
_TOLD = re.compile(  # in a sentence
    r"(?P<lead>(?:password|passwd|passphrase|passcode|api[-_ ]?key|(?:secret|access)[-_ ]?key|(?:auth|access)[-_ ]?token)"
    r"['\"]?(?::|\sis)\s{0,3}['\"]?)(?P<value>(?=[^\s'\",;]{0,128}\d)[^\s'\",;]{6,256})",
    re.IGNORECASE,
)
_SENT = re.compile(
    r"(?P<lead>\b(?:Proxy-)?Authorization['\"]?[ \t:=]{1,4}['\"]?(?:(?:Bearer|Basic|Token|ApiKey|Digest|Negotiate)\s{1,3})?)"
    r"(?P<value>(?=[^\s'\",;]{0,200}\d)[^\s'\",;]{8,4096})"
)
_HTTP = re.compile(r"(?P<lead>(?:-H|--header)[ =]?['\"]?(?P<name>[A-Za-z][\w-]{0,100}):\s{0,3})(?P<value>[^'\"\n]{1,2000})")
_ELEMENT = re.compile(r"(?P<lead><(?P<name>[\w.:-]{1,100})>)(?P<value>[^<>\n]{1,1000})(?=</)")
_PROPERTY = re.compile(
    r"(?P<lead><name>\s{0,20}(?P<name>[\w.:-]{1,200})\s{0,20}</name>\s{0,20}<value>)(?P<value>[^<>\n]{1,1000})(?=</)"
)
_FLAG = re.compile(r"(?P<lead>(?<![\w-])--?(?P<name>[A-Za-z][\w.-]{0,100})\s+)(?!-)" + _VALUE)
_MEMBER = re.compile(
    r"""(?P<lead>\\?["'](?P<name>[\w.-]{1,100})\\?["']\s{0,5}:\s{0,5})(?P<value>\\?"(?:[^"\\]|\\[^"])*\\?"|'[^']*')"""
)
_SETTING = re.compile(
    r"(?P<lead>^[ \t-]*(?P<name>[A-Za-z][\w.-]{0,100})[ \t]*[:=][ \t]*)(?P<value>(?![|>][-+]?[ \t]*$)\S[^\n]*)", re.MULTILINE
)
_DIRECTIVE = re.compile(
    r"(?P<lead>^[ \t]{0,40}(?P<name>[A-Za-z][\w.-]{0,100})[ \t]{1,20})(?P<value>[^\s:=;]{1,1000})(?=[ \t]{0,20};?$)", re.MULTILINE
)
_BLOCK = re.compile(
    r"(?P<lead>^(?P<indent>[ \t]*)(?:- )?(?P<name>[A-Za-z][\w.-]{0,100})[ \t]*:[ \t]*[|>][-+]?[ \t]*\n)"
    r"(?P<value>(?:(?P=indent)[ \t]+\S.*(?:\n|\Z))+)",
    re.MULTILINE,
)


def names_a_credential(name: str) -> bool:
    """DB_PASSWORD, apiKey, client-secret, Authorization; not PASSWORD_FILE, secretName, TOKEN_TTL, MAX_TOKENS, PWD (a folder)."""
    return len(name) <= 256 and _known_to_name_one(name)


def holds_a_credential(name: str) -> bool:
    """Of a field of an API object: adminPassword, secretAccessKey; not passwordSecret, token, secret, which may name one."""
    return len(name) <= 256 and _sort_of(name) == "itself"


@lru_cache(maxsize=8192)
def _sort_of(name: str) -> Literal["itself", "perhaps", ""]:
    """What a field of this name holds: a credential, perhaps one, or none."""
    if name in ("auth", "secretKey"):  # a header's words, or how to log in; of an ExternalSecret, a key's name
        return "perhaps"
    if not _known_to_name_one(name):
        return ""
    words = [word.lower() for word in _WORD.findall(name)]
    keyed = len(words) > 1 and words[-1] == "key" and words[-2] in _KEYS
    connects = words[-2:] in (["connection", "string"], ["conn", "str"])
    known = words[-1] in _ITSELF or name.lower() in _HEADERS or "".join(words[-2:]).endswith(_ENDINGS)
    return "itself" if keyed or connects or known else "perhaps"


@lru_cache(maxsize=8192)
def _known_to_name_one(name: str) -> bool:
    if not _STEM.search(name) or name in ("PWD", "OLDPWD"):
        return False
    if name.lower() in _HEADERS:
        return True
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _ABOUT:
        return False
    if any(word in _WORDS or word.endswith(_ENDINGS) for word in words):
        return True
    return any(
        (second == "key" and first in _KEYS) or (first in ("connection", "conn") and second in ("string", "str"))
        for first, second in pairwise(words)
    )


_MARKS = (
    *("://", "earer", "asic", "BEGIN", "H4sI", "UEsDB", "eyJ", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"),
    *("xox", "xapp-", "AKIA", "ASIA", "AIza", "k_live_", "k_test_", "hvs.", "npm_", "dop_v1_"),
)
_SHORT, _MOST_CLEAN = 128, 20_000


class Mask:
    """Takes credentials out of texts. `key`: of the marks; one of its own for each process when none is given."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(32)
        self._clean: set[str] = set()  # short texts without a credential: most texts of a list are the same again

    def mark(self, value: str) -> str:
        """A word without spaces, brackets or colons: it stands in a URL and in a shell as the value did."""
        return f"*hidden-{hmac.digest(self._key, value.encode('utf-8', 'surrogatepass'), 'sha256').hex()[:12]}*"

    def named(self, name: str, value: str) -> str:
        """A value that goes by a name of its own: an environment variable, a key of a map."""
        if names_a_credential(name):
            return value if not value or _HARMLESS.fullmatch(value) else self.mark(value)
        return self.text(value)

    def field(self, name: str, value: str) -> str:
        """A field of an API object, a label or an annotation."""
        if len(name) > 256 or not (sort := _sort_of(name)):
            return value if value in self._clean else self.text(value)
        if sort == "itself":
            return self.named(name, value)
        return self.mark(value) if _RANDOM.fullmatch(value) else self.text(value)

    def text(self, text: str) -> str:
        """Tokens, passwords in URLs and assignments, private keys; the rest stays as it is."""
        if len(text) < 8 or text in self._clean:
            return text
        shown = self._shown(text)
        if shown is text and len(text) <= _SHORT:
            self._clean = self._clean if len(self._clean) < _MOST_CLEAN else set()
            self._clean.add(text)
        return shown

    def _shown(self, text: str) -> str:
        if "://" in text:
            text = _URL.sub(self._value, text)
        if "-----BEGIN" in text:
            text = _KEY_BLOCK.sub(self._all, text)
        if "-" in text or "_" in text or "." in text or "AKIA" in text or "ASIA" in text or "AIza" in text:
            text = _KNOWN.sub(self._all, text)  # none of them is without one of these
        if " " in text and ("earer" in text or "asic" in text or "EARER" in text or "ASIC" in text):
            text = _HEADER.sub(self._value, text)
        if "uthorization" in text:
            text = _SENT.sub(self._value, text)
        if ("=" in text or "-" in text or ":" in text or "<" in text or " is " in text) and _STEM.search(text):
            text = self._said(text)
        if may_start_a_tool(text):
            text = self._line(text)
        return text

    def _said(self, text: str) -> str:
        if "=" in text:
            text = self._assigned(text)
        if "-" in text and " " in text:
            text = _FLAG.sub(self._under_its_name, text)
        if ":" in text and ('"' in text or "'" in text):
            text = _MEMBER.sub(self._under_its_name, text)
        if "-" in text and ":" in text:
            text = _HTTP.sub(self._under_its_name, text)
        if "</" in text:
            text = _PROPERTY.sub(self._under_its_name, _ELEMENT.sub(self._under_its_name, text))
        return _TOLD.sub(self._value, text) if ":" in text or " is " in text else text

    def _assigned(self, text: str) -> str:
        """Whatever has another name may hold one that is a credential's: OPTS="-Ddb.password=..."."""
        shown: list[str] = []
        at = 0
        for found in _ASSIGNED.finditer(text):
            value = _WORTH.match(text, found.end()) if found.start() >= at and names_a_credential(found["name"]) else None
            if value is not None:
                shown += (text[at : found.end()], self._hidden(value["value"]))
                at = value.end()
        return "".join((*shown, text[at:])) if shown else text

    def _line(self, text: str) -> str:
        words = words_of(text)
        for index, word in enumerate(words):
            if word[:1] in ("'", '"') and len(word) > 2 and word[-1] == word[0] and may_start_a_tool(word):
                words[index] = word[0] + self._line(word[1:-1]) + word[-1]
        return "".join(self._without(words))

    def _without(self, words: list[str]) -> list[str]:
        for index, begins in credentials_in(words):
            value = words[index][begins:]
            if value.strip("'\"") and not value.lstrip("'\"").startswith("$"):
                words[index] = words[index][:begins] + self._hidden(value)
        return words

    def may_hide(self, text: str) -> bool:
        """Whether there may be anything in it that is taken out, of an object too. False is certain, and cheap."""
        if not text.isascii() or starts_a_tool(text):  # there are letters that are alike in a search without case
            return True
        named = any(map(text.lower().__contains__, _STEMS)) or any(map(text.__contains__, _MARKS))
        return named or ("sk-" in text and _KNOWN.search(text) is not None)

    def certain(self, text: str) -> str:
        """Only what is a credential by its own shape: nothing else hides behind it, such as an image called xoxb-whatever."""
        known = _KNOWN.sub(lambda found: found[0] if _NAMES.fullmatch(found[0]) else self.mark(found[0]), text)
        return _KEY_ALONE.sub(self._all, known)

    def settings(self, text: str) -> str:
        """A file of settings: also `name: value` and `name = value` to the end of a line."""
        if _STEM.search(text):
            text = _BLOCK.sub(self._under_its_name, text)
            text = _SETTING.sub(self._under_its_name, text)
            text = _DIRECTIVE.sub(self._after_its_name, text)
        return self.text(text)

    def arguments(self, words: list[str]) -> list[str]:
        """Of a command: the word after a flag that names a credential is one."""
        shown, flag = [], ""
        for word in words:
            name, colon, value = word.partition(":")
            if flag and not word.startswith("-"):
                shown.append(self.named(flag, word))
            elif colon and value[:1] == " " and " " not in name and names_a_credential(name):  # a header
                shown.append(f"{name}: {self._hidden(value.strip())}")
            else:
                shown.append(self.text(word))
            flag = word.lstrip("-") if word.startswith("-") and "=" not in word and " " not in word else ""
            flag = flag if names_a_credential(flag) else ""
        return self._without(shown) if any(map(starts_a_tool, shown)) else shown

    def _all(self, found: "re.Match[str]") -> str:
        return self.mark(found[0])

    def _value(self, found: "re.Match[str]") -> str:
        if _HARMLESS.fullmatch(found["value"]):
            return found[0]
        return found["lead"] + self.mark(found["value"])

    def _under_its_name(self, found: "re.Match[str]") -> str:
        value, name = found["value"], found["name"]
        certain = names_a_credential(name) or (name == "auth" and _RANDOM.fullmatch(value.strip("'\"\\")))
        return found["lead"] + self._hidden(value) + "\n" * value.endswith("\n") if certain else found[0]

    def _after_its_name(self, found: "re.Match[str]") -> str:
        """Two words on a line may be the end of a sentence."""
        return found["lead"] + self._hidden(found["value"]) if holds_a_credential(found["name"]) else found[0]

    def _hidden(self, value: str) -> str:
        """The mark of a value, between its own quotes where it has some; what is none stays."""
        quote = next((mark for mark in ('\\"', '"', "'") if value.startswith(mark) and value.endswith(mark)), "")
        bare = value[len(quote) : -len(quote)] if quote and len(value) >= 2 * len(quote) else value
        return value if not bare or _HARMLESS.fullmatch(bare) else quote + self.mark(bare) + quote
