"""A server of bare sockets, for answers that no HTTP library would give."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = Callable[[socket.socket], None]


def http(status: int, body: bytes = b"", *headers: str, length: int | None = None, after: float = 0.0) -> Answer:
    """Answer with these; `length` is what Content-Length claims, `after` the seconds to wait first."""

    def send(connection: socket.socket) -> None:
        time.sleep(after)
        lines = [f"HTTP/1.1 {status} Any", f"Content-Length: {len(body) if length is None else length}", *headers]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        if length is not None:
            connection.close()

    return send


def reset(connection: socket.socket) -> None:
    """Drop the connection with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


class RawServer:
    """Give the answers in turn, the last one again and again; counts connections and requests."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = answers
        self.requests: list[str] = []
        self.connections = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        # Closing alone does not wake a thread that waits in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        waiting = b""
        try:
            while True:
                while b"\r\n\r\n" not in waiting:
                    received = connection.recv(65536)
                    if not received:
                        return
                    waiting += received
                head, waiting = waiting.split(b"\r\n\r\n", 1)
                waiting = self._skip_body(head, waiting, connection)
                with self._lock:
                    self.requests.append(head.decode())
                    answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                answer(connection)
        except OSError:
            return
        finally:
            connection.close()

    @staticmethod
    def _skip_body(head: bytes, waiting: bytes, connection: socket.socket) -> bytes:
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
                while len(waiting) < length:
                    waiting += connection.recv(65536)
                return waiting[length:]
        return waiting


@contextmanager
def raw_server(*answers: Answer) -> Iterator[RawServer]:
    """Run a server for a while."""
    server = RawServer(*answers)
    try:
        yield server
    finally:
        server.stop()
