"""Our own queue: how many runs AMC takes, which one is next, what the others wait for, and messages to workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from amchelper.bulk import ROWS_WITH_TEXT, batches
from amchelper.leases import CLOCK_SKEW_LIMIT
from amchelper.queue import send_for_rows, send_task
from executions.models import Execution, ExecutionQuerySet, ExecutionStatus
from instances.amc.types import AccountRef
from instances.models import AMCAccount, AMCInstance

# By name: tasks are above services and import them.
_ADVANCE = "executions.tasks.advance_execution"
_ADMIT = "executions.tasks.admit_executions"


@dataclass(frozen=True)
class Capacity:
    """How many runs are open at AMC and how many may be, for an instance and for its account."""

    instance_open: int
    instance_limit: int
    account_open: int
    account_limit: int

    @property
    def free(self) -> int:
        """Return how many more runs of this instance AMC takes now."""
        return max(0, min(self.instance_limit - self.instance_open, self.account_limit - self.account_open))


def capacity(instance: AMCInstance) -> Capacity:
    """Return how full an instance and its account are, all of our users together."""
    account = Execution.objects.at_amc().filter(_of_account(instance.account.ref))
    counts = account.aggregate(
        account=Count("pk"), instance=Count("pk", filter=Q(instance__instance_id=instance.instance_id))
    )
    return Capacity(
        counts["instance"], settings.EXECUTIONS_PER_INSTANCE, counts["account"], settings.EXECUTIONS_PER_ACCOUNT
    )


def send_steps(pks: Iterable[UUID]) -> None:
    """Tell the workers that steps of these executions are due; whoever made them due has set `sent_at` too."""
    send_for_rows(_ADVANCE, pks)


def send_admission(account: AccountRef) -> None:
    """Tell the workers that runs wait in our queue for this account."""
    send_task(_ADMIT, account.account_id, account.marketplace_id)


def queue_position(execution: Execution) -> int | None:
    """Return the position in the instance's queue, 1 for the next one; None when it does not wait in it."""
    return queue_positions([execution]).get(execution.pk)


def queue_positions(executions: Iterable[Execution]) -> dict[UUID, int]:
    """Return the positions of those that wait, in one query. The instances must be loaded."""
    wanted = {one.pk: one.instance.instance_id for one in executions if one.status == ExecutionStatus.QUEUED}
    if not wanted:
        return {}
    rows = Execution.objects.waiting().filter(instance__instance_id__in=set(wanted.values()))
    positions: Counter[tuple[str, str, str]] = Counter()
    found = {}
    for pk, *key in rows.values_list(
        "pk", "instance__instance_id", "instance__account__account_id", "instance__account__marketplace_id"
    ):
        instance = (key[0], key[1], key[2])
        positions[instance] += 1
        if pk in wanted:
            found[pk] = positions[instance]
    return found


def admit_waiting(account: AccountRef) -> list[UUID]:
    """Let runs out of the queue while instance and account have capacity, the oldest first; returns those admitted."""
    admitted: list[UUID] = []
    while True:
        admission, some = _admit_some(account)
        admitted += some
        if len(some) < ROWS_WITH_TEXT:
            break
    admission.explain()
    return admitted


def _admit_some(account: AccountRef) -> tuple[_Admission, list[UUID]]:
    """Admit the next few. The account's rows are locked meanwhile (SQLite locks everything): a place is given once."""
    with transaction.atomic():
        _lock(account)
        now = timezone.now()
        admission = _Admission(account, now)
        admitted = admission.choose(ROWS_WITH_TEXT)
        Execution.objects.filter(pk__in=admitted, status=ExecutionStatus.QUEUED).update(
            status=ExecutionStatus.SUBMITTING,
            waiting_for="",
            next_step_at=now,
            step_attempts=0,
            sent_at=now,
        )
    return admission, admitted


def admit_and_send(account: AccountRef) -> None:
    """Admit what waits for this account and tell the workers."""
    if Execution.objects.waiting().filter(_of_account(account)).exists():
        send_steps(admit_waiting(account))


