"""Certificates for tests, made on the spot."""

import base64
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_KEY = ec.generate_private_key(ec.SECP256R1())


def pem(name: str, *, ends: datetime, names: tuple[str, ...] = ()) -> str:
    """A self-signed certificate that ends then and began a year before, for these hosts."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(_KEY.public_key())
    builder = builder.serial_number(7).not_valid_before(ends.astimezone(UTC) - timedelta(days=365)).not_valid_after(ends)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
    return builder.sign(_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def bundle(name: str, *, ends: datetime, names: tuple[str, ...] = ()) -> str:
    """The same as a caBundle field holds it."""
    return base64.b64encode(pem(name, ends=ends, names=names).encode()).decode()
