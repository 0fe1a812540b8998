"""Signed bundles, signed by the real `opa sign`: one byte more, less or other, and it is not taken (D2)."""

import base64
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from sidecar.errors import BundleRefused, SettingsError
from sidecar.policy import load
from sidecar.policy.signature import SIGNATURES, key_from
from tests.servers import program

DATA = Path("policies/platform/data.yaml").read_text()
RULES = "package remediation\n\n# ünïcode <&> stays\ndecision := 1\n"


def write_keys(folder: Path, private: Any, name: str = "key") -> Path:
    """The public half; the private one lies beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.pem").write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        if not isinstance(private, ed25519.Ed25519PrivateKey)
        else private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub").write_bytes(public)
    return folder / f"{name}.pub"


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Signing:
    folder: Path
    public: Path

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def sign(self, *more: str, inside: bool = True) -> None:
        where = (".", self.folder) if inside else (self.folder.name, self.folder.parent)
        self.signed_with(str(self.public.with_suffix(".pem")), *more, bundle=str(where[0]), cwd=where[1])

    def signed_with(self, secret: str, *more: str, bundle: str = ".", cwd: Path | None = None) -> None:
        command = [program("opa"), "sign", "--signing-key", secret, *more, "--bundle", bundle, "-o", str(self.folder)]
        subprocess.run(command, cwd=cwd or self.folder, check=True, capture_output=True)

    def token(self, change: Callable[[dict[str, Any]], object], key: Any, algorithm: str | None) -> None:
        """Another JWT in the place of the real one."""
        real = json.loads((self.folder / SIGNATURES).read_text())["signatures"][0]
        claims = jwt.decode(real, options={"verify_signature": False})
        change(claims)
        forged = jwt.encode(claims, key, algorithm=algorithm)
        (self.folder / SIGNATURES).write_text(json.dumps({"signatures": [forged]}))

    def load(self) -> Any:
        return load(self.folder, key=key_from(self.public)).signed


@pytest.fixture
def bundle(tmp_path: Path) -> Signing:
    made = Signing(tmp_path / "policies", write_keys(tmp_path / "keys", RSA))
    made.write("platform/data.yaml", DATA)
    made.write("remediation/decision.rego", RULES)
    made.write("remediation/guards/x_cases.yaml", "[]\n")
    made.write("README.md", "Ours.\n")
    made.write(".manifest", json.dumps({"revision": "x", "roots": ["remediation", "platform"], "metadata": {"version": 7}}))
    return made


@pytest.mark.parametrize("inside", [True, False], ids=["from inside", "by its path"])
def test_what_opa_signed_is_taken(bundle: Signing, inside: bool) -> None:
    bundle.sign(inside=inside)

    signed = bundle.load()

    assert signed.version == 7
    assert signed.by == key_from(bundle.public).fingerprint


@pytest.mark.parametrize("inside", [True, False])
def test_what_is_signed_again_in_its_place_is_taken(bundle: Signing, inside: bool) -> None:
    """The signature of before lies in the folder, and some versions of OPA list it among the files."""
    bundle.sign(inside=inside)
    bundle.write("remediation/more.rego", "package remediation.more\n")
    bundle.sign(inside=inside)

    assert bundle.load() is not None


@pytest.mark.parametrize(
    ("private", "algorithm"),
    [(ec.generate_private_key(ec.SECP256R1()), "ES256"), (RSA, "PS256"), (RSA, "RS512")],
    ids=["ES256", "PS256", "RS512"],
)
def test_other_kinds_of_keys_are_taken(bundle: Signing, private: Any, algorithm: str) -> None:
    bundle.public = write_keys(bundle.public.parent, private, "other")
    bundle.sign("--signing-alg", algorithm)

    assert bundle.load().version == 7


def test_the_shipped_bundle_signed_by_opa_is_taken(bundle: Signing) -> None:
    import shutil

    shutil.rmtree(bundle.folder)
    shutil.copytree("policies", bundle.folder)
    bundle.sign()

    assert bundle.load().version is None


TAMPERED: dict[str, tuple[Callable[[Signing], object], str]] = {
    "a byte of a rule": (lambda b: b.write("remediation/decision.rego", RULES.replace("1", "2")), "rego is not as it was"),
    "a comment in a rule": (lambda b: b.write("remediation/decision.rego", RULES + "#"), "decision.rego is not as it was"),
    "a value of the data": (lambda b: b.write("platform/data.yaml", DATA.replace("900", "901")), "data.yaml is not as it was"),
    "a case": (lambda b: b.write("remediation/guards/x_cases.yaml", "[]\n\n"), "x_cases.yaml is not as it was"),
    "the version": (lambda b: b.write(".manifest", '{"metadata": {"version": 8}}'), ".manifest is not as it was"),
    "one file more": (lambda b: b.write("remediation/permits/all.rego", "package remediation.permits.all\n"), "not covered"),
    "one file less": (lambda b: (b.folder / "remediation/guards/x_cases.yaml").unlink(), "is signed, and missing"),
    "a seal": (lambda b: b.write("admitted.txt", "0" * 64), "admitted.txt is not covered"),
    "no signature": (lambda b: (b.folder / SIGNATURES).unlink(), "is not signed"),
    "no JSON": (lambda b: b.write(SIGNATURES, "{"), "signatures.json"),
    "no list": (lambda b: b.write(SIGNATURES, '{"signatures": "x"}'), "exactly one signature"),
    "two signatures": (lambda b: b.write(SIGNATURES, '{"signatures": ["a", "b"]}'), "exactly one signature"),
    "nonsense": (lambda b: b.write(SIGNATURES, '{"signatures": ["a.b.c"]}'), "not by the key"),
    "another key": (
        lambda b: b.signed_with(str(write_keys(b.public.parent, OTHER, "evil").with_suffix(".pem"))),
        "not by the key",
    ),
    "an HMAC with a secret": (lambda b: b.signed_with("secret", "--signing-alg", "HS256"), "not by the key"),
    "an HMAC with the public key": (lambda b: b.signed_with(b.public.read_text(), "--signing-alg", "HS256"), "not by the key"),
    "no algorithm": (lambda b: b.token(lambda claims: None, None, None), "not by the key"),
    "another scope": (lambda b: b.token(lambda claims: claims.update(scope="read"), RSA, "RS256"), "another scope"),
    "out of date": (lambda b: b.token(lambda claims: claims.update(exp=1), RSA, "RS256"), "not by the key"),
    "a weak hash": (lambda b: b.token(lambda claims: claims["files"][0].update(algorithm="MD5"), RSA, "RS256"), "not one"),
    "a file twice": (lambda b: b.token(lambda claims: claims["files"].append(claims["files"][0]), RSA, "RS256"), "one twice"),
    "no files": (lambda b: b.token(lambda claims: claims.pop("files"), RSA, "RS256"), "which files it covers"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_what_is_not_as_it_was_signed_is_refused(bundle: Signing, what: str) -> None:
    bundle.sign()
    change, why = TAMPERED[what]
    change(bundle)

    with pytest.raises(BundleRefused, match=why) as refusal:
        bundle.load()

    assert "\n" not in str(refusal.value)


def test_a_signature_put_together_by_hand_with_the_public_key_as_secret_is_refused(bundle: Signing) -> None:
    """PyJWT will not make one, so it is made here: HS256 over the PEM of the public key."""
    import hashlib
    import hmac

    bundle.sign()
    real = json.loads((bundle.folder / SIGNATURES).read_text())["signatures"][0]
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
    body = head + b"." + real.split(".")[1].encode()
    mac = base64.urlsafe_b64encode(hmac.new(bundle.public.read_bytes(), body, hashlib.sha256).digest()).rstrip(b"=")
    bundle.write(SIGNATURES, json.dumps({"signatures": [(body + b"." + mac).decode()]}))

    with pytest.raises(BundleRefused, match="not by the key"):
        bundle.load()


def test_what_is_laid_over_must_be_signed_too(bundle: Signing, tmp_path: Path) -> None:
    bundle.sign()
    over = Signing(tmp_path / "over", bundle.public)
    over.write("platform/data.yaml", "lease: {seconds: 600}\n")
    key = key_from(bundle.public)

    with pytest.raises(BundleRefused, match="is not signed"):
        load(bundle.folder, over.folder, key=key)
    with pytest.raises(BundleRefused, match="is not signed"):
        load(bundle.folder, over.folder / "platform" / "data.yaml", key=key)

    over.sign()
    assert load(bundle.folder, over.folder, key=key).data["platform"]["lease"]["seconds"] == 600  # type: ignore[index, call-overload]


def test_without_a_key_a_signature_is_not_looked_at(bundle: Signing) -> None:
    bundle.write(SIGNATURES, "nonsense")

    assert load(bundle.folder).signed is None


def test_a_key_that_is_none_is_a_setting_to_mend(tmp_path: Path) -> None:
    (tmp_path / "text.pub").write_text("hello")
    short = write_keys(tmp_path, rsa.generate_private_key(65537, 1024), "short")

    for path, said in ((tmp_path / "none.pub", "No such file"), (tmp_path / "text.pub", "is no PEM"), (short, "1024 bits")):
        with pytest.raises(SettingsError, match=said):
            key_from(path)
