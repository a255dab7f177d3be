"""A board → an ASGI application: pages, and the JSON that they request.

In: requests to read, by default from this machine only. Out: answers that no other site can frame or read.
Stores are read in threads, and a study is never read twice at the same time.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Collection
from typing import TypeVar
from urllib.parse import parse_qs
from weakref import WeakValueDictionary

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fairlane.errors import StoreError, StudyError
from fairlane.ui import pages
from fairlane.ui.board import Answer, Board
from fairlane.ui.noting import Noting

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_OUTER_POLICY = "frame-ancestors 'none'; form-action 'none'; base-uri 'none'"
"""What a page can't declare itself; the page declares the rest of its policy."""

Result = TypeVar("Result")


def application(board: Board, hosts: Collection[str] | None, token: str | None = None) -> Starlette:
    """The pages of a store.

    Args:
        board: of the store.
        hosts: the names of this server that it answers to; None for any. So another site can't read it by
            giving this machine a name of its own.
        token: what who writes a note must know; None where nothing may be written.
    """
    routes = _Routes(board, token is not None)
    written = [] if token is None else [Route("/note", Noting(board, token).write, methods=["POST"])]
    middleware = [Middleware(_Headers)]
    if hosts is not None:
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False))
    return Starlette(
        routes=[
            Route("/", routes.all_studies),
            Route("/studies.json", routes.all_facts),
            Route("/study", routes.one_study),
            Route("/study.json", routes.one_facts),
            Route("/best.json", routes.one_best),
            Route("/compare", routes.several),
            *written,
        ],
        middleware=middleware,
    )


class _Routes:
    def __init__(self, board: Board, writes: bool) -> None:
        self._board, self._writes = board, writes
        self._reading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def all_studies(self, request: Request) -> Response:
        return _html(pages.studies(self._board.place))

    async def one_study(self, request: Request) -> Response:
        name = _name(request)
        version = await _in_thread(self._board.version, name)
        if isinstance(version, StudyError):
            return _html(pages.studies(self._board.place, f"There is no study {name!r:.200} here."), 404)
        return _html(pages.study(name, self._writes))

    async def all_facts(self, request: Request) -> Response:
        return _json(request, await _in_thread(self._board.studies))

    async def several(self, request: Request) -> Response:
        return _html(pages.several(_names(request)))

    async def one_facts(self, request: Request) -> Response:
        return await self._about(request, "facts", self._board.study)

    async def one_best(self, request: Request) -> Response:
        return await self._about(request, "best", self._board.best)

    async def _about(self, request: Request, what: str, read: Callable[[str], Answer]) -> Response:
        name = _name(request)
        version = await _in_thread(self._board.version, name)
        if not isinstance(version, str) or _has(request, version):
            return _json(request, version)
        reading = self._reading.setdefault(f"{what} {name}", asyncio.Lock())
        async with reading:  # who has waited gets the answer that was read meanwhile
            return _json(request, await _in_thread(read, name))


async def _in_thread(read: Callable[..., Result], *names: str) -> Result | StoreError | StudyError:
    """What the board returns, or the error that it raises."""
    try:
        return await run_in_threadpool(read, *names)
    except (StoreError, StudyError) as error:
        return error


def _name(request: Request) -> str:
    """The study's name; empty where the query is not text, as no study's is."""
    return next(iter(_names(request)), "")


def _names(request: Request) -> list[str]:
    """The names in the query, in order."""
    query: str = request.scope["query_string"].decode("latin-1")
    try:
        return parse_qs(query, keep_blank_values=True, errors="surrogatepass").get("name", [])
    except UnicodeDecodeError:
        return []


def _html(text: str, status: int = 200) -> Response:
    response = HTMLResponse(text.encode("utf-8", "replace"), status)
    response.headers["Content-Security-Policy"] = _OUTER_POLICY
    return response


def _json(request: Request, found: Answer | str | StoreError | StudyError) -> Response:
    """An answer, an error, or that the browser has this version already."""
    if isinstance(found, Exception):
        return JSONResponse({"error": str(found)}, 404 if isinstance(found, StudyError) else 503)
    version = found if isinstance(found, str) else found.version
    headers = {"ETag": f'W/"{version}"', "Vary": "Accept-Encoding"}
    if isinstance(found, str) or _has(request, version):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("Accept-Encoding", ""):
        return Response(gzip.decompress(found.zipped), media_type="application/json", headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(found.zipped, media_type="application/json", headers=headers)


def _has(request: Request, version: str) -> bool:
    return f'"{version}"' in request.headers.get("If-None-Match", "")


class _Headers:
    """Adds the headers that every answer has, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
            await send(message)

        await self._app(scope, receive, sending)
