"""Refusals as a real API server words them: `metav1.Status` bodies. Knows no resource and no request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NOT_FOUND_TEXT = "404 page not found\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One fault of a 422: `reason` is a metav1.CauseType (FieldValueInvalid, ...); `message` without the field."""

    reason: str
    message: str
    field: str = ""

    def document(self) -> dict[str, str]:
        return {k: v for k, v in (("reason", self.reason), ("message", self.message), ("field", self.field)) if v}


class ApiError(Exception):
    """Any answer that is no success. `text` instead of a Status where a real server sends plain text."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        text: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.details, self.headers, self.metadata, self.text = details, dict(headers or {}), dict(metadata or {}), text

    def document(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = dict(self.details)
        return body | {"code": self.code}


def qualified(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def _details(name: str, group: str, kind: str, **more: Any) -> dict[str, Any]:
    return {k: v for k, v in (("name", name), ("group", group), ("kind", kind)) if v} | more


def not_found(plural: str, group: str, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{qualified(plural, group)} "{name}" not found', details=_details(name, group, plural))


def no_such_resource() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", details={})


def page_not_found() -> ApiError:
    return ApiError(404, "NotFound", "404 page not found", text=NOT_FOUND_TEXT)


def already_exists(plural: str, group: str, name: str, *, being_deleted: bool = False) -> ApiError:
    prefix = "object is being deleted: " if being_deleted else ""
    message = f'{prefix}{qualified(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_details(name, group, plural))


def conflict(plural: str, group: str, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_details(name, group, plural))


def modified(plural: str, group: str, name: str) -> ApiError:
    return conflict(
        plural, group, name, "the object has been modified; please apply your changes to the latest version and try again"
    )


def forbidden(plural: str, group: str, name: str, why: str, causes: Sequence[Cause] = ()) -> ApiError:
    subject = f'{qualified(plural, group)} "{name}"' if name else qualified(plural, group)
    more = {"causes": [c.document() for c in causes]} if causes else {}
    return ApiError(403, "Forbidden", f"{subject} is forbidden: {why}", details=_details(name, group, plural, **more))


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422; `kind` is the Kind (or an options kind). Messages are said once, causes as often as they come."""
    messages = list(dict.fromkeys(f"{c.field}: {c.message}" for c in causes))
    joined = messages[0] if len(messages) == 1 else "[" + ", ".join(messages) + "]"
    details = _details(name, group, kind, causes=[c.document() for c in causes])
    return ApiError(422, "Invalid", f'{qualified(kind, group)} "{name}" is invalid: {joined}', details=details)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", details={})


def not_acceptable(offered: Sequence[str]) -> ApiError:
    text = "406: Not Acceptable\n\nAvailable representations: " + ", ".join(offered)
    return ApiError(406, "NotAcceptable", text, details={})


def unsupported_media_type(accepted: Sequence[str] = ()) -> ApiError:
    if not accepted:
        return ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return ApiError(415, "UnsupportedMediaType", message)


def internal(message: str) -> ApiError:
    """The 500 of an error that carries no type: no reason, no details."""
    return ApiError(500, "", message)


def success(details: Mapping[str, Any] | None = None, code: int | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details is not None:
        body["details"] = dict(details)
    return body | ({"code": code} if code else {})


def required(field: str, message: str = "") -> Cause:
    return Cause(reason="FieldValueRequired", message=f"Required value: {message}" if message else "Required value", field=field)


def invalid_value(field: str, shown: str, why: str) -> Cause:
    """`shown` is the value as JSON text."""
    return Cause(reason="FieldValueInvalid", message=f"Invalid value: {shown}: {why}", field=field)


def unsupported_value(field: str, shown: str, supported: Sequence[str]) -> Cause:
    options = ", ".join(f'"{s}"' for s in supported)
    return Cause(reason="FieldValueNotSupported", message=f"Unsupported value: {shown}: supported values: {options}", field=field)


def not_allowed(field: str, why: str) -> Cause:
    return Cause(reason="FieldValueForbidden", message=f"Forbidden: {why}", field=field)
