"""Signed bundles, in the format that `opa sign` writes and OPA documents: `.signatures.json` holds one JWT over the hashes of
all files. Only public keys: who can verify cannot sign. The only door to jwt in this folder.

Source: https://www.openpolicyagent.org/docs/management-bundles#signature-format, and bundle/hash.go of OPA 1.22 for the
digest of structured files (data.yaml, .manifest), which is taken over their values and not over their bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sidecar.contract import Json, MalformedMessage, parse
from sidecar.errors import BundleRefused, SettingsError
from sidecar.policy.yaml_text import read_as_signed

SIGNATURES = ".signatures.json"
MANIFEST = ".manifest"
_ENTRY = "remediation/"
# `opa sign --bundle .` of OPA 1.22 lists the signature that was there before, by a name that has lost its dot.
_EARLIER = frozenset({SIGNATURES, SIGNATURES.removeprefix(".")})
_STRUCTURED = frozenset({"data.yaml", "data.yml", "data.json", MANIFEST})
_HASHES = {"SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512", "SHA-512-256": "sha512_256"}
_LEAST_RSA_BITS = 2048

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class _File(BaseModel):
    model_config = ConfigDict(strict=True)
    name: Annotated[str, Field(min_length=1)]
    hash: str
    algorithm: str


class _Claims(BaseModel):
    """What OPA reads of the payload; other claims may stand beside them."""

    model_config = ConfigDict(strict=True)
    files: list[_File]
    scope: str = ""


class _Metadata(BaseModel):
    model_config = ConfigDict(strict=True)
    version: Annotated[int, Field(ge=0)] | None = None


class _Manifest(BaseModel):
    model_config = ConfigDict(strict=True)
    metadata: _Metadata = Field(default_factory=_Metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """`by`: the first 16 hex digits of the SHA-256 over the key. `version`: metadata.version of `.manifest`; once one was
    loaded, no lower one is."""

    by: str
    version: int | None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The public half of the key that bundles are signed with."""

    public: PublicKey
    fingerprint: str

    @property
    def algorithms(self) -> list[str]:
        """Those that this kind of key is for: none of them takes a public key for a shared secret."""
        match self.public:
            case rsa.RSAPublicKey():
                return ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
            case ec.EllipticCurvePublicKey():
                return ["ES256", "ES384", "ES512"]
            case _:
                return ["EdDSA"]


def key_from(path: Path) -> SigningKey:
    """A PEM file: a public key, or a certificate that holds one. Raises SettingsError."""
    try:
        pem = path.read_bytes()
        public = (
            x509.load_pem_x509_certificate(pem).public_key() if b"CERTIFICATE" in pem else serialization.load_pem_public_key(pem)
        )
    except OSError as exc:
        raise SettingsError(f"the policy's public key {path}: {exc.strerror or exc}") from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise SettingsError(f"the policy's public key {path} is no PEM of a public key or a certificate") from exc
    if not isinstance(public, PublicKey):
        raise SettingsError(f"the policy's public key {path} is of a kind that no bundle is signed with: RSA, EC or Ed25519")
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < _LEAST_RSA_BITS:
        raise SettingsError(f"the policy's public key {path} has {public.key_size} bits, at least {_LEAST_RSA_BITS} are needed")
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return SigningKey(public, hashlib.sha256(der).hexdigest()[:16])


def verified(contents: Mapping[str, bytes], key: SigningKey) -> Signed:
    """`contents`: every file below the bundle's folder, by its path there. Raises BundleRefused unless the signature is by
    this key and covers all of them, no more and no less, as they are."""
    listed = _listed(contents, key)
    here = set(contents) - {SIGNATURES}
    if unsigned := sorted(here - set(listed)):
        raise BundleRefused(f"{unsigned[0]} is not covered by the signature")
    if gone := sorted(set(listed) - here - _EARLIER):
        raise BundleRefused(f"{gone[0]} is signed, and missing")
    for name, file in listed.items():
        if name not in here:
            continue
        if file.algorithm not in _HASHES:
            raise BundleRefused(f"{name}: the hash {file.algorithm[:20]!r} is not one to rely on: {', '.join(_HASHES)}")
        if _hash(name, contents[name], _HASHES[file.algorithm]) != file.hash.lower():
            raise BundleRefused(f"{name} is not as it was signed")
    return Signed(by=key.fingerprint, version=_version(contents.get(MANIFEST)))


