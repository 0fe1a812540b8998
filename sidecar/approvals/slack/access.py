"""Reads the Slack part of the settings. Knows no Slack library; a secret's text never leaves `Access`."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from sidecar.approvals.slack.ports import Access
from sidecar.errors import SettingsError
from sidecar.secret_files import secret_from
from sidecar.settings import PREFIX, Settings

_CHANNEL = re.compile(r"[CG][A-Z0-9]{2,20}")
_NEEDED = ("slack_bot_token_file", "slack_channel", "slack_team", "slack_app_id")
_ALL = (*_NEEDED, "slack_signing_secret_file", "slack_app_token_file")


def access_from(settings: Settings) -> Access | None:
    """None when nothing of Slack is set. Raises SettingsError when something of it is missing or wrong."""
    given = [name for name in _ALL if getattr(settings, name)]
    if not given:
        return None
    missing = [name for name in _NEEDED if name not in given]
    if missing:
        raise SettingsError(f"Slack approvals: {_variable(given[0])} is set, but not {', '.join(map(_variable, missing))}")
    if settings.slack_signing_secret_file is None and settings.slack_app_token_file is None:
        either = f"{_variable('slack_signing_secret_file')} (HTTP) or {_variable('slack_app_token_file')} (Socket Mode)"
        raise SettingsError(f"Slack approvals: set {either}")
    return Access(
        bot_token=_token(settings.slack_bot_token_file, "slack_bot_token_file", "xoxb-"),
        signing_secret=_token(settings.slack_signing_secret_file, "slack_signing_secret_file", ""),
        app_token=_token(settings.slack_app_token_file, "slack_app_token_file", "xapp-"),
        team=settings.slack_team,
        app_id=settings.slack_app_id,
        channels=_channels(settings.slack_channel),
        page_url=_url(settings.page_url, "page_url"),
        cards_a_minute=settings.slack_cards_a_minute,
        api_url=_url(settings.slack_api_url, "slack_api_url").rstrip("/") + "/",
    )


def channel_of(access: Access, environment: str, namespace: str) -> str:
    """The most exact entry wins. A plan may touch several environments ("prod, test"): the first that has an entry."""
    words = [word.strip() for word in environment.split(",")]
    for key in [*(f"{word}/{namespace}" for word in words), *words]:
        if key and key in access.channels:
            return access.channels[key]
    return access.channels[""]  # `_channels` sees to it that it is there


def _token(path: Path | None, name: str, prefix: str) -> str:
    if path is None:
        return ""
    text = secret_from(path, path, what=f"setting {_variable(name)}")
    if not text.startswith(prefix):
        raise SettingsError(f"setting {_variable(name)}: {path} must hold a token that begins with {prefix}")
    return text


def _channels(text: str) -> dict[str, str]:
    """ "C0123, prod=C0456, prod/payments=C0789": ids, not names, since clicks name the id."""
    channels: dict[str, str] = {}
    for entry in text.split(","):
        key, separator, channel = entry.strip().rpartition("=")
        if not _CHANNEL.fullmatch(channel.strip()) or (separator and not key.strip()):
            raise SettingsError(
                f"setting {_variable('slack_channel')}: {entry.strip()[:60]!r} is not a channel id such as C0123ABCD"
            )
        channels[key.strip()] = channel.strip()
    if "" not in channels:
        raise SettingsError(f"setting {_variable('slack_channel')}: name one channel for everything else, without `=`")
    return channels


def _url(text: str, name: str) -> str:
    parts = urlsplit(text)
    loopback = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if text and not ((parts.scheme == "https" and parts.hostname) or loopback):
        raise SettingsError(f"setting {_variable(name)}: an https URL is needed (http on loopback only)")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise SettingsError(f"setting {_variable(name)}: without user, query and fragment")
    return text


def _variable(name: str) -> str:
    return PREFIX + name.upper()
