"""What gunicorn reads from the folder it is started in, beside the options of its command line."""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Any

# A reader that takes nothing for so long has left, or holds a thread for nothing.
SEND_TIMEOUT_SECONDS = 60


# glibc's M_ARENA_MAX. Each thread may have a heap of its own, and keeps what its largest request took.
_ARENA_MAX, _ARENAS = -8, 2


def post_fork(server: Any, worker: Any) -> None:
    """Let the threads of a web process share two heaps, before there are any; other C libraries have no such thing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, _ARENAS)


def when_ready(server: Any) -> None:
    """Let writes to every connection end after a while; Linux hands the option of the listening socket down."""
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_TIMEOUT_SECONDS, 0))
