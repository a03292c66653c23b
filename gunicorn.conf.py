"""What gunicorn reads from the folder it is started in, beside the options of its command line."""

from __future__ import annotations

import socket
import struct
from typing import Any

# A reader that takes nothing for so long has left, or holds a thread for nothing.
SEND_TIMEOUT_SECONDS = 60


def when_ready(server: Any) -> None:
    """Let writes to every connection end after a while; Linux hands the option of the listening socket down."""
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_TIMEOUT_SECONDS, 0))
