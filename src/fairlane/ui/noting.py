"""Requests to write a note → notes in the store.

In: JSON, from who knows the token of this server. Out: nothing but that it was done. A page of another site
can't send such a request: browsers ask the server before they send its header and its type of content, and
it refuses.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fairlane.errors import StoreError, StudyError
from fairlane.store import note_of
from fairlane.ui.board import Board

_MOST = 200_000
"""Bytes of a request."""


class Noting:
    """Takes notes.

    Args:
        board: of the store.
        token: what a request must have in its header ``Authorization``, after ``Bearer``.
    """

    def __init__(self, board: Board, token: str) -> None:
        self._board, self._expected = board, f"Bearer {token}".encode()

    async def write(self, request: Request) -> Response:
        """Keep a note: ``name`` (of the study), ``variant`` (a number, or null), ``text`` and ``tags``."""
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        if not secrets.compare_digest(given, self._expected):
            return _refused(403, "notes need the token in the address that fairlane ui --write has printed")
        if request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            return _refused(415, "a note is sent as JSON")
        body = await _body(request)
        if body is None:
            return _refused(413, f"a request has up to {_MOST} bytes")
        try:
            name, variant, text, tags = _parts(body)
            await run_in_threadpool(self._board.note, name, variant, note_of(text, tags))
        except StudyError as error:
            return _refused(400, str(error))
        except StoreError as error:
            return _refused(503, str(error))
        return Response(status_code=204)


async def _body(request: Request) -> bytes | None:
    """The bytes of a request; None where there are too many."""
    found = b""
    async for part in request.stream():
        found += part
        if len(found) > _MOST:
            return None
    return found


def _parts(body: bytes) -> tuple[str, int | None, Any, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise StudyError("a note is sent as a JSON object")
    name, variant = found.get("name"), found.get("variant")
    if not isinstance(name, str) or not (variant is None or (type(variant) is int and 0 <= variant < 2**31)):
        raise StudyError("a note needs the name of a study, and the number of a variant or null")
    return name, variant, found.get("text", ""), found.get("tags", [])


def _refused(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status)
