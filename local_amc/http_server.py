"""HTTP/1.1 with connections that stay open, which werkzeug's own handler does not offer."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

_MAX_BODY_BYTES = 1_000_000


class Handler(WSGIRequestHandler):
    """Serves one request after the other on the same connection."""

    protocol_version = "HTTP/1.1"
    # Responses leave in one piece, so waiting to fill packets only delays them.
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 75

    def run_wsgi(self) -> None:
        body = self._body()
        if body is None:
            self.close_connection = True
            self.send_response(413)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()
            return
        environ = self.environ = self.make_environ()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["wsgi.input_terminated"] = True
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            started[:] = [(status, headers)]
            return lambda data: None

        try:
            content = self.server.app(environ, start_response)
        except ConnectionError:
            # A fault broke the connection on purpose.
            self.close_connection = True
            return
        try:
            self._send(*started[0], content)
        finally:
            getattr(content, "close", lambda: None)()

    def _send(self, status: str, pairs: list[tuple[str, str]], content: Iterable[bytes]) -> None:
        headers = Headers(pairs)
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        if "Content-Length" not in headers:
            whole = b"".join(content)
            content = [whole]
            headers["Content-Length"] = str(len(whole))
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        sent = 0
        for piece in content if self.command != "HEAD" else []:
            self.wfile.write(piece)
            sent += len(piece)
        # A body cut short on purpose: only the end of the connection tells the client.
        self.close_connection |= self.command != "HEAD" and sent < int(headers["Content-Length"])
        self.wfile.flush()

    def _body(self) -> bytes | None:
        """Read the whole body, or the next request would begin with its rest; None when it is too long."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return None
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdecimal()) or int(length) > _MAX_BODY_BYTES:
            return None
        return self.rfile.read(int(length))

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Stay silent: the application logs one line per request itself, without query strings."""

    def log_error(self, format: str, *args: Any) -> None:
        """Stay silent about clients that go away."""

    def handle(self) -> None:
        # A broken connection counts as closed.
        with suppress(OSError, ValueError):
            super().handle()

    def finish(self) -> None:
        # The peer may be gone already.
        with suppress(OSError, ValueError):
            super().finish()


class Server(ThreadedWSGIServer):
    """One thread per connection; stopping ends all of them."""

    daemon_threads = True
    request_queue_size = 512
    # Waiting for idle connections would hold up stopping.
    block_on_close = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(*arguments, **options)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        # Clients keep connections open; a stopped server answers none of them.
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about connections that broke."""

    def log_startup(self) -> None:
        """Stay silent: the program prints the address itself."""


def listen(app: Any, *, host: str, port: int) -> Server:
    """Return a server bound to the port, 0 for a free one; raises OSError when the port is in use."""
    # Bound here, because werkzeug would end the whole process on a port in use.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(Server.request_queue_size)
        return Server(host, bound.getsockname()[1], app, Handler, fd=bound.fileno())
    finally:
        bound.close()