def release(execution: Execution) -> None:
    """Let the runs that wait for an account know that one of its runs has left AMC."""
    now = timezone.now()
    account = execution.instance.account.ref
    same_instance = Execution.objects.waiting().filter(
        instance__instance_id=execution.instance.instance_id, next_step_at__gt=now
    )
    # Told that AMC is full: with this capacity free it is worth asking again.
    Execution.objects.filter(pk__in=same_instance.order_by().values("pk"), status=ExecutionStatus.QUEUED).update(
        next_step_at=now
    )
    # Runs that end together are followed by one admission, and their workers do not wait for each other.
    if Execution.objects.waiting().filter(_of_account(account)).exists():
        send_admission(account)


def accounts_with_waiting(now: datetime, *, limit: int) -> list[AccountRef]:
    """Return accounts for which runs wait that may be admitted; of more than `limit` a random choice."""
    rows = (
        Execution.objects.filter(status=ExecutionStatus.QUEUED)
        .filter(Q(next_step_at__lte=now) | Q(next_step_at__gt=now + CLOCK_SKEW_LIMIT))
        .order_by()
        .values_list("instance__account__account_id", "instance__account__marketplace_id")
        .annotate(Count("pk"))  # groups them
        .order_by("?")[:limit]
    )
    return [AccountRef(account_id, marketplace_id) for account_id, marketplace_id, _ in rows]


class _Admission:
    """Which runs get the free capacity of one account."""

    def __init__(self, account: AccountRef, now: datetime) -> None:
        self._waiting: ExecutionQuerySet = Execution.objects.waiting().filter(_of_account(account))
        open_runs = (
            Execution.objects.at_amc()
            .filter(_of_account(account))
            .order_by()
            .values_list("instance__instance_id")
            .annotate(count=Count("pk"))
        )
        self._open = Counter(dict(open_runs))
        self._limit, self._account_limit = settings.EXECUTIONS_PER_INSTANCE, settings.EXECUTIONS_PER_ACCOUNT
        # AMC said that these are full, with runs that are not ours: no run passes the one that was told so.
        self._paused = set(
            self._waiting.filter(next_step_at__gt=now, next_step_at__lte=now + CLOCK_SKEW_LIMIT)
            .order_by()
            .values_list("instance__instance_id", flat=True)
            .distinct()
        )

    def choose(self, most: int) -> list[UUID]:
        """Return the oldest that fit, in order, at most so many."""
        admitted: list[UUID] = []
        while (free := min(self._account_limit - self._open.total(), most - len(admitted))) > 0:
            candidates = (
                self._waiting.exclude(instance__instance_id__in=self._full | self._paused)
                .exclude(pk__in=admitted)
                .values_list("pk", "instance__instance_id")[:free]
            )
            if not candidates:
                break
            for pk, instance_id in candidates:
                if self._open[instance_id] < self._limit:
                    self._open[instance_id] += 1
                    admitted.append(pk)
        return admitted

    def explain(self) -> None:
        """Write on those that stay what they wait for."""
        if self._open.total() >= self._account_limit:
            text = f"A place at AMC: {self._account_limit} runs of this account are open there."
            self._tell(self._waiting, text)
        elif self._full:
            text = f"A place at AMC: {self._limit} runs of this instance are open there."
            self._tell(self._waiting.filter(instance__instance_id__in=self._full), text)

    @property
    def _full(self) -> set[str]:
        return {instance_id for instance_id, count in self._open.items() if count >= self._limit}

    def _tell(self, waiting: ExecutionQuerySet, text: str) -> None:
        untold = list(waiting.exclude(waiting_for=text).order_by().values_list("pk", flat=True))
        for batch in batches(untold, ROWS_WITH_TEXT):
            Execution.objects.filter(pk__in=batch, status=ExecutionStatus.QUEUED).update(waiting_for=text)


def _of_account(account: AccountRef) -> Q:
    # The pair is AMC's account; several users may each have a row of it.
    return Q(
        instance__account__account_id=account.account_id, instance__account__marketplace_id=account.marketplace_id
    )


def _lock(account: AccountRef) -> None:
    rows = AMCAccount.objects.filter(account_id=account.account_id, marketplace_id=account.marketplace_id)
    # In one order, or two workers could wait for each other; no_key: new instances may refer to them meanwhile.
    list(rows.select_for_update(no_key=True).order_by("pk").values_list("pk"))
