"""Certificates that stand in objects (CA bundles of webhooks and APIs, a cluster's own CA): until when they hold. The agent's one
door to `cryptography`; reads public certificates only, never a key."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

MAX_CHARACTERS = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Name of the subject, from and until when it holds (aware UTC), and the host names that it is for."""

    subject: str
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...] = ()


def read_pem(text: str) -> list[Certificate]:
    """Certificates of a PEM text; [] for what is none."""
    if len(text) > MAX_CHARACTERS or "-----BEGIN CERTIFICATE-----" not in text:
        return []
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        return []
    return [
        Certificate(
            subject=one.subject.rfc4514_string()[:200],
            not_before=one.not_valid_before_utc,
            not_after=one.not_valid_after_utc,
            names=_names(one),
        )
        for one in found
    ]


def _names(one: x509.Certificate) -> tuple[str, ...]:
    try:
        found = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return tuple(name[:253] for name in found.get_values_for_type(x509.DNSName)[:50])
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ()


def read_bundle(bundle: str) -> list[Certificate]:
    """Certificates of a `caBundle` field: PEM in base64."""
    try:
        return read_pem(base64.b64decode(bundle, validate=False).decode("ascii", errors="replace"))
    except (binascii.Error, ValueError):
        return []


def all_over(found: Sequence[Certificate], now: datetime) -> Certificate | None:
    """The one that ended last, when none holds any more."""
    last = max(found, key=lambda one: one.not_after, default=None)
    return last if last is not None and last.not_after <= now else None
