"""Why a run cannot start now: what each reason means by hand and by plan."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from executions.errors import ErrorCode, NotRunnableError
from executions.services.readiness import StartAction, blocking_verdict, ensure_startable, start_verdicts
from instances.models import AmazonConnection, AMCInstance, Health, Status
from planning.windows import Window
from templates_app.models import InstanceTemplate
from tests.base import CastTestCase
from tests.factories import AccountFactory, ConnectionFactory, InstanceFactory

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
WINDOW = Window(date(2026, 10, 1), date(2026, 10, 7), "UTC")
Verdicts = tuple[StartAction, StartAction]
REFUSE, SKIP, TRY = StartAction.REFUSE, StartAction.SKIP, StartAction.TRY


class ReadinessTests(CastTestCase):
    def world(self, *, login: str = "CONNECTED", archived: bool = False, **instance: Any) -> AMCInstance:
        """Return an instance, not saved, with this much wrong; `self.template` is its template."""
        connection = ConnectionFactory.build(user=self.alice, label="Alice's login", status=login)
        built = InstanceFactory.build(account=AccountFactory.build(connection=connection), **instance)
        self.template = InstanceTemplate(instance=built, name="Reach", archived_at=NOW if archived else None)
        return built

    def actions(
        self, instance: AMCInstance, window: Window | None = WINDOW
    ) -> dict[str, tuple[StartAction, StartAction]]:
        by_hand, planned = (
            start_verdicts(instance, self.template, window, now=NOW, is_planned=is_planned)
            for is_planned in (False, True)
        )
        self.assertEqual([one.message for one in by_hand], [one.message for one in planned])
        return {one.code: (one.action, two.action) for one, two in zip(by_hand, planned, strict=True)}

    def test_nothing_stands_against_a_run(self) -> None:
        self.assertEqual(self.actions(self.world()), {})

    def test_each_reason_has_one_verdict_by_hand_and_one_by_plan(self) -> None:
        reconnect = AmazonConnection.Status.RECONNECT_REQUIRED
        cases: tuple[tuple[dict[str, Any], ErrorCode, StartAction, StartAction], ...] = (
            ({"archived": True}, ErrorCode.TEMPLATE_ARCHIVED, REFUSE, SKIP),
            ({"is_active": False, "status": Status.INACTIVE}, ErrorCode.INSTANCE_DISABLED, REFUSE, SKIP),
            ({"login": reconnect}, ErrorCode.RECONNECT_REQUIRED, REFUSE, SKIP),
            ({"health_status": Health.UNHEALTHY}, ErrorCode.INSTANCE_UNHEALTHY, TRY, SKIP),
            ({"status": Status.PENDING}, ErrorCode.INSTANCE_PENDING, REFUSE, SKIP),
            ({"health_status": Health.ERROR}, ErrorCode.HEALTH_UNKNOWN, TRY, TRY),
        )
        for wrong, code, by_hand, planned in cases:
            with self.subTest(code):
                self.assertEqual(self.actions(self.world(**wrong)), {code: (by_hand, planned)})

    def test_long_sql_and_long_lists_are_a_warning(self) -> None:
        instance = self.world()
        self.template.sql_query = "é" * 32_769
        self.assertEqual(self.actions(instance), {ErrorCode.LONG_SQL: (TRY, TRY)})
        self.template.sql_query = "SELECT 1"
        self.template.parameter_values = {"asins": " ".join(f"B{number:09}" for number in range(1_001))}
        (verdict,) = start_verdicts(instance, self.template, WINDOW, now=NOW)
        self.assertIn("asins has 1,001 items", verdict.message)

    def test_window_amc_has_no_data_of_is_refused(self) -> None:
        old = Window(date(2020, 1, 1), date(2020, 1, 31), "UTC")
        self.assertEqual(self.actions(self.world(), old), {ErrorCode.WINDOW_REFUSED: (REFUSE, REFUSE)})

    def test_same_sql_again_needs_no_template(self) -> None:
        instance = self.world(archived=True)
        self.assertEqual(start_verdicts(instance, None, WINDOW, now=NOW), [])

    def test_slot_is_skipped_rather_than_failed_where_both_apply(self) -> None:
        instance = self.world(status=Status.PENDING, health_status=Health.UNHEALTHY, health_error="No terms.")
        verdict = blocking_verdict(instance, self.template, WINDOW, now=NOW, is_planned=True)
        assert verdict is not None
        self.assertEqual((verdict.action, verdict.code), (SKIP, ErrorCode.INSTANCE_UNHEALTHY))
        self.assertIn("No terms.", verdict.message)
        verdict = blocking_verdict(instance, self.template, WINDOW, now=NOW)
        assert verdict is not None
        self.assertEqual((verdict.action, verdict.code), (REFUSE, ErrorCode.INSTANCE_PENDING))

    def test_all_that_stands_against_a_start_is_told_at_once(self) -> None:
        instance = self.world(
            archived=True,
            login=AmazonConnection.Status.RECONNECT_REQUIRED,
            is_active=False,
            status=Status.INACTIVE,
        )
        old = Window(date(2020, 1, 1), date(2020, 1, 31), "UTC")
        with self.assertRaises(NotRunnableError) as caught:
            ensure_startable(instance, self.template, old, now=NOW, also=NotRunnableError("Give it a name."))
        said = caught.exception.message
        words = ("is archived", "is disabled", "is not connected", "13 months", "Give it a name.")
        self.assertEqual(sorted(words, key=said.index), list(words))
        self.assertEqual(caught.exception.reason, ErrorCode.TEMPLATE_ARCHIVED)

    def test_warnings_stop_nobody_by_hand(self) -> None:
        ensure_startable(self.world(health_status=Health.UNHEALTHY), self.template, WINDOW, now=NOW)
        with self.assertRaises(NotRunnableError) as caught:
            ensure_startable(self.world(archived=True), self.template, WINDOW, now=NOW)
        self.assertEqual(caught.exception.reason, ErrorCode.TEMPLATE_ARCHIVED)