def _listed(contents: Mapping[str, bytes], key: SigningKey) -> dict[str, _File]:
    import jwt  # noqa: PLC0415  who signs no bundle does not wait for it

    if SIGNATURES not in contents:
        raise BundleRefused(f"the bundle is not signed: it has no {SIGNATURES} (opa sign makes one)")
    try:
        document = parse(contents[SIGNATURES])
    except MalformedMessage as exc:
        raise BundleRefused(f"{SIGNATURES}: {exc}") from exc
    signatures = document.get("signatures") if isinstance(document, dict) else None
    if not isinstance(signatures, list) or len(signatures) != 1 or not isinstance(signatures[0], str):
        raise BundleRefused(f"{SIGNATURES}: exactly one signature is expected")
    try:
        payload = jwt.decode(signatures[0], key.public, algorithms=key.algorithms, options={"verify_aud": False})
        claims = _Claims.model_validate(payload)
    except jwt.InvalidTokenError as exc:
        raise BundleRefused(f"{SIGNATURES}: the signature is not by the key that was named ({type(exc).__name__})") from exc
    except ValidationError as exc:
        raise BundleRefused(f"{SIGNATURES}: the signature does not say which files it covers") from exc
    if claims.scope:
        raise BundleRefused(f"{SIGNATURES}: the signature is for another scope")
    return _below(claims.files)


def _below(files: list[_File]) -> dict[str, _File]:
    """By path below the bundle's folder: `opa sign` writes the path of the folder, as it was called by, before each."""
    names = [file.name.removeprefix("/").removeprefix("./") for file in files]
    places = [f"/{name}".find(f"/{_ENTRY}") for name in names]
    prefix = next((name[:place] for name, place in zip(names, places, strict=True) if place >= 0), "")
    listed: dict[str, _File] = {}
    for name, file in zip(names, files, strict=True):
        if not name.startswith(prefix) or name.removeprefix(prefix) in listed:
            raise BundleRefused(f"{SIGNATURES}: the signature covers files outside of the bundle, or one twice")
        listed[name.removeprefix(prefix)] = file
    return listed


def _hash(name: str, content: bytes, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    digest.update(_walked(_structured(name, content)) if name.rpartition("/")[2] in _STRUCTURED else content)
    return digest.hexdigest()


def _structured(name: str, content: bytes) -> Any:
    try:
        if name.endswith((".yaml", ".yml")):
            return read_as_signed(name, content)
        return json.loads(content, parse_float=_Literal, parse_int=_Literal)
    except (ValueError, RecursionError) as exc:
        raise BundleRefused(f"{name} cannot be read: {type(exc).__name__}") from exc


def _walked(value: Any) -> bytes:
    """As OPA walks a structured document: canonical JSON with sorted keys and without spaces."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise BundleRefused("a signed data file has a key that is no text: put it in quotes")
        return b"{" + b",".join(_primitive(key) + b":" + _walked(value[key]) for key in sorted(value)) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(_walked(item) for item in value) + b"]"
    return _primitive(value)


def _primitive(value: Any) -> bytes:
    if isinstance(value, _Literal):
        return value.text.encode()
    text = json.dumps(value, ensure_ascii=False)
    # Go's encoder, without HTML escapes, still writes these two as escapes.
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode()


class _Literal:
    """A number of a JSON file as it stands there: Go hands it on unread."""

    def __init__(self, text: str) -> None:
        self.text = text


def _version(manifest: bytes | None) -> int | None:
    if manifest is None:
        return None
    try:
        document: Json = parse(manifest)
        return _Manifest.model_validate(document).metadata.version
    except (MalformedMessage, ValidationError) as exc:
        raise BundleRefused(f"{MANIFEST}: metadata.version is expected to be a whole number") from exc
