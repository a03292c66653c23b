"""The server: routing, request IDs, faults first, and starting one in a thread."""

from __future__ import annotations

import base64
import http.client
import json
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from local_amc import administration, control, lwa
from local_amc.access import find_token
from local_amc.clock import Clock
from local_amc.fault_effects import DropConnectionError, change, instead
from local_amc.faults import Faults, attach_fault
from local_amc.fixtures import build_instances, save_fixtures
from local_amc.http_server import listen
from local_amc.options import Options
from local_amc.reporting import data_sources, executions, results, schedules, workflows
from local_amc.request_log import RequestLog
from local_amc.responses import RequestRejectedError, as_account_error, error
from local_amc.runs.queries import ExecutionQueries
from local_amc.runs.runner import Runner
from local_amc.state import ServerState
from local_amc.store import MEMORY, Store, claim
from local_amc.warehouse import Warehouse

logger = logging.getLogger("local_amc")

_ACCOUNTS = "/amc/accounts"
_REPORTING = "/amc/reporting/<instance_id>"
# Endpoints are also the names of routes in faults.
_ROUTES = Map(
    [
        Rule("/ap/oa", endpoint="consent", methods=["GET", "POST"]),
        Rule("/consent.css", endpoint="consent_css", methods=["GET"]),
        Rule("/auth/o2/token", endpoint="token", methods=["POST"]),
        Rule(_ACCOUNTS, endpoint="accounts", methods=["GET"]),
        Rule("/amc/instances", endpoint="instances", methods=["GET"]),
        Rule("/amc/instances/<instance_id>", endpoint="instance", methods=["GET"]),
        Rule("/amc/instances/<instance_id>/advertisers", endpoint="advertisers", methods=["GET"]),
        Rule(f"{_REPORTING}/workflows", endpoint="workflows", methods=["GET", "POST"]),
        Rule(f"{_REPORTING}/workflows/<workflow_id>", endpoint="workflow", methods=["GET", "PUT", "DELETE"]),
        Rule(f"{_REPORTING}/workflowExecutions", endpoint="executions", methods=["GET", "POST"]),
        Rule(
            f"{_REPORTING}/workflowExecutions/<execution_id>",
            endpoint="execution",
            methods=["GET", "PUT", "DELETE"],
        ),
        Rule(
            f"{_REPORTING}/workflowExecutions/<execution_id>/downloadUrls",
            endpoint="download_urls",
            methods=["GET"],
        ),
        Rule(f"{_REPORTING}/schedules", endpoint="schedules", methods=["GET", "POST"]),
        Rule(f"{_REPORTING}/schedules/<schedule_id>", endpoint="schedule", methods=["GET", "PUT", "DELETE"]),
        Rule(f"{_REPORTING}/dataSources", endpoint="data_sources", methods=["GET"]),
        Rule(f"{_REPORTING}/dataSources/<data_source_id>", endpoint="data_source", methods=["GET"]),
        Rule("/results/<instance_id>/<execution_id>/<name>", endpoint="result", methods=["GET"]),
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
    "workflows": workflows.workflows,
    "workflow": workflows.workflow,
    "executions": executions.executions,
    "execution": executions.execution,
    "download_urls": results.download_urls,
    "schedules": schedules.schedules,
    "schedule": schedules.schedule,
    "data_sources": data_sources.data_sources,
    "data_source": data_sources.data_source,
    "result": results.result,
}


class LocalAmc:
    """The WSGI application: routes requests to the handlers, which get its `state`."""

    def __init__(
        self,
        *,
        seed: int = 7,
        speed: float = 1.0,
        store: str = MEMORY,
        data: str | Path | None = None,
        has_control: bool = False,
        **options: Any,
    ) -> None:
        """Open the folder `store` and begin to move executions on; `options` are those of `Options`.

        `data` is the folder of the instances' data, `<store>/data` without it. Raises StoreInUseError and OSError.
        """
        self.has_control = has_control
        self._claim = claim(store) if store != MEMORY else None
        self._temporary = tempfile.TemporaryDirectory(prefix="local-amc-") if store == MEMORY else None
        folder = Path(self._temporary.name if self._temporary else store)
        kept = Store(store)
        queries = ExecutionQueries(
            clock=Clock(),
            records=kept.records,
            options=Options(**options),
            instances=build_instances(seed),
            warehouse=Warehouse(data or folder / "data", seed),
        )
        self.state = ServerState(
            clock=queries.clock,
            store=kept,
            faults=Faults(seed),
            requests=RequestLog(),
            options=queries.options,
            instances=queries.instances,
            queries=queries,
            runner=Runner(queries, speed=speed, folder=folder / "results"),
        )
        save_fixtures(kept.records)
        self.state.runner.start()

    def close(self) -> None:
        """Stop what runs, and close all files; what is kept goes on after the next start."""
        self.state.runner.stop()
        self.state.queries.warehouse.close()
        self.state.store.close()
        if self._claim is not None:
            self._claim.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Respond to one request."""
        return self._respond(Request(environ))(environ, start_response)

    def _respond(self, request: Request) -> Response:
        if request.path.startswith("/__control/"):
            return control.handle(self.state, request) if self.has_control else error(404, "Not found")
        request_id = base64.b32encode(os.urandom(15)).decode()[:20]
        if self.has_control:
            self.state.requests.add(request, self.state.clock.now())
        try:
            response = self._handle(request)
        except DropConnectionError:
            self._log(request, "dropped", request_id)
            raise
        # A bug here must look like Amazon having trouble, not like a closed connection.
        except Exception:
            logger.exception("request failed path=%s", quote(request.path))
            response = error(500, "Internal error of the local AMC")
        if request.path == _ACCOUNTS:
            response = as_account_error(response, request_id)
        response.headers["x-amz-rid"] = response.headers["x-amz-request-id"] = request_id
        self._log(request, str(response.status_code), request_id)
        return response

    def _handle(self, request: Request) -> Response:
        """Return the response of an armed fault, or else of the route."""
        endpoint, arguments = _match(request)
        fault = None
        if self.state.faults.is_any_armed():
            token = find_token(self.state, request)
            fault = self.state.faults.pick(request, endpoint, token.issued_at if token else None)
        if fault is None:
            return self._route(request, endpoint, arguments)
        attach_fault(request, fault)
        return instead(fault, request) or change(fault, request, self._route(request, endpoint, arguments))

    def _route(self, request: Request, endpoint: str, arguments: dict[str, Any]) -> Response:
        if not endpoint:
            return error(404, "This is not part of the local AMC.")
        try:
            return _ENDPOINTS[endpoint](self.state, request, **arguments)
        except RequestRejectedError as rejected:
            return rejected.response

    def _log(self, request: Request, outcome: str, request_id: str) -> None:
        # The query stays out: it can hold a consent's state. Quoting keeps one request on one line.
        logger.info("%s %s %s %s", request.method, quote(request.path), outcome, request_id)


def _match(request: Request) -> tuple[str, dict[str, Any]]:
    """Return endpoint and arguments, or an empty name for what is not imitated."""
    try:
        endpoint, arguments = _ROUTES.bind_to_environ(request.environ).match()
    except HTTPException:
        return "", {}
    return str(endpoint), dict(arguments)


class LocalAmcServer:
    """A server in a thread, for tests: `with LocalAmcServer() as amc: amc.url`."""

    def __init__(
        self, *, seed: int = 7, store: str = MEMORY, port: int = 0, has_control: bool = True, **options: Any
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
        self.app.close()

    def control(self, method: str, route: str, body: dict[str, Any] | None = None) -> Any:
        """Call `/__control/<route>` over HTTP and return its JSON; raises ValueError with the server's reason."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, f"/__control/{route}", text, {"Content-Type": "application/json"})
            response = connection.getresponse()
            body = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(str(body))
        return body

    def arm(self, fault: str, **fields: Any) -> dict[str, Any]:
        """Arm a fault and return it as kept."""
        return dict(self.control("POST", "faults", {"fault": fault, **fields}))

    def reset(self) -> None:
        """Forget faults, requests, tokens and codes, and go back to real time."""
        self.control("POST", "reset")

    def received(self) -> list[dict[str, Any]]:
        """Return the requests received, oldest first, secrets shortened to a hash."""
        return list(self.control("GET", "requests")["requests"])
