"""WSGI entry point."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from amchelper.startup import refuse_bad_configuration

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "amchelper.settings")
application = get_wsgi_application()
refuse_bad_configuration()
