"""Text of the cluster made visible as it is: what would steer a terminal, a browser or a reader's eye is shown, not obeyed."""

import re

# Bidirectional controls (Trojan Source, CVE-2021-42574), zero-width characters and tags.
_INVISIBLE = re.compile("[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # categories Cc and Cs, without newline and tab


def visible(text: str) -> str:
    """Newline and tab stay; every other control or direction character becomes its code, such as <U+202E>."""
    if text.isascii() and text.isprintable():  # nearly everything that a page prints
        return text
    return _CONTROL.sub(_code, _INVISIBLE.sub(_code, text.replace("\r\n", "\n")))


def one_line(text: str) -> str:
    return " ".join(visible(text).split())


def _code(match: re.Match[str]) -> str:
    return f"<U+{ord(match.group()):04X}>"
