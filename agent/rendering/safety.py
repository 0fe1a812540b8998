"""Text of the cluster made visible as it is: what would steer a terminal, a browser or a reader's eye is shown, not obeyed."""

import re
import unicodedata

# Bidirectional controls (Trojan Source, CVE-2021-42574), zero-width characters and tags.
_INVISIBLE = re.compile("[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]")


def visible(text: str) -> str:
    """Newline and tab stay; every other control or direction character becomes its code, such as <U+202E>."""
    shown = _INVISIBLE.sub(_code, text.replace("\r\n", "\n"))
    return "".join(char if char in "\n\t" or not _is_control(char) else f"<U+{ord(char):04X}>" for char in shown)


def one_line(text: str) -> str:
    return " ".join(visible(text).split())


def _code(match: re.Match[str]) -> str:
    return f"<U+{ord(match.group()):04X}>"


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs")
