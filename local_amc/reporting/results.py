"""`downloadUrls`, and the files behind them: signed links that live ten minutes, like S3's."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import wrap_file

from local_amc.answers import json_answer
from local_amc.records import SECRETS
from local_amc.reporting.checks import check_reporting, invalid
from local_amc.reporting.execution import SUCCEEDED, Execution
from local_amc.reporting.executions import find

if TYPE_CHECKING:
    from local_amc.server import LocalAmc

LINK_SECONDS = 600
_TYPE = "application/vnd.amcworkflowexecutions.v1+json"
_DATE = "%Y%m%dT%H%M%SZ"
_METADATA = "metadata.json"


def download_urls(app: LocalAmc, request: Request, instance_id: str, execution_id: str) -> Response:
    """`GET /workflowExecutions/{id}/downloadUrls`: fresh links each time."""
    check_reporting(app, request, instance_id)
    app.runner.advance()
    found = find(app, instance_id, execution_id)
    is_held_back = request.environ.get("local_amc.fault") == "download_not_ready"
    if is_held_back or not found.has_result or found.shown_status(app.clock.timestamp()) != SUCCEEDED:
        raise invalid(f"Workflow execution with ID {execution_id} is unavailable for download.")
    base = request.host_url.rstrip("/")
    return json_answer(
        {
            "downloadUrls": [base + _signed(app, found, name) for name in found.parts],
            "metadataDownloadUrls": [base + _signed(app, found, _METADATA)],
            "nextToken": None,
        },
        content_type=_TYPE,
    )


def result(app: LocalAmc, request: Request, instance_id: str, execution_id: str, name: str) -> Response:
    """`GET /results/…`: a file, for whoever has an unaltered link that is not too old."""
    fault = request.environ.get("local_amc.fault", "")
    if "Authorization" in request.headers:
        return _s3_error(
            400, "InvalidArgument", "Only one auth mechanism allowed; only the signature may be sent."
        )
    if fault == "download_bad_signature" or not _has_good_signature(app, request):
        return _s3_error(403, "SignatureDoesNotMatch", "The request signature does not match the one calculated.")
    if fault == "download_expired" or _is_expired(app, request):
        return _s3_error(403, "AccessDenied", "Request has expired")
    if fault == "download_500":
        return _s3_error(500, "InternalError", "We encountered an internal error. Please try again.")
    record = app.store.records.execution(execution_id)
    found = Execution.from_record(record) if record else None
    if found is None or found.instance_id != instance_id or name not in [*found.parts, _METADATA]:
        return _s3_error(404, "NoSuchKey", "The specified key does not exist.")
    if name == _METADATA:
        return _metadata(found)
    return _file(app, request, found, name, fault)


def _file(app: LocalAmc, request: Request, found: Execution, name: str, fault: str) -> Response:
    path = app.runner.part_path(found, name)
    if not path.exists():
        return _s3_error(404, "NoSuchKey", "The specified key does not exist.")
    if fault == "download_gzip":
        return Response(gzip.compress(path.read_bytes()), content_type="text/csv")
    if fault == "download_header_mismatch" and name != found.parts[0]:
        return Response(b"another_" + path.read_bytes(), content_type="text/csv")
    size = path.stat().st_size
    if fault == "download_truncated":
        response = Response(path.read_bytes()[: size // 2], content_type="text/csv")
        response.headers["Content-Length"] = str(size)
        return response
    file = path.open("rb")
    response = Response(wrap_file(request.environ, file, 65_536), content_type="text/csv", direct_passthrough=True)
    response.headers["Content-Length"] = str(size)
    return response


def _metadata(found: Execution) -> Response:
    body = {
        "workflowId": found.workflow_id,
        "workflowExecutionId": found.id,
        "sqlQuery": found.sql,
        "rows": found.rows,
    }
    return Response(json.dumps(body), content_type="application/json")


def _signed(app: LocalAmc, found: Execution, name: str) -> str:
    path = f"/results/{found.instance_id}/{found.id}/{name}"
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Date": app.clock.now().strftime(_DATE),
        "X-Amz-Expires": str(LINK_SECONDS),
        # Two links of the same second differ too.
        "X-Amz-Security-Token": secrets.token_urlsafe(12),
    }
    return f"{path}?{urlencode({**query, 'X-Amz-Signature': _signature(app, path, query)})}"


def _signature(app: LocalAmc, path: str, query: dict[str, str]) -> str:
    text = f"{path}?{urlencode(sorted(query.items()))}"
    return hmac.new(_key(app), text.encode(), hashlib.sha256).hexdigest()


def _key(app: LocalAmc) -> bytes:
    """Return the key of signatures; it survives a restart, as links do."""
    kept = app.store.records.get(SECRETS, "", "links")
    if kept is None:
        app.store.records.add(SECRETS, "", "links", {"key": secrets.token_hex(32)})
        kept = app.store.records.get(SECRETS, "", "links")
    return bytes.fromhex(kept["key"]) if kept else b""


def _has_good_signature(app: LocalAmc, request: Request) -> bool:
    query = request.args.to_dict()
    given = query.pop("X-Amz-Signature", "")
    return hmac.compare_digest(given.encode(), _signature(app, request.path, query).encode())


def _is_expired(app: LocalAmc, request: Request) -> bool:
    try:
        issued = datetime.strptime(request.args["X-Amz-Date"], _DATE).replace(tzinfo=UTC)
        seconds = int(request.args["X-Amz-Expires"])
    except (KeyError, ValueError):
        return True
    return app.clock.now() >= issued + timedelta(seconds=seconds)


def _s3_error(status: int, code: str, message: str) -> Response:
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    )
    return Response(body, status, content_type="application/xml")
