"""Text of others made harmless for Slack, and text of Slack made plain for us. Pure.

Slack takes `&`, `<` and `>` as control characters (mentions, links and dates begin with `<`); they are written as it documents:
https://docs.slack.dev/messaging/formatting-message-text. What is not seen, or reorders what is seen, is written as its code.
"""

import re

from agent.rendering.safety import visible

LONGEST_QUESTION = 2000
_ENTITY = re.compile(r"&(?:amp|lt|gt);")
_CALLED = re.compile(r"^\s*(?:<@[A-Z0-9]+(?:\|[^<>]*)?>[\s,:]*)+")
_CONTROL = re.compile(r"<([^<>]*)>")
_PLAIN = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
_HARMLESS = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def fitted(text: str, limit: int, *, lines: bool = False) -> str:
    """Harmless text of at most `limit` characters as Slack counts them, ended by "…" where something was left out. No entity is
    cut in half."""
    shown = visible(text).replace("\t", "  ")
    shown = shown if lines else " ".join(shown.split())
    whole = escaped(shown)
    if len(whole) <= limit:
        return whole
    taken, room = 0, limit - 1
    for character in shown:
        room -= len(_HARMLESS.get(character, character))
        if room < 0:
            break
        taken += 1
    return escaped(shown[:taken]) + "…"


def notification(text: str, limit: int = 300) -> str:
    """For phones and old clients: nothing in it can be taken for a link or a mention."""
    return fitted(text.replace("://", ": //").replace("@", "(at)"), limit)


def question_of(text: str, *, bot: str) -> str:
    """What a person wrote, without whom it is said to: other mentions, channels and links as words, entities as characters."""

    def plain(found: re.Match[str]) -> str:
        inside, _, label = found[1].partition("|")
        if inside == f"@{bot}":
            return " "
        if inside.startswith("!"):
            return f" {label} " if label else " "
        return label or inside

    words = _CONTROL.sub(plain, _CALLED.sub("", text[: 4 * LONGEST_QUESTION]))
    words = _ENTITY.sub(lambda found: _PLAIN[found[0]], words)
    return " ".join(visible(words).split())[:LONGEST_QUESTION]
