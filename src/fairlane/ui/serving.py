"""A store → a web server of its pages, until Ctrl-C.

In: a store, and where to listen. Out: the address, in words, and a browser that shows it if there is a
display.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import secrets
import socket
import sys
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fairlane.errors import StudyError
from fairlane.kit.extras import needed
from fairlane.store import overview

PORT = 8420
_PATIENCE = 5.0
"""Seconds after Ctrl-C in which requests can still end."""


def serve(
    store: Any,
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool | None = None,
    say: Callable[[str], None] = print,
    write: bool = False,
) -> None:
    """Show the studies of a store on live pages, until Ctrl-C.

    The store is read, and never written, but for notes where ``write`` allows them.

    Args:
        store: as for `fairlane.open`.
        host: the address to listen on.
        port: to listen on, 0 for any free one; by default `PORT`, or a free one if that is in use.
        browser: whether to open a browser; by default if there is a display.
        say: takes a line for the user.
        write: whether notes and tags may be written on the pages, by who has the address with its token.

    Raises:
        StudyError: the address or port can't be used.
        StoreError: there is no such store, or it can't be read; or the packages for this are not installed.

    Example:
        >>> serve("runs.db")  # doctest: +SKIP
        runs.db is on http://127.0.0.1:8420/ until Ctrl-C
    """
    for package in ("starlette", "uvicorn"):
        needed(package, "fairlane ui")
    import uvicorn

    from fairlane.ui.app import application
    from fairlane.ui.board import Board

    board = Board(store)
    overview(store)  # so that its errors come before anything is served
    listening = listen(host, port)
    local = is_local(host)
    token = secrets.token_urlsafe() if write else None
    app = application(board, hosts_of(host) if local else None, token)
    settings = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,  # its own would close all other handlers, and with one of them the terminal
        ws="none",
        log_level="warning",
        server_header=False,
        access_log=False,
        timeout_graceful_shutdown=round(_PATIENCE),
    )
    url = address(host, listening.getsockname()[1])
    if token is not None:
        url += f"#token={token}"  # a browser sends nothing of what follows #
    if not local:
        say(
            f"Everyone who can reach {host} can read this store, with the sources of its builders, paths and "
            "tracebacks: there is no password. Without --host, only this machine can."
        )
    if token is not None:
        plainly = "" if local else " It is sent without encryption, so who can read along can write, too."
        say(f"With this address, notes and tags can be written.{plainly}")
    say(f"{board.place} is on {url} until Ctrl-C")
    # Uvicorn stops on Ctrl-C, and then raises it again.
    with listening, suppress(KeyboardInterrupt):
        if has_display() if browser is None else browser:
            webbrowser.open(url)
        uvicorn.Server(settings).run(sockets=[listening])


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens.

    Args:
        host: an address of this machine.
        port: 0 for any free one; None for `PORT`, or a free one if that is in use.

    Raises:
        StudyError: the address or port can't be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, PORT if port is None else port), family=family)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        if port is None and taken:
            return listen(host, 0)
        what = "another program uses it" if taken else (error.strerror or str(error))
        raise StudyError(
            f"can't listen on port {PORT if port is None else port} of {host}: {what}. Give another with "
            "--port, or leave --port out for a free one; --host must be an address of this machine"
        ) from error


def is_local(host: str) -> bool:
    """Whether only this machine can reach an address.

    Example:
        >>> is_local("127.0.0.1"), is_local("::1"), is_local("localhost"), is_local("0.0.0.0")
        (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hosts_of(host: str) -> list[str]:
    """The names of a local address that a browser on this machine may use."""
    return ["localhost", "127.0.0.1", "[::1]", f"[{host}]" if ":" in host else host]


def address(host: str, port: int) -> str:
    """The address for a browser; of a server that listens on all addresses, the one of this machine.

    Example:
        >>> address("127.0.0.1", 80), address("::1", 80), address("0.0.0.0", 80)
        ('http://127.0.0.1:80/', 'http://[::1]:80/', 'http://127.0.0.1:80/')
    """
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"


def has_display() -> bool:
    """Whether a browser's window would be seen: there is a display, and this is not a session over SSH."""
    if "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
