"""What pages show of the file that a worker makes of a result."""

from __future__ import annotations

from typing import Any

from executions.models import Execution, ExportFormat
from executions.results.paging import ResultPage
from executions.services.exports import export_of, is_inline, waiting_before


def export_context(execution: Execution, result: ResultPage | None = None) -> dict[str, Any]:
    """Return the export with what goes before it, and whether a spreadsheet of this result is made at once instead."""
    export = export_of(execution, ExportFormat.XLSX)
    is_waiting = export is not None and export.is_preparing and not export.rows_done
    cells = result.total * result.column_count if result is not None else 0
    return {
        "export": export,
        "waiting_before": waiting_before(export) if export is not None and is_waiting else 0,
        # A result that cannot be read says so when it is asked for.
        "is_inline": is_inline(cells, execution.byte_count or 0),
    }
