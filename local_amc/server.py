"""The server: routing, request IDs, faults, and starting and stopping."""

from __future__ import annotations

import logging
import secrets
import socket
import string
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, Rule
from werkzeug.serving import BaseWSGIServer, ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request, Response

from local_amc import administration, control, lwa
from local_amc.clock import Clock
from local_amc.faults import Faults, change, error, instead
from local_amc.fixtures import build_instances
from local_amc.store import Store

logger = logging.getLogger("local_amc")

_ROUTES = Map(
    [
        Rule("/ap/oa", endpoint="consent_page", methods=["GET"]),
        Rule("/ap/oa", endpoint="consent_answer", methods=["POST"]),
        Rule("/consent.css", endpoint="consent_css", methods=["GET"]),
        Rule("/auth/o2/token", endpoint="token", methods=["POST"]),
        Rule("/amc/accounts", endpoint="accounts", methods=["GET"]),
        Rule("/amc/instances", endpoint="instances", methods=["GET"]),
        Rule("/amc/instances/<instance_id>", endpoint="instance", methods=["GET"]),
        Rule("/amc/instances/<instance_id>/advertisers", endpoint="advertisers", methods=["GET"]),
        Rule("/amc/reporting/<instance_id>/workflows", endpoint="workflows", methods=["GET"]),
    ],
    strict_slashes=False,
)
_ENDPOINTS: dict[str, Callable[..., Response]] = {
    "consent_page": lwa.consent_page,
    "consent_answer": lwa.consent_answer,
    "consent_css": lambda app, request: Response(lwa.CONSENT_CSS, content_type="text/css"),
    "token": lwa.token,
    "accounts": administration.accounts,
    "instances": administration.instances,
    "instance": administration.instance,
    "advertisers": administration.advertisers,
    "workflows": administration.workflows,
}
_ID_ALPHABET = string.ascii_uppercase + string.digits


class LocalAmc:
    """The WSGI application and all it knows."""

    def __init__(self, *, seed: int = 7, store: str = ":memory:", has_control: bool = False) -> None:
        self.seed, self.has_control = seed, has_control
        self.clock = Clock()
        self.store = Store(store)
        self.faults = Faults(seed)
        self.requests = control.RequestLog()
        self.instances = build_instances(seed)
        self.terms_on_list = False

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        response = self._answer(request)
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if request.path.startswith("/__control/"):
            if not self.has_control:
                return error(404, "Not found")
            return control.handle(self, request, request.path.removeprefix("/__control/"))
        if self.has_control:
            self.requests.add(request)
        fault = self.faults.pick(request)
        response = (instead(fault, request) if fault else None) or self._route(request)
        if fault:
            response = change(fault, response)
        request_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(20))
        response.headers["x-amz-rid"] = response.headers["x-amz-request-id"] = request_id
        logger.info("%s %s %s %s", request.method, request.path, response.status_code, request_id)
        return response

    def _route(self, request: Request) -> Response:
        try:
            endpoint, arguments = _ROUTES.bind_to_environ(request.environ).match()
            return _ENDPOINTS[endpoint](self, request, **arguments)
        except administration.Refused as refused:
            return refused.response
        except MethodNotAllowed:
            return error(405, "Method not allowed")
        except HTTPException:
            return error(404, "This is not part of the local AMC.")
        # A bug here must look like Amazon having trouble, not like a closed connection.
        except Exception:
            logger.exception("request failed path=%s", request.path)
            return error(500, "Internal error of the local AMC")


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    # Answers are written in one go, so waiting to fill packets only delays them.
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 75

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Stay silent: the application logs one line per request itself, without query strings."""

    def log_error(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Stay silent about clients that go away."""

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """Close without an answer: the client went away, or a fault says so."""
        self.close_connection = True

    def handle(self) -> None:
        """Treat a connection that was reset as closed."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError, ValueError):
            self.close_connection = True

    def finish(self) -> None:
        """Close without a complaint when the peer is gone already."""
        with suppress(ConnectionError, ValueError):
            super().finish()


class _Server(ThreadedWSGIServer):
    daemon_threads = True
    request_queue_size = 512
    # Waiting for idle keep-alive connections would hold up stopping.
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about connections that broke."""


def make_server(app: LocalAmc, *, host: str, port: int) -> BaseWSGIServer:
    """Bind the server; raises OSError when the port is taken."""
    # Bound here, because werkzeug would end the whole process on a port in use.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(_Server.request_queue_size)
        server = _Server(host, bound.getsockname()[1], app, _Handler, fd=bound.fileno())
    finally:
        bound.close()
    server.log_startup = lambda: None  # type: ignore[method-assign]  # we announce the address ourselves
    return server


class LocalAmcServer:
    """A server in a thread, for tests: `with LocalAmcServer() as amc: amc.url`."""

    def __init__(self, *, seed: int = 7, store: str = ":memory:", port: int = 0, has_control: bool = True) -> None:
        self.app = LocalAmc(seed=seed, store=store, has_control=has_control)
        self._server = make_server(self.app, host="127.0.0.1", port=port)
        self.port = self._server.port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> LocalAmcServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
        self.app.store.close()
