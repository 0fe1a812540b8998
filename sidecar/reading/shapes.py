"""What a credential looks like, by the name it goes by and by its own shape: pure. Knows no Kubernetes.

A masked value becomes a mark: the same value has the same mark for as long as the process lives, so that a change can be
seen and the value cannot be guessed from it (the key of the mark never leaves the process).
"""

import hmac
import re
import secrets
from functools import lru_cache
from itertools import pairwise


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_WORDS = _set("password passwd passphrase passcode pass pwd secret secrets token credential credentials creds dsn jwt sas")
_ENDINGS = ("password", "passwd", "passphrase", "apikey", "secretkey", "accesskey", "privatekey", "authtoken", "accesstoken")
_KEYS = _set("api access secret private signing encryption master account shared auth session license ssh")
# What comes last says that it is something about a credential, and not the credential itself.
_ABOUT = _set(
    "file path dir directory name names url uri endpoint host hostname port enabled enable disabled disable ttl seconds minutes "
    "hours days expiry expires expiration ref type algorithm alg length len size policy version count limit max min mount "
    "audience issuer header field provider store manager rotation interval timeout required format encoding prefix env user "
    "username mode class"
)
_HARMLESS = re.compile(
    r"true|false|yes|no|on|off|null|none|\$[({]?[A-Za-z_][\w.:-]*[)}]?|\{\{.*\}\}|/(run|var|etc|mnt|secrets|tmp|home|opt|vault)/[\w./-]*"
    r"|\*hidden-[0-9a-f]{12}\*",
    re.IGNORECASE,
)
# Before anything is taken apart: has the text anything of a credential in it?
_STEM = re.compile(r"pass|pwd|secret|token|cred|key|dsn|jwt|sas|conn", re.IGNORECASE)
_URL = re.compile(  # a port and what comes after it is no password, though an @ may follow
    r"(?P<lead>[a-zA-Z][\w+.-]{0,30}://[^\s/@:'\"]{0,256}:)"
    r"(?P<value>(?!\d{1,5}(?:[/?#]|\Z))(?:[^\s'\",@]|,(?![a-zA-Z][\w+.-]*://)){1,256}+(?:@[^\s'\",@/:]{0,64}+)*)(?=@)"
)
_KNOWN = re.compile(
    r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{2,}+\.[\w-]*"  # a JSON Web Token
    r"|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{15,}|\bxox[abeprs]-[\w-]{8,}|\bxapp-[\w-]{8,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{30,}|\bsk-[\w-]{16,}|\b[rs]k_(?:live|test)_\w{10,}|\bhvs\.[\w-]{20,}"
    r"|\bnpm_\w{30,}|\bdop_v1_\w{40,}|https://hooks\.slack\.com/services/[\w/]{10,}"
)
_HEADER = re.compile(r"(?P<lead>\b(?:Bearer|Basic)\s+)(?P<value>[\w+/.~-]{8,}=*)", re.IGNORECASE)
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_VALUE = r"""(?P<value>\$[({][^\s)}]*[)}]|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&"']+)"""
_ASSIGNED = re.compile(r"(?P<lead>(?<![\w.-])-{0,2}(?P<name>[A-Za-z_][\w.-]{0,250})\s{0,3}=\s{0,3})" + _VALUE)
_FLAG = re.compile(r"(?P<lead>(?<![\w-])--?(?P<name>[A-Za-z][\w.-]{0,100})\s+)(?!-)" + _VALUE)
_MEMBER = re.compile(
    r"""(?P<lead>\\?["'](?P<name>[\w.-]{1,100})\\?["']\s{0,5}:\s{0,5})(?P<value>\\?"(?:[^"\\]|\\[^"])*\\?"|'[^']*')"""
)
_SETTING = re.compile(
    r"(?P<lead>^[ \t-]*(?P<name>[A-Za-z][\w.-]{0,100})[ \t]*[:=][ \t]*)(?P<value>(?![|>][-+]?[ \t]*$)\S[^\n]*)", re.MULTILINE
)
_BLOCK = re.compile(
    r"(?P<lead>^(?P<indent>[ \t]*)(?:- )?(?P<name>[A-Za-z][\w.-]{0,100})[ \t]*:[ \t]*[|>][-+]?[ \t]*\n)"
    r"(?P<value>(?:(?P=indent)[ \t]+\S.*(?:\n|\Z))+)",
    re.MULTILINE,
)


def names_a_credential(name: str) -> bool:
    """DB_PASSWORD, apiKey, client-secret; not PASSWORD_FILE, secretName, TOKEN_TTL, MAX_TOKENS, PWD (a folder)."""
    return len(name) <= 256 and _known_to_name_one(name)


@lru_cache(maxsize=8192)
def _known_to_name_one(name: str) -> bool:
    if not _STEM.search(name) or name in ("PWD", "OLDPWD"):
        return False
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _ABOUT:
        return False
    if any(word in _WORDS or word.endswith(_ENDINGS) for word in words):
        return True
    return any(
        (second == "key" and first in _KEYS) or (first in ("connection", "conn") and second in ("string", "str"))
        for first, second in pairwise(words)
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

    def text(self, text: str) -> str:
        """Tokens, passwords in URLs and assignments, private keys; the rest stays as it is."""
        if len(text) < 8 or text in self._clean:
            return text
        shown = self._shown(text)
        if shown is text and len(text) <= _SHORT:
            if len(self._clean) >= _MOST_CLEAN:
                self._clean = set()
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
        if ("=" in text or "-" in text or ":" in text) and _STEM.search(text):
            if "=" in text:
                text = _ASSIGNED.sub(self._under_its_name, text)
            if "-" in text and " " in text:
                text = _FLAG.sub(self._under_its_name, text)
            if ":" in text and ('"' in text or "'" in text):
                text = _MEMBER.sub(self._under_its_name, text)
        return text

    def settings(self, text: str) -> str:
        """A file of settings: also `name: value` and `name = value` to the end of a line."""
        if _STEM.search(text):
            text = _BLOCK.sub(self._under_its_name, text)
            text = _SETTING.sub(self._under_its_name, text)
        return self.text(text)

    def arguments(self, words: list[str]) -> list[str]:
        """Of a command: the word after a flag that names a credential is one."""
        shown = []
        flag = ""
        for word in words:
            shown.append(self.named(flag, word) if flag and not word.startswith("-") else self.text(word))
            flag = word.lstrip("-") if word.startswith("-") and "=" not in word and " " not in word else ""
        return shown

    def _all(self, found: "re.Match[str]") -> str:
        return self.mark(found[0])

    def _value(self, found: "re.Match[str]") -> str:
        if _HARMLESS.fullmatch(found["value"]):
            return found[0]
        return found["lead"] + self.mark(found["value"])

    def _under_its_name(self, found: "re.Match[str]") -> str:
        value = found["value"]
        quote = next((mark for mark in ('\\"', '"', "'") if value.startswith(mark) and value.endswith(mark)), "")
        bare = value[len(quote) : -len(quote)] if quote and len(value) >= 2 * len(quote) else value
        if not bare or not names_a_credential(found["name"]) or _HARMLESS.fullmatch(bare):
            return found[0]
        return found["lead"] + quote + self.mark(bare) + quote + ("\n" if value.endswith("\n") else "")
