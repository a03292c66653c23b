"""`downloadUrls`, and the files behind them: signed links that live ten minutes, like S3's."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import wrap_file

from local_amc.access import check_reporting
from local_amc.faults import is_hit_by
from local_amc.records import SECRETS
from local_amc.reporting.executions import find
from local_amc.request_fields import invalid
from local_amc.responses import json_response
from local_amc.runs.execution import SUCCEEDED, WorkflowExecution
from local_amc.state import ServerState

LINK_SECONDS = 600
_TYPE = "application/vnd.amcworkflowexecutions.v1+json"
_DATE = "%Y%m%dT%H%M%SZ"
_METADATA = "metadata.json"


def download_urls(state: ServerState, request: Request, instance_id: str, execution_id: str) -> Response:
    """`GET /workflowExecutions/{id}/downloadUrls`: fresh links each time."""
    check_reporting(state, request, instance_id)
    state.runner.advance()
    found = find(state, instance_id, execution_id)
    is_held_back = is_hit_by(request, "download_not_ready")
    if is_held_back or not found.has_result or found.shown_status(state.clock.timestamp()) != SUCCEEDED:
        raise invalid(f"Workflow execution with ID {execution_id} is unavailable for download.")
    base = request.host_url.rstrip("/")
    return json_response(
        {
            "downloadUrls": [base + _signed(state, found, name) for name in found.parts],
            "metadataDownloadUrls": [base + _signed(state, found, _METADATA)],
        },
        content_type=_TYPE,
    )


def result(state: ServerState, request: Request, instance_id: str, execution_id: str, name: str) -> Response:
    """`GET /results/…`: a file, for a caller with an unaltered link that is not too old."""
    if "Authorization" in request.headers:
        return _s3_error(
            400, "InvalidArgument", "Only one auth mechanism allowed; only the signature may be sent."
        )
    if is_hit_by(request, "download_bad_signature") or not _has_good_signature(state, request):
        return _s3_error(403, "SignatureDoesNotMatch", "The request signature does not match the one calculated.")
    if is_hit_by(request, "download_expired") or _is_expired(state, request):
        return _s3_error(403, "AccessDenied", "Request has expired")
    if is_hit_by(request, "download_500"):
        return _s3_error(500, "InternalError", "We encountered an internal error. Please try again.")
    record = state.store.records.execution(execution_id)
    found = WorkflowExecution.from_record(record) if record else None
    if found is None or found.instance_id != instance_id or name not in [*found.parts, _METADATA]:
        return _s3_error(404, "NoSuchKey", "The specified key does not exist.")
    if name == _METADATA:
        return _metadata(found)
    return _file(state, request, found, name)


def _file(state: ServerState, request: Request, found: WorkflowExecution, name: str) -> Response:
    path = state.runner.part_path(found, name)
    if not path.exists():
        return _s3_error(404, "NoSuchKey", "The specified key does not exist.")
    if is_hit_by(request, "download_gzip"):
        return Response(gzip.compress(path.read_bytes()), content_type="text/csv")
    if is_hit_by(request, "download_header_mismatch") and name != found.parts[0]:
        return Response(b"another_" + path.read_bytes(), content_type="text/csv")
    size = path.stat().st_size
    if is_hit_by(request, "download_truncated"):
        response = Response(path.read_bytes()[: size // 2], content_type="text/csv")
        response.headers["Content-Length"] = str(size)
        return response
    file = path.open("rb")
    response = Response(wrap_file(request.environ, file, 65_536), content_type="text/csv", direct_passthrough=True)
    response.headers["Content-Length"] = str(size)
    return response


def _metadata(found: WorkflowExecution) -> Response:
    body = {
        "workflowId": found.workflow_id,
        "workflowExecutionId": found.id,
        "sqlQuery": found.sql,
        "rows": found.rows,
    }
    return Response(json.dumps(body), content_type="application/json")


def _signed(state: ServerState, found: WorkflowExecution, name: str) -> str:
    path = f"/results/{found.instance_id}/{found.id}/{name}"
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Date": state.clock.now().strftime(_DATE),
        "X-Amz-Expires": str(LINK_SECONDS),
        # Two links of the same second differ too.
        "X-Amz-Security-Token": secrets.token_urlsafe(12),
    }
    return f"{path}?{urlencode({**query, 'X-Amz-Signature': _signature(state, path, query)})}"


def _signature(state: ServerState, path: str, query: dict[str, str]) -> str:
    text = f"{path}?{urlencode(sorted(query.items()))}"
    return hmac.new(_key(state), text.encode(), hashlib.sha256).hexdigest()


def _key(state: ServerState) -> bytes:
    """Return the key of signatures; it survives a restart, as links do."""
    kept = state.store.records.get(SECRETS, "", "links")
    if kept is None:
        state.store.records.add(SECRETS, "", "links", {"key": secrets.token_hex(32)})
        kept = state.store.records.get(SECRETS, "", "links")
    return bytes.fromhex(kept["key"]) if kept else b""


def _has_good_signature(state: ServerState, request: Request) -> bool:
    query = request.args.to_dict()
    given = query.pop("X-Amz-Signature", "")
    return hmac.compare_digest(given.encode(), _signature(state, request.path, query).encode())


def _is_expired(state: ServerState, request: Request) -> bool:
    try:
        issued = datetime.strptime(request.args["X-Amz-Date"], _DATE).replace(tzinfo=UTC)
        seconds = int(request.args["X-Amz-Expires"])
    except (KeyError, ValueError):
        return True
    return state.clock.now() >= issued + timedelta(seconds=seconds)


def _s3_error(status: int, code: str, message: str) -> Response:
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    )
    return Response(body, status, content_type="application/xml")
