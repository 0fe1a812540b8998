"""Rights on loan: computed from the plan, minted for minutes, taken back and proven gone. Knows no plan's wording."""

from sidecar.credentials.issuer import Issuer, Minted, Proof
from sidecar.credentials.planbound import PlanBound
from sidecar.credentials.refusals import Refused, decided, message_of
from sidecar.credentials.scope import BeyondCeiling, Grant, rights_for

__all__ = ["BeyondCeiling", "Grant", "Issuer", "Minted", "PlanBound", "Proof", "Refused", "decided", "message_of", "rights_for"]
