"""A read that does not go through, told as the API server itself would tell it: kubectl and every other Kubernetes client
shows its user the words of a Status, and nothing of any other body. Knows no rule."""

import json
from collections.abc import Iterable
from typing import Any

from fastapi import Response

from sidecar.contract.problem import MEDIA_TYPE
from sidecar.edge import CODE_HEADER
from sidecar.reading import Forbidden

_REASONS = {403: "Forbidden", 404: "NotFound", 429: "TooManyRequests"}
_SAID = f"a refusal, as a Status of Kubernetes with its code in {CODE_HEADER}; as a problem where no read was meant"
TOLD: dict[int | str, dict[str, Any]] = {
    status: {"description": _SAID, "content": {"application/json": {}, MEDIA_TYPE: {}}} for status in _REASONS
}
NOBODY_ELSE = Forbidden("nobody is impersonated through here: what is read is what the sidecar and its policy let be read")


def told(no: Forbidden) -> Response:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": no.detail,
        "reason": _REASONS[no.status],
        "details": {"causes": [{"reason": no.code, "message": no.detail}]},
        "code": no.status,
    }
    headers = {CODE_HEADER: no.code}
    return Response(json.dumps(status), status_code=no.status, media_type="application/json", headers=headers)


def impersonates(names: Iterable[str]) -> bool:
    """Whether one of these headers (in lower case) asks to be taken for somebody else. To leave it out and answer would let
    whoever asks take the answer for what that other one may read."""
    return any(name.startswith("impersonate-") for name in names)
