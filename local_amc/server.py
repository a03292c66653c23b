"""The server: routing, request IDs, faults first, and starting one in a thread."""

from __future__ import annotations

import base64
import http.client
import json
import logging
import os
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any
from urllib.parse import quote

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from local_amc import administration, control, lwa
from local_amc.answers import RefusedError, error
from local_amc.clock import Clock
from local_amc.faults import Faults
from local_amc.fixtures import build_instances
from local_amc.listening import listen
from local_amc.misbehaviour import DropConnectionError, change, instead
from local_amc.store import Store, Token

logger = logging.getLogger("local_amc")

# Endpoints are also the names of routes in faults.
_ROUTES = Map(
    [
        Rule("/ap/oa", endpoint="consent", methods=["GET", "POST"]),
        Rule("/consent.css", endpoint="consent_css", methods=["GET"]),
        Rule("/auth/o2/token", endpoint="token", methods=["POST"]),
        Rule("/amc/accounts", endpoint="accounts", methods=["GET"]),
        Rule("/amc/instances", endpoint="instances", methods=["GET"]),
        Rule("/amc/instances/<instance_id>", endpoint="instance", methods=["GET"]),
        Rule("/amc/instances/<instance_id>/advertisers", endpoint="advertisers", methods=["GET"]),
        Rule("/amc/reporting/<instance_id>/workflows", endpoint="workflows", methods=["GET"]),
    ],
)
_ENDPOINTS: dict[str, Callable[..., Response]] = {
    "consent": lwa.consent,
    "consent_css": lwa.consent_css,
    "token": lwa.token,
    "accounts": administration.accounts,
    "instances": administration.instances,
    "instance": administration.instance,
    "advertisers": administration.advertisers,
    "workflows": administration.workflows,
}


class LocalAmc:
    """The WSGI application and all it knows."""

    # Declared for the control module, whose table refers back to this class.
    clock: Clock
    faults: Faults
    requests: control.RequestLog
    terms_on_list: bool

    def __init__(
        self,
        *,
        seed: int = 7,
        speed: float = 1.0,
        store: str = ":memory:",
        has_control: bool = False,
        terms_on_list: bool = False,
    ) -> None:
        self.seed, self.speed, self.has_control = seed, speed, has_control
        self.started_with_terms_on_list = self.terms_on_list = terms_on_list
        self.clock = Clock()
        self.store = Store(store)
        self.faults = Faults(seed)
        self.requests = control.RequestLog()
        self.instances = build_instances(seed)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        return self._answer(request)(environ, start_response)

    def token_of(self, request: Request) -> Token | None:
        """Give the access token of a request, expired or not; None when it is not one of ours."""
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        return self.store.find_token(value.strip()) if scheme.lower() == "bearer" else None

    def _answer(self, request: Request) -> Response:
        if request.path.startswith("/__control/"):
            return control.handle(self, request) if self.has_control else error(404, "Not found")
        request_id = base64.b32encode(os.urandom(15)).decode()[:20]
        if self.has_control:
            self.requests.add(request, self.clock.now())
        try:
            response = self._respond(request)
        except DropConnectionError:
            self._log(request, "dropped", request_id)
            raise
        # A bug here must look like Amazon having trouble, not like a closed connection.
        except Exception:
            logger.exception("request failed path=%s", quote(request.path))
            response = error(500, "Internal error of the local AMC")
        response.headers["x-amz-rid"] = response.headers["x-amz-request-id"] = request_id
        self._log(request, str(response.status_code), request_id)
        return response

    def _respond(self, request: Request) -> Response:
        """Let an armed fault answer first, then the route."""
        endpoint, arguments = _match(request)
        fault = None
        if self.faults.is_any_armed():
            token = self.token_of(request)
            fault = self.faults.pick(request, endpoint, token.issued_at if token else None)
        if fault is None:
            return self._route(request, endpoint, arguments)
        request.environ["local_amc.fault"] = fault.fault
        return instead(fault, request) or change(fault, request, self._route(request, endpoint, arguments))

    def _route(self, request: Request, endpoint: str, arguments: dict[str, Any]) -> Response:
        if not endpoint:
            return error(404, "This is not part of the local AMC.")
        try:
            return _ENDPOINTS[endpoint](self, request, **arguments)
        except RefusedError as refused:
            return refused.response

    def _log(self, request: Request, outcome: str, request_id: str) -> None:
        # The query stays out: it can hold a consent's state. Quoting keeps one request on one line.
        logger.info("%s %s %s %s", request.method, quote(request.path), outcome, request_id)


def _match(request: Request) -> tuple[str, dict[str, Any]]:
    """Give endpoint and arguments, or an empty name for whatever is not imitated."""
    try:
        endpoint, arguments = _ROUTES.bind_to_environ(request.environ).match()
    except HTTPException:
        return "", {}
    return str(endpoint), dict(arguments)


class LocalAmcServer:
    """A server in a thread, for tests: `with LocalAmcServer() as amc: amc.url`."""

    def __init__(
        self, *, seed: int = 7, store: str = ":memory:", port: int = 0, has_control: bool = True, **options: Any
    ) -> None:
        self.app = LocalAmc(seed=seed, store=store, has_control=has_control, **options)
        self._server = listen(self.app, host="127.0.0.1", port=port)
        self.port = self._server.port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> LocalAmcServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
        self.app.store.close()

    def control(self, method: str, route: str, body: dict[str, Any] | None = None) -> Any:
        """Call `/__control/<route>` over HTTP and give its JSON; raises ValueError with the server's reason."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, f"/__control/{route}", text, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(str(answer))
        return answer

    def arm(self, fault: str, **fields: Any) -> dict[str, Any]:
        """Arm a fault and give it as kept."""
        return dict(self.control("POST", "faults", {"fault": fault, **fields}))

    def reset(self) -> None:
        """Forget faults, requests, tokens and codes, and go back to real time."""
        self.control("POST", "reset")

    def received(self) -> list[dict[str, Any]]:
        """Give the requests received, oldest first, secrets shortened to a hash."""
        return list(self.control("GET", "requests")["requests"])
