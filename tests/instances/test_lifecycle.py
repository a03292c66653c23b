"""The life cycle's table, in the code, in the docs, and as services follow it."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.test import SimpleTestCase

from amchelper.exceptions import InvalidStateError
from instances.models import AMCInstance, Event, Health, Status
from instances.models.lifecycle import TRANSITIONS, event_of, next_status
from instances.services.instances import disable, enable
from tests.base import LocalAmcTestCase
from tests.factories import InstanceFactory


class TableTests(SimpleTestCase):
    def test_docs_show_the_table_of_the_code(self) -> None:
        text = (Path(settings.BASE_DIR) / "docs/lifecycle.md").read_text(encoding="utf-8")
        rows = [
            [c.strip() for c in line.strip("|\n ").split("|")]
            for line in text.splitlines()
            if line.startswith("|")
        ]
        start = next(n for n, row in enumerate(rows) if row[:2] == ["event", "PENDING"])
        states = rows[start][1:]
        shown = {row[0]: row[1:] for row in rows[start + 2 : start + 2 + len(Event)]}
        self.assertEqual(set(shown), set(Event.values))
        for event in Event:
            for state, cell in zip(states, shown[event], strict=True):
                expected = TRANSITIONS[Status(state)].get(event, "–")
                self.assertEqual(cell, str(expected), f"{state} + {event}")

    def test_every_state_is_covered_and_impossible_events_are_refused(self) -> None:
        self.assertEqual(set(TRANSITIONS), set(Status))
        for status, events in TRANSITIONS.items():
            for event in set(Event) - set(events):
                with self.assertRaises(InvalidStateError):
                    next_status(status, event)

    def test_one_failure_to_find_out_is_forgiven_two_are_not(self) -> None:
        self.assertEqual(event_of(Health.ERROR, 1), Event.CANNOT_TELL)
        self.assertEqual(event_of(Health.ERROR, 2), Event.CANNOT_TELL_AGAIN)
        self.assertEqual(event_of(Health.UNHEALTHY, 0), Event.DEFINITE_NO)
        self.assertEqual(event_of(Health.HEALTHY, 0), Event.HEALTHY)


class EnableDisableTests(LocalAmcTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.instance: AMCInstance = InstanceFactory.create(account=self.account, instance_id="amclocalus1")

    def reread(self) -> AMCInstance:
        return AMCInstance.objects.get(pk=self.instance.pk)

    def test_disabled_instance_is_inactive_and_enabling_checks_at_once(self) -> None:
        disable(instance=self.instance, actor=self.alice)
        self.assertEqual((self.reread().status, self.reread().is_active), (Status.INACTIVE, False))
        check = enable(instance=self.instance, actor=self.alice)
        self.assertEqual(check.verdict, Health.HEALTHY)
        self.assertEqual((self.reread().status, self.reread().is_active), (Status.ACTIVE, True))

    def test_enabling_a_broken_one_ends_in_error_not_in_a_crash(self) -> None:
        disable(instance=self.instance, actor=self.alice)
        self.arm("instance_failed")
        self.assertEqual(enable(instance=self.instance, actor=self.alice).reason, "creation_failed")
        self.assertEqual(self.reread().status, Status.ERROR)

    def test_doing_it_twice_is_refused(self) -> None:
        with self.assertRaises(InvalidStateError):
            enable(instance=self.instance, actor=self.alice)
        disable(instance=self.instance, actor=self.alice)
        with self.assertRaises(InvalidStateError):
            disable(instance=self.instance, actor=self.alice)

    def test_pages_say_so_instead_of_failing(self) -> None:
        url = f"/instances/{self.instance.pk}/enable/"
        response = self.client.post(url, follow=True)
        self.assertContains(response, "cannot be changed")
        response = self.client.post(f"/instances/{self.instance.pk}/disable/", follow=True)
        self.assertContains(response, "is disabled")
