"""`/dataSources`: the tables of an instance, with columns, types and sensitivity."""

from __future__ import annotations

import re
from typing import Any

from werkzeug.wrappers import Request, Response

from amc_facts.tables import TABLES, Table
from local_amc.access import check_reporting
from local_amc.fixtures import Instance
from local_amc.paging import page
from local_amc.request_fields import invalid
from local_amc.responses import json_response, single
from local_amc.state import ServerState

_TYPE = "application/vnd.amcdatasources.v1+json"
_AMC_TYPES = {
    "VARCHAR": "STRING", "BIGINT": "LONG", "INTEGER": "INTEGER", "BOOLEAN": "BOOLEAN", "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP", "DOUBLE": "DOUBLE", "VARCHAR[]": "ARRAY",
}  # fmt: skip
_UPLOADED = "Uploaded by the advertiser."
# Tables of paid features.
_PREMIUM = re.compile(
    r"audience_segments_|conversions_all|amazon_retail|amazon_brand_store|amazon_your|amazon_pvc|experian|ncs"
)


def data_sources(state: ServerState, request: Request, instance_id: str) -> Response:
    """`GET /dataSources`."""
    found = check_reporting(state, request, instance_id)
    rows = [_body(table, is_uploaded=uploaded) for table, uploaded in _tables(state, found)]
    return json_response(
        page(request, "dataSources", rows, bound_to=f"dataSources:{instance_id}"), content_type=_TYPE
    )


def data_source(state: ServerState, request: Request, instance_id: str, data_source_id: str) -> Response:
    """`GET /dataSources/{id}`."""
    found = check_reporting(state, request, instance_id)
    for table, uploaded in _tables(state, found):
        if table.name == data_source_id:
            body = _body(table, is_uploaded=uploaded)
            return single("dataSource", body, is_wrapped=state.options.wraps_answers, content_type=_TYPE)
    raise invalid(f"Data source with ID {data_source_id} does not exist.")


def _tables(state: ServerState, found: Instance) -> list[tuple[Table, bool]]:
    """Return an instance's tables, and for each whether an advertiser has uploaded it."""
    types = found.body.get("advertiserTypes") or []
    own = [
        table
        for table in TABLES.values()
        if (table.advertiser_type is None or table.advertiser_type in types)
        and (table.is_in_sandbox or not found.is_sandbox)
    ]
    uploads = state.queries.uploads(found.instance_id)
    return [(table, False) for table in own] + [(table, True) for table in uploads]


def _body(table: Table, *, is_uploaded: bool) -> dict[str, Any]:
    return {
        "dataSourceId": table.name,
        "description": _UPLOADED if is_uploaded else table.description,
        "owner": "CUSTOMER" if is_uploaded else "AMAZON",
        "provider": "ADVERTISER_DATA_UPLOAD" if is_uploaded else "AMAZON",
        "isPremium": bool(_PREMIUM.match(table.name)),
        "tags": [],
        "outputChannels": [{"channel": {"type": "DOWNLOAD"}, "outputAvailable": True}],
        "columns": [
            {
                "name": column.name,
                "columnType": column.kind,
                "dataType": _AMC_TYPES.get(column.type, "DECIMAL"),
                "sensitivity": column.threshold,
                "description": _UPLOADED if is_uploaded else column.description,
            }
            for column in table.columns.values()
        ],
    }
