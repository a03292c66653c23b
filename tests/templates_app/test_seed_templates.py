"""The demo's templates."""

from __future__ import annotations

import io

from django.core.management import call_command
from django.test import override_settings

from instances.management.commands.seed_demo import EMAIL
from local_amc.query import main
from templates_app.management.commands.seed_templates import INSTANCE, TEMPLATES
from templates_app.models import InstanceTemplate
from tests.base import CastTestCase
from tests.factories import InstanceFactory, UserFactory
from tests.shared_data import STORE


class SeedTemplatesTests(CastTestCase):
    @override_settings(DEBUG=True, LOCAL_AMC_URL="http://127.0.0.1:1")
    def test_seeds_once(self) -> None:
        user = UserFactory.create(email=EMAIL)
        InstanceFactory.create(account__connection__user=user, instance_id=INSTANCE)
        for _ in range(2):
            call_command("seed_templates")
        self.assertEqual(InstanceTemplate.objects.count(), len(TEMPLATES))

    def test_every_template_gives_rows(self) -> None:
        for content in TEMPLATES:
            with self.subTest(content.name):
                out, err = io.StringIO(), io.StringIO()
                arguments = [content.complete_sql(), "--format", "csv", "--store", str(STORE)]
                self.assertEqual(main(arguments, out, err), 0, err.getvalue())
                self.assertGreater(len(out.getvalue().splitlines()), 1)
