"""Reads the Slack part of the settings. Knows no Slack library; a secret's text never leaves `Access`."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from agent.chat.slack.ports import Access
from agent.errors import InputError
from agent.settings import PREFIX, Settings

CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,20}")
_TEAM = re.compile(r"[TE][A-Z0-9]{2,20}")
_PERSON = re.compile(r"[UW][A-Z0-9]{2,20}")
_ANY = ("slack_bot_token_file", "slack_signing_secret_file", "slack_app_token_file", "slack_channel")


def access_from(settings: Settings) -> Access | None:
    """None when nothing of Slack is set. Raises InputError when something of it is missing or wrong."""
    given = [name for name in _ANY if getattr(settings, name)]
    if not given:
        return None
    if settings.slack_bot_token_file is None:
        raise InputError(f"Slack: {_variable(given[0])} is set, but not {_variable('slack_bot_token_file')}")
    api_url = _url(settings.slack_api_url, "slack_api_url").rstrip("/") + "/"
    return Access(
        bot_token=_token(settings.slack_bot_token_file, "slack_bot_token_file", "xoxb-"),
        signing_secret=_token(settings.slack_signing_secret_file, "slack_signing_secret_file", ""),
        app_token=_token(settings.slack_app_token_file, "slack_app_token_file", "xapp-"),
        teams=_ids(settings.slack_teams, "slack_teams", _TEAM, "T0123ABCD"),
        people=_ids(settings.slack_people, "slack_people", _PERSON, "U0123ABCD"),
        channel=next(iter(_ids(settings.slack_channel, "slack_channel", CHANNEL, "C0123ABCD", most=1)), ""),
        threads_a_minute=settings.slack_threads_a_minute,
        public_url=_url(settings.public_url, "public_url").rstrip("/"),
        approvals_url=_url(settings.approvals_url, "approvals_url").rstrip("/"),
        api_url=api_url,
    )


def _token(path: Path | None, name: str, prefix: str) -> str:
    if path is None:
        return ""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else "it cannot be read"
        raise InputError(f"setting {_variable(name)}: {path}: {reason}") from None
    if len(text) < 8 or not text.isascii() or not text.isprintable() or " " in text:
        raise InputError(f"setting {_variable(name)}: {path} holds no secret of Slack on one line")
    if not text.startswith(prefix):
        raise InputError(f"setting {_variable(name)}: {path} must hold a token that begins with {prefix}")
    return text


def _ids(text: str, name: str, shape: re.Pattern[str], example: str, *, most: int = 1000) -> frozenset[str]:
    found = [one.strip() for one in text.split(",") if one.strip()]
    for one in found:
        if not shape.fullmatch(one):
            raise InputError(f"setting {_variable(name)}: {one[:60]!r} is no id such as {example}")
    if len(found) > most:
        raise InputError(f"setting {_variable(name)}: {len(found)} ids, at most {most} can be named")
    return frozenset(found)


def _url(text: str, name: str) -> str:
    parts = urlsplit(text)
    loopback = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if text and not ((parts.scheme == "https" and parts.hostname) or loopback):
        raise InputError(f"setting {_variable(name)}: an https URL is needed (http on loopback only)")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise InputError(f"setting {_variable(name)}: without user, query and fragment")
    return text


def _variable(name: str) -> str:
    return PREFIX + name.upper()
