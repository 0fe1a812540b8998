"""The body of a request, never longer than it may be."""

from fastapi import Request
from starlette.exceptions import HTTPException


async def bounded(request: Request, most: int) -> bytes:
    """The body, given up on as soon as it is too long, whatever its Content-Length said."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise HTTPException(413, f"the body is longer than {most} bytes")
        parts.append(part)
    return b"".join(parts)
