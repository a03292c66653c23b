"""One process of the cache race: `python -m tests.race.cache_worker writer|reader <operations> <instance> <ids…>`.

Prints one JSON list: for a writer `[moment after the commit, template, version]` per save, for a reader
`[moment before the read, template, version read from the page's cache, version in the list]` per read. Moments are of
the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from uuid import UUID

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from amchelper.models import User  # noqa: E402  needs the settings
from templates_app.errors import StaleTemplateError  # noqa: E402
from templates_app.models import InstanceTemplate  # noqa: E402
from templates_app.services.cache import list_templates, read_template  # noqa: E402
from templates_app.services.templates import Content, update_template  # noqa: E402


def write(ids: list[str]) -> list[object] | None:
    """Save a random template once more; None when another writer was first."""
    template = InstanceTemplate.objects.get(template_id=random.choice(ids))
    user = User.objects.get(pk=template.user_id)
    content = Content(name=f"v{template.version + 1}", source_sql="SELECT 1 AS x")
    try:
        saved = update_template(actor=user, template=template, content=content, version=template.version)
    except StaleTemplateError:
        return None
    return [time.monotonic_ns(), saved.template_id, saved.version]


def read(instance: UUID, ids: list[str]) -> list[object]:
    """Read a random template and the list as pages do."""
    chosen = random.choice(ids)
    began = time.monotonic_ns()
    found = read_template(instance, chosen)
    listed = {card.template_id: card.version for card in list_templates(instance)}
    return [began, chosen, found.version if found else 0, listed.get(chosen, 0)]


def main() -> None:
    """Do the work and print what happened."""
    role, count, instance, *ids = sys.argv[1:]
    random.seed(os.getpid())
    done: list[object] = []
    for _ in range(int(count)):
        result = write(ids) if role == "writer" else read(UUID(instance), ids)
        if result is not None:
            done.append(result)
    sys.stdout.write(json.dumps(done))


if __name__ == "__main__":
    main()
