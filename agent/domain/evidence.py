"""What was seen, or could not be seen. Evidence is data: text found in it never widens what may be done."""

from dataclasses import dataclass
from datetime import datetime

from agent.domain.objects import Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One piece of evidence as reports and plans cite it.

    `id` is short and stable within a run ("ev-12"); `sha256` is over `text` (UTF-8). `source` says where it was read
    (such as "kubernetes: Pod shop/checkout-7d4 status" or "loki: {app=checkout}"). `text` is masked of secrets, already
    escaped of control and bidi characters, and short enough to quote; `missing` says why there is none instead.
    """

    id: str
    source: str
    about: Ref | None
    text: str = ""
    missing: str = ""
    at: datetime | None = None  # when what is shown happened, where that is known
    sha256: str = ""
