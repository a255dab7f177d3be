"""A board → an ASGI application: pages, and the JSON that they ask for.

In: requests to read, from this machine unless told otherwise. Out: answers that no other site can frame, read
or be told of. Reading a store happens in threads, and no study is read twice at once.
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

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_OUTER_POLICY = "frame-ancestors 'none'; form-action 'none'; base-uri 'none'"
"""What a page can't say of itself; the rest it does."""

Told = TypeVar("Told")


def application(board: Board, hosts: Collection[str] | None) -> Starlette:
    """The pages of a store.

    Args:
        board: of the store.
        hosts: the names that a browser may know this server by; None for any. A page of another site that
            has its own name point at this machine can read nothing.
    """
    routes = _Routes(board)
    middleware = [Middleware(_Headers)]
    if hosts is not None:
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False))
    return Starlette(
        routes=[
            Route("/", routes.all_studies),
            Route("/studies.json", routes.all_facts),
            Route("/study", routes.one_study),
            Route("/study.json", routes.one_facts),
        ],
        middleware=middleware,
    )


class _Routes:
    def __init__(self, board: Board) -> None:
        self._board = board
        self._reading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def all_studies(self, request: Request) -> Response:
        return _html(pages.studies(self._board.place))

    async def one_study(self, request: Request) -> Response:
        name = _name(request)
        told = await _asked(self._board.version, name)
        if isinstance(told, StudyError):
            return _html(pages.studies(self._board.place, f"There is no study {name!r:.200} here."), 404)
        return _html(pages.study(name))

    async def all_facts(self, request: Request) -> Response:
        return _json(request, await _asked(self._board.studies))

    async def one_facts(self, request: Request) -> Response:
        name = _name(request)
        version = await _asked(self._board.version, name)
        if not isinstance(version, str) or _has(request, version):
            return _json(request, version)
        reading = self._reading.setdefault(name, asyncio.Lock())
        async with reading:  # who waits finds what has been read
            return _json(request, await _asked(self._board.study, name))


async def _asked(question: Callable[..., Told], *about: str) -> Told | StoreError | StudyError:
    """What the board answers, or the error that it raises, from a thread."""
    try:
        return await run_in_threadpool(question, *about)
    except (StoreError, StudyError) as error:
        return error


def _name(request: Request) -> str:
    """The study's; what is no text at all is the name of none."""
    query: str = request.scope["query_string"].decode("latin-1")
    try:
        return parse_qs(query, keep_blank_values=True, errors="surrogatepass").get("name", [""])[0]
    except UnicodeDecodeError:
        return ""


def _html(text: str, status: int = 200) -> Response:
    response = HTMLResponse(text.encode("utf-8", "replace"), status)
    response.headers["Content-Security-Policy"] = _OUTER_POLICY
    return response


def _json(request: Request, told: Answer | str | StoreError | StudyError) -> Response:
    """An answer; or that the asker has this version already, or that there is none."""
    if isinstance(told, Exception):
        return JSONResponse({"error": str(told)}, 404 if isinstance(told, StudyError) else 503)
    version = told if isinstance(told, str) else told.version
    headers = {"ETag": f'W/"{version}"', "Vary": "Accept-Encoding"}
    if isinstance(told, str) or _has(request, version):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("Accept-Encoding", ""):
        return Response(gzip.decompress(told.zipped), media_type="application/json", headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(told.zipped, media_type="application/json", headers=headers)


def _has(request: Request, version: str) -> bool:
    return f'"{version}"' in request.headers.get("If-None-Match", "")


class _Headers:
    """Adds what every answer says to browsers, errors included."""

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
