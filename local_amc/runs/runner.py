"""Progress of executions by the clock, and the running of their SQL."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import duckdb

from amc_facts.limits import MAX_OPEN_PER_ACCOUNT, MAX_OPEN_PER_INSTANCE
from local_amc import engine
from local_amc.runs.execution import (
    ALL_STATES,
    CANCELLED,
    FAILED,
    OPEN,
    PENDING,
    REJECTED,
    RUNNING,
    SUCCEEDED,
    WorkflowExecution,
)
from local_amc.runs.queries import ExecutionQueries, check_output_columns, write_result
from local_amc.sql.errors import SqlError

logger = logging.getLogger("local_amc")

# Seconds until a run is validated, then until it starts, then until it ends; times the server's speed.
VALIDATION, QUEUE, RUN = 2.0, 3.0, 5.0
# Real seconds a query may take, whatever timeout was asked for: this is a developer's own machine.
_MAX_QUERY_SECONDS = 120.0
_TICK = 0.1
# Queries at once; runs that have been computed and wait for their planned end take no thread.
_THREADS = MAX_OPEN_PER_INSTANCE
_MAX_STOP_SECONDS = 10.0
_COMPILE_ERROR = "was unable to compile workflow: From line 1, column 8 to line 1, column 15: Object 'x' not found"
# Status and reason, by a fault's name and variant.
_FAULT_OUTCOMES = {
    ("exec_failed", ""): (FAILED, "The workflow execution failed because of an internal error."),
    ("exec_rejected", ""): (REJECTED, _COMPILE_ERROR),
    ("exec_rejected", "compile"): (REJECTED, _COMPILE_ERROR),
    ("exec_rejected", "privacy"): (
        REJECTED,
        "The query output violates a privacy rule: a column may not be in the output.",
    ),
    ("exec_rejected", "overlap"): (
        REJECTED,
        "Execution was rejected: too many workflows have already been run against the same input data sources",
    ),
}


class _Job:
    """An execution that runs in this process, with the connections it holds."""

    def __init__(self, execution: WorkflowExecution) -> None:
        self.execution = execution
        self.cursors: list[duckdb.DuckDBPyConnection] = []
        self.future: Future[None] | None = None
        self.is_stopped = False
        # Set when nothing of it runs any more, although its end may still be kept back.
        self.is_over = threading.Event()
        self.is_concluded = False

    def interrupt(self) -> None:
        """Stop it now; asked again and again, because nothing is interrupted between two statements."""
        self.is_stopped = True
        self.interrupt_query()

    def interrupt_query(self) -> None:
        """Stop its query only, which then counts as too long."""
        for cursor in list(self.cursors):
            cursor.interrupt()


class Runner:
    """Moves executions on, in a thread of its own or, with speed 0, at once.

    States change under one lock: what is read there is still true when it is acted on, so nothing runs twice.
    """

    def __init__(self, queries: ExecutionQueries, *, speed: float, folder: Path) -> None:
        self._queries, self._speed, self._folder = queries, speed, folder
        self._clock, self._records = queries.clock, queries.records
        self._lock = threading.RLock()
        self._pool = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="local-amc-run")
        self._jobs: dict[str, _Job] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="local-amc-runner", daemon=True)

    def start(self) -> None:
        """Begin to move executions on; those a stop interrupted run again."""
        for execution in self._running():
            execution.status, execution.started_at = PENDING, None
            self._save(execution)
        self._thread.start()

    def stop(self) -> None:
        """Interrupt what runs and wait for it; it runs again after the next start."""
        with self._lock:
            # Under the lock, so that nothing new begins after it.
            self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for job in self._all_jobs():
            if job.future is not None and job.future.cancelled():
                job.is_over.set()
        end = time.monotonic() + _MAX_STOP_SECONDS
        while time.monotonic() < end and not all(job.is_over.is_set() for job in self._all_jobs()):
            self._queries.warehouse.interrupt()
            for job in self._all_jobs():
                job.interrupt()
            time.sleep(0.02)
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def forget(self) -> None:
        """Drop what runs, when all executions are forgotten."""
        with self._lock:
            for job in self._jobs.values():
                job.interrupt()
            self._jobs.clear()
            shutil.rmtree(self._folder, ignore_errors=True)

    def submit(self, execution: WorkflowExecution) -> None:
        """Take on a new execution; at speed 0 it has ended when this returns, unless as many run as may."""
        with self._lock:
            if (
                self._speed
                or execution.planned_outcome == "exec_stuck"
                or self._is_full(execution, self._running())
            ):
                self._records.add_execution(execution.to_record())
                return
            execution.status, execution.started_at = RUNNING, self._now()
            self._records.add_execution(execution.to_record())
            job = self._jobs[execution.id] = _Job(execution)
        self._run_safely(job)

    def advance(self) -> None:
        """Do all that is due by the clock."""
        with self._lock:
            waiting = self._open_executions()
            running = [execution for execution in waiting if execution.status == RUNNING]
            for execution in waiting:
                if execution.status == PENDING:
                    self._advance_pending(execution, running)
                else:
                    self._advance_running(execution)
            for job in list(self._jobs.values()):
                if job.is_stopped and job.is_over.is_set():
                    self._conclude(job)
                elif job.is_stopped:
                    job.interrupt()

    def cancel(self, key: str) -> bool:
        """Cancel an open execution; returns False when it has ended before."""
        with self._lock:
            return self.force(key, CANCELLED) if self._is_open(key) else False

    def force(self, key: str, status: str, reason: str = "") -> bool:
        """Set the status of an execution and stop what runs for it; returns False when there is no such one."""
        with self._lock:
            record = self._records.execution(key)
            if record is None:
                return False
            execution = WorkflowExecution.from_record(record)
            execution.status, execution.reason = status, reason or execution.reason
            execution.finished_at = None if status in OPEN else self._now()
            execution.started_at = execution.started_at or (self._now() if status == RUNNING else None)
            self._save(execution, only_from=ALL_STATES)
            if key in self._jobs:
                self._jobs[key].interrupt()
            return True

    def part_path(self, execution: WorkflowExecution, name: str) -> Path:
        """Return where a file of the result is."""
        return self._folder / execution.id / name

    def _loop(self) -> None:
        while not self._stop.wait(_TICK):
            try:
                self.advance()
            # One bad record must not stop all others.
            except Exception:
                logger.exception("progress failed")

    def _all_jobs(self) -> list[_Job]:
        with self._lock:
            return list(self._jobs.values())

    def _open_executions(self) -> list[WorkflowExecution]:
        return [WorkflowExecution.from_record(record) for record in self._records.open_executions()]

    def _running(self) -> list[WorkflowExecution]:
        return [execution for execution in self._open_executions() if execution.status == RUNNING]

    def _is_open(self, key: str) -> bool:
        record = self._records.execution(key)
        return record is not None and record["status"] in OPEN

    def _advance_pending(self, execution: WorkflowExecution, running: list[WorkflowExecution]) -> None:
        speed, age = self._speed, self._now() - execution.created_at
        if execution.validated_at is None and age >= VALIDATION * speed:
            execution.validated_at = self._now()
            self._save(execution)
        if age < (VALIDATION + QUEUE) * speed or execution.id in self._jobs or self._is_full(execution, running):
            return
        execution.status, execution.started_at = RUNNING, self._now()
        if self._save(execution):
            running.append(execution)
            self._begin(execution)

    def _is_full(self, execution: WorkflowExecution, running: list[WorkflowExecution]) -> bool:
        """Return whether as many runs are going on as Amazon allows."""
        instances = self._queries.instances
        of_instance = [other for other in running if other.instance_id == execution.instance_id]
        account = instances[execution.instance_id].account_id
        of_account = [other for other in running if instances[other.instance_id].account_id == account]
        return len(of_instance) >= MAX_OPEN_PER_INSTANCE or len(of_account) >= MAX_OPEN_PER_ACCOUNT

    def _advance_running(self, execution: WorkflowExecution) -> None:
        job = self._jobs.get(execution.id)
        if execution.planned_outcome == "exec_stuck":
            return
        # A run takes its planned time, however soon it has been computed; that may be longer than it was given.
        is_computed = job is not None and job.is_over.is_set()
        if job is not None and is_computed and RUN * self._speed < execution.timeout_seconds:
            self._conclude(job)
        elif self._now() - (execution.started_at or 0) >= execution.timeout_seconds:
            reason = f"The workflow execution timed out after {execution.timeout_seconds} seconds."
            self.force(execution.id, FAILED, reason)
        elif job is None:
            self._begin(execution)

    def _begin(self, execution: WorkflowExecution) -> None:
        if execution.planned_outcome != "exec_stuck" and not self._stop.is_set():
            job = self._jobs[execution.id] = _Job(execution)
            job.future = self._pool.submit(self._run_safely, job)

    def _run_safely(self, job: _Job) -> None:
        execution = job.execution
        try:
            self._run_job(job)
        # A bug must not leave the execution open for ever.
        except Exception:
            if not job.is_stopped:
                logger.exception("run failed id=%s", execution.id)
            execution.status, execution.reason = FAILED, "Internal error of the local AMC"
        finally:
            job.is_over.set()
            with self._lock:
                self._conclude(job)

    def _run_job(self, job: _Job) -> None:
        """Run an execution to its end, and leave in it how it ended."""
        execution = job.execution
        if execution.planned_outcome in ("exec_failed", "exec_rejected"):
            outcome = _FAULT_OUTCOMES[execution.planned_outcome, execution.planned_variant]
            execution.status, execution.reason = outcome
            return
        try:
            self._execute(job)
            execution.status = SUCCEEDED
        except SqlError as problem:
            execution.status, execution.reason = REJECTED, str(problem)
        except duckdb.InterruptException:
            execution.status = FAILED
            execution.reason = (
                f"The workflow execution timed out after {_MAX_QUERY_SECONDS:.0f} seconds of computing."
            )

    def _conclude(self, job: _Job) -> None:
        """Keep how a run ended once it has taken as long as runs take here, or drop what no caller waits for."""
        execution = job.execution
        is_known = self._jobs.get(execution.id) is job
        # Its own thread and the loop may both come here; what the first one kept the second must not remove.
        if self._stop.is_set() or job.is_concluded:
            return
        if is_known and not job.is_stopped:
            planned = (execution.started_at or 0) + RUN * self._speed
            if self._now() < planned and execution.status != REJECTED:
                return
            execution.finished_at = self._now()
            is_kept = self._save(execution)
        else:
            is_kept = False
        job.is_concluded = True
        if is_known:
            del self._jobs[execution.id]
        if not is_kept:
            shutil.rmtree(self._folder / execution.id, ignore_errors=True)

    def _execute(self, job: _Job) -> None:
        execution = job.execution
        with self._queries.prepare(execution) as (cursor, compiled, source):
            job.cursors.append(cursor)
            timer = threading.Timer(_MAX_QUERY_SECONDS, job.interrupt_query)
            timer.daemon = True
            timer.start()
            try:
                self._check_wanted(job)
                prepared = engine.prepare(cursor, compiled, execution.options, source)
                check_output_columns(execution, prepared)
                execution.columns = [column.to_json() for column in prepared.columns]
                execution.validated_at = execution.validated_at or self._now()
                self._check_wanted(job)
                if not (execution.is_dry_run or execution.skips_publishing):
                    rows = engine.rows(cursor, prepared, source)
                    rows_per_part = self._queries.options.rows_per_part
                    write_result(execution, self._folder / execution.id, prepared, rows, rows_per_part)
            finally:
                timer.cancel()
                job.cursors.clear()

    def _check_wanted(self, job: _Job) -> None:
        if job.is_stopped or self._stop.is_set():
            raise duckdb.InterruptException("stopped")

    def _save(self, execution: WorkflowExecution, *, only_from: tuple[str, ...] = OPEN) -> bool:
        execution.updated_at = self._now()
        return self._records.save_execution(execution.to_record(), only_from=only_from)

    def _now(self) -> float:
        return self._clock.timestamp()
