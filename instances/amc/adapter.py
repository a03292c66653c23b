"""The HTTP adapter whose connections end with the time limit that holds, in the middle of an answer too."""

from __future__ import annotations

import http.client
import io
import socket
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from instances.amc.lookups import addresses_of
from instances.amc.time_limits import ensure_time, seconds_left


class LimitedTimeout(Timeout):
    """The timeouts of a request; a try begins only while there is time, and connects no longer than is left.

    What is read afterwards is cut by `_Reader`, each time anew.
    """

    def __init__(self, connect: float, read: float) -> None:
        super().__init__(connect=connect, read=read)
        self._seconds = (connect, read)

    def clone(self) -> LimitedTimeout:
        """Return timeouts that have not started, for one try."""
        return type(self)(*self._seconds)

    def start_connect(self) -> float:
        """Start a try; raises AmcSlowError when there is no time for one."""
        ensure_time()
        return super().start_connect()

    @property
    def connect_timeout(self) -> float:
        """Return the seconds one address may take to answer; to a socket, 0 would mean not to wait at all."""
        return max(seconds_left(self._seconds[0]), 0.001)


class LimitedAdapter(HTTPAdapter):
    """An adapter whose connections are of our kind, through a proxy too."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        # One for SOCKS has connections of its own kind.
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager


class _Reader(io.RawIOBase):
    """Reads from a socket, each time no longer than the limit leaves."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket) -> None:
        self._raw, self._connection = raw, connection
        self._timeout = connection.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        timeout = self._timeout
        if timeout is not None and (left := seconds_left(timeout)) != self._connection.gettimeout():
            if not left:
                raise TimeoutError("the time limit has run out")
            self._connection.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer that is read through `_Reader`, its head too."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Reader(self.fp.detach(), sock))


class _LimitedConnection(HTTPConnection):
    """What plain and TLS connections have in common."""

    response_class = _Response

    def _new_conn(self) -> socket.socket:
        """Connect to the host's addresses in turn; urllib3 would give each the whole timeout, whatever is left."""
        name, timeout = self._dns_host, self.timeout
        found = self._addresses(name, timeout and seconds_left(timeout))
        failure: Exception = NewConnectionError(self, "no address")
        try:
            for address in found:
                self._dns_host, self.timeout = address, timeout and seconds_left(timeout)
                if self.timeout == 0:
                    raise ConnectTimeoutError(self, "the time limit has run out") from failure
                try:
                    return super()._new_conn()
                except ConnectTimeoutError as error:  # a refused connection too
                    failure = error
            raise failure
        finally:
            self._dns_host, self.timeout = name, timeout

    def _addresses(self, name: str, seconds: float | None) -> list[str]:
        """Look the host up; raises urllib3's errors."""
        try:
            return addresses_of(name, self.port, seconds)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"Looking up {self.host} took more than {seconds} s.") from error
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, f"Failed to look up {self.host}: {error}") from error


class _LimitedTlsConnection(_LimitedConnection, HTTPSConnection):
    """A connection with TLS; the handshake as a whole has the connect timeout."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _LimitedConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _LimitedTlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}
