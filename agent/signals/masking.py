"""Making words of the cluster safe to keep and to show: secrets masked, control and bidi characters escaped. Pure."""

import re
import unicodedata

MASK = "[masked]"
# Whoever writes a log line is read here: what repeats has an end, because time must grow with the text and not with its square.
_SECRETS = (
    (re.compile(r"\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,2}"), MASK),  # JSON web tokens
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/._~=-]{6,}"), rf"\1 {MASK}"),
    (re.compile(r"(?i)([a-z][a-z0-9+.-]{1,20}://[^\s:/@\"']{0,100}):[^\s@\"']{1,200}@"), rf"\1:{MASK}@"),
    (
        re.compile(
            r"(?i)((?:password|passwd|passphrase|pwd|secret|token|api[_ .-]?key|access[_ .-]?key|private[_ .-]?key"
            r"|credential"
            r"|auth[_-]?key|client[_-]?secret|sig|signature)[\w-]{0,60}[\"']?\s*(?:[=:]|key=)\s*[\"']?)([^\s\"',;&}]{3,})"
        ),
        rf"\1{MASK}",
    ),
    (
        re.compile(
            r"(?i)((?<!-)--[\w-]{0,40}(?:password|passwd|passphrase|secret|token|api-?key|access-?key|credential)[\w-]{0,40}\s+)"
            r"(?!-)\S{3,}"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b(?:sk|pk|rk|hk|xox[abprs]|gh[pousr]|glpat|AKIA|ASIA)[-_]?[A-Za-z0-9_-]{12,}"), MASK),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.S), MASK),
    (re.compile(r"(?i)\bkey=[A-Za-z0-9_+/=-]{12,}"), f"key={MASK}"),
)
_HINT = re.compile(
    r"(?i)eyJ|bearer|basic|://|pass|pwd|secret|token|key|credential|sig|sk[-_]|pk[-_]|rk_|hk_|xox|gh[pousr]_|glpat|AKIA|ASIA"
)


def mask(text: str) -> str:
    """The text with everything that looks like a secret's value replaced. A false alarm is better than a leak."""
    if _HINT.search(text) is None:
        return text
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def printable(text: str) -> str:
    """Control, format and bidi characters as visible escapes; line feeds and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        one if one in "\n\t" or unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else f"\\u{ord(one):04x}"
        for one in text
    )


def safe(text: str, *, limit: int = 1200) -> str:
    """Masked, escaped and short enough to quote."""
    shown = printable(mask(text.strip()))
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"
