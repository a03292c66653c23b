"""Settings of the test suite: the product's own, from a known environment, whatever .env says."""

from __future__ import annotations

import os
import tempfile

_worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
if os.environ.get("CACHE_URL", "").startswith("redis"):
    # Clearing a Redis cache empties its database, so parallel test processes need one each.
    server, _, number = os.environ["CACHE_URL"].rpartition("/")
    os.environ["CACHE_URL"] = (
        f"{server}/{int(number) + int(_worker.removeprefix('gw') if _worker != 'main' else 0)}"
    )
os.environ.update(
    READ_DOT_ENV="false",
    DEBUG="false",
    SECRET_KEY="tests-only-secret-key-that-is-long-enough-to-please-the-deploy-checks",
    FERNET_KEYS="dGVzdHMtb25seS1rZXktMzItYnl0ZXMtbG9uZy4uLi4=",
    ALLOWED_HOSTS="testserver,127.0.0.1,localhost",
    SITE_URL="http://testserver",
    AMAZON_CLIENT_ID="amzn1.application-oa2-client.local",
    AMAZON_CLIENT_SECRET="local-secret",
    LOCAL_AMC_URL=os.environ.get("LOCAL_AMC_URL", ""),
    VAR_DIR=os.environ.get("TEST_VAR_DIR") or tempfile.mkdtemp(prefix=f"amchelper-tests-{_worker}-"),
    EMAIL_URL="memorymail://",
    LOG_LEVEL="INFO",
    # Answers that a test does not read hold their places until they are collected.
    DOWNLOADS_PER_PROCESS="1000",
)

from amchelper.settings import *  # noqa: E402, F403

SECURE_SSL_REDIRECT = False
# Nothing is collected for tests; whitenoise warns about a folder that is missing.
STATIC_ROOT = VAR_DIR / "static"  # noqa: F405  from the product's settings
STATIC_ROOT.mkdir(exist_ok=True)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = False
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    **STORAGES,  # noqa: F405  from the product's settings
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
