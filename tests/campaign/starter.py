"""Start the runs of a campaign as the web process would; killed and started again, it starts none twice."""

from __future__ import annotations

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "amchelper.settings")
django.setup()

from tests.campaign.world import start_run, templates  # noqa: E402  models need the set-up

if __name__ == "__main__":
    known = templates()
    for number in range(int(sys.argv[1])):
        start_run(known, number)
