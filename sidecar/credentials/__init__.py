"""Rights on loan: computed from the plan, minted for minutes, taken back and proven gone. Knows no plan's wording."""

from sidecar.credentials.issuer import Issuer, Minted, Proof, Refused
from sidecar.credentials.scope import BeyondCeiling, Grant, rights_for

__all__ = ["BeyondCeiling", "Grant", "Issuer", "Minted", "Proof", "Refused", "rights_for"]
