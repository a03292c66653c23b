"""Settings, read once from the environment; `.env.example` explains every variable."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF
from django.urls import reverse_lazy
from kombu import Queue

from amc_facts import limits
from amchelper.logs import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent

env: Any = environ.Env()
if env.bool("READ_DOT_ENV", default=True):
    environ.Env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)
# Without DEBUG there is no default for a secret: amchelper.checks refuses to start instead.
SECRET_KEY = env.str("SECRET_KEY", default="debug-only-key-never-used-in-production" if DEBUG else "")
FERNET_KEYS = env.list("FERNET_KEYS", default=[])
if DEBUG and not FERNET_KEYS:
    FERNET_KEYS = [base64.urlsafe_b64encode(hashlib.sha256(SECRET_KEY.encode()).digest()).decode()]
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SITE_URL = env.str("SITE_URL", default="http://127.0.0.1:8000" if DEBUG else "").rstrip("/")
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))
# Its owner only: the database, results and messages lie in it.
VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)

ROOT_URLCONF = "amchelper.urls"
WSGI_APPLICATION = "amchelper.wsgi.application"
AUTH_USER_MODEL = "amchelper.User"
# The address is unique whatever its case, by a constraint that this check does not look at.
SILENCED_SYSTEM_CHECKS = ["auth.W004"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "amchelper",
    "formtools",
    "instances",
    "templates_app",
    "executions",
    "schedules",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.forms",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "crispy_forms",
    "crispy_bootstrap5",
    "csp",
    "django_htmx",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Before anything looks up what an address or a cookie says.
    "amchelper.middleware.NoNulMiddleware",
    "amchelper.try_again.BusySessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "amchelper.headers.PrivacyHeadersMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "amchelper.sessions.SessionLimitsMiddleware",
    # Before any view or check reads the body, and after what its answer needs.
    "amchelper.middleware.BodySizeMiddleware",
    "amchelper.middleware.HtmxMessagesMiddleware",
    "amchelper.middleware.HtmxLoginRequiredMiddleware",
    "amchelper.middleware.MissingRowMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "amchelper.sessions.RequireMfaMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "amchelper.try_again.TryAgainMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "amchelper.context_processors.navigation",
                "amchelper.context_processors.disk_shortage",
                "instances.context_processors.reconnect_connections",
                "schedules.context_processors.stopped_schedules",
            ],
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"

# --- Servers of this deployment -------------------------------------------------------------------
# A server that does not answer must not hold a page or a worker for ever: PostgreSQL, Redis, the broker.
CONNECT_TIMEOUT_SECONDS = env.int("CONNECT_TIMEOUT_SECONDS", default=5)
SOCKET_TIMEOUT_SECONDS = env.int("SOCKET_TIMEOUT_SECONDS", default=15)

# --- Database -------------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'amchelper.sqlite3'}")}
# Who waits longer for a lock is told that the database is busy; no transaction of ours is that long.
DATABASE_LOCK_TIMEOUT_SECONDS = env.int("DATABASE_LOCK_TIMEOUT_SECONDS", default=10)
DATABASE_STATEMENT_TIMEOUT_SECONDS = env.int("DATABASE_STATEMENT_TIMEOUT_SECONDS", default=0)
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE: a transaction that will write takes the lock at once instead of failing half way.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": DATABASE_LOCK_TIMEOUT_SECONDS,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        # A statement may take long; a server that is gone is noticed by what it does not acknowledge, and while we
        # wait for it by the probes.
        "tcp_user_timeout": SOCKET_TIMEOUT_SECONDS * 1000,
        "keepalives_idle": SOCKET_TIMEOUT_SECONDS,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "options": (
            f"-c lock_timeout={DATABASE_LOCK_TIMEOUT_SECONDS}s"
            f" -c statement_timeout={DATABASE_STATEMENT_TIMEOUT_SECONDS}s"
        ),
        # What DATABASE_URL says counts.
        **DATABASES["default"].get("OPTIONS", {}),
    }

# --- Cache ----------------------------------------------------------------------------------------
CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://")}
if CACHES["default"]["BACKEND"].endswith("LocMemCache"):
    # Django keeps 300 by default: a few hundred instances would throw each other out.
    CACHES["default"].setdefault("OPTIONS", {}).setdefault("MAX_ENTRIES", 5_000)
elif CACHES["default"]["BACKEND"] == "django.core.cache.backends.redis.RedisCache":
    CACHES["default"]["OPTIONS"] = {
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "socket_timeout": SOCKET_TIMEOUT_SECONDS,
        **CACHES["default"].get("OPTIONS", {}),
    }
# Generations tell every process which cached values are dead (amchelper/cache.py), so they must be
# shared: in the database while the values themselves are in local memory.
CACHES["generations"] = (
    {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache_generations",
        "OPTIONS": {"MAX_ENTRIES": 50_000},
    }
    if CACHES["default"]["BACKEND"].endswith("LocMemCache")
    else {**CACHES["default"], "KEY_PREFIX": "generations"}
)
# How many web processes share this deployment; only read by the system checks.
WEB_PROCESSES = env.int("WEB_PROCESSES", default=1)

# --- Limits for people ----------------------------------------------------------------------------
# How often one user may do what within a minute; 0: without limit. Far above what a person does.
LIMITS_PER_MINUTE = {
    "runs": env.int("RUNS_PER_MINUTE", default=60),
    "checks": env.int("CHECKS_PER_MINUTE", default=60),
    "exports": env.int("EXPORTS_PER_MINUTE", default=60),
    # Who types has three of them made after each pause.
    "previews": env.int("PREVIEWS_PER_MINUTE", default=600),
    "uploads": env.int("UPLOADS_PER_MINUTE", default=60),
}

# --- Celery ---------------------------------------------------------------------------------------
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="filesystem://localhost")
# The kinds of work, a queue for each, and what share of its threads a worker of several kinds has for each (24 in the
# Procfile): one kind never waits for another. Which task is of which kind is said in amchelper/celery.py.
WORKER_THREADS = {
    "dispatch": 2,  # short looks at what is due: ticks, and runs that are let out of the queue
    "slots": 2,  # due slots become runs
    "steps": 12,  # steps of runs at AMC
    "checks": 4,  # health checks
    "exports": 2,  # files that take long to make
    "other": 2,  # mail, and what is done at night
}
CELERY_TASK_QUEUES = [Queue(name) for name in WORKER_THREADS]
CELERY_TASK_DEFAULT_QUEUE = "other"
CELERY_BEAT_SCHEDULER = "amchelper.beat:BeatScheduler"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = None
# What a worker holds it works on: everything else waits where other workers see it.
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")
CELERY_TIMEZONE = "UTC"
if CELERY_BROKER_URL.startswith("filesystem"):
    # Every process reads and writes the same folder; `processed` keeps nothing.
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
        "data_folder_in": str(VAR_DIR / "broker" / "queue"),
        "data_folder_out": str(VAR_DIR / "broker" / "queue"),
        "control_folder": str(VAR_DIR / "broker" / "control"),
        "store_processed": False,
        # Seconds until a worker with free threads looks again; kombu's default of 1 s gives 12 tasks/s.
        "polling_interval": 0.1,
        "threads": WORKER_THREADS,
    }
    for folder in ("queue", "control"):
        (VAR_DIR / "broker" / folder).mkdir(parents=True, exist_ok=True)
elif CELERY_BROKER_URL.startswith("amqp"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "read_timeout": SOCKET_TIMEOUT_SECONDS,
        "write_timeout": SOCKET_TIMEOUT_SECONDS,
    }
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 3600,
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "socket_timeout": SOCKET_TIMEOUT_SECONDS,
        "socket_keepalive": True,
    }
CELERY_BROKER_CONNECTION_TIMEOUT = CONNECT_TIMEOUT_SECONDS
# RabbitMQ and its workers notice within two of these that the other one is gone.
CELERY_BROKER_HEARTBEAT = 30
# A second try for a connection that the server closed meanwhile; what is not sent then, the ticks send.
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.2,
}

# --- Signing in -----------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = reverse_lazy("account_login")
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "amchelper.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # accounts are created by an administrator
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = "AMC Helper: "
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_SESSION_REMEMBER = None
# Who needs a second factor: none, staff or all.
REQUIRE_MFA = env.str("REQUIRE_MFA", default="none")
SESSION_IDLE_HOURS = env.int("SESSION_IDLE_HOURS", default=72)
SESSION_MAX_DAYS = env.int("SESSION_MAX_DAYS", default=14)
SESSION_COOKIE_AGE = SESSION_MAX_DAYS * 86_400
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
# Addresses are typed by an administrator and never verified; without this no user could use TOTP.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_ISSUER = "AMC Helper"
MFA_ADAPTER = "amchelper.accounts.MfaAdapter"
# Without a proxy in front the client's address is REMOTE_ADDR; X-Forwarded-For counts only as far as
# the proxies we run ourselves, otherwise any client could escape the rate limits.
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXIES", default=0)

EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
# Seconds; a mail server that does not answer must not hold a worker for ever.
EMAIL_TIMEOUT = 30
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="amc-helper@localhost")

# --- Amazon ---------------------------------------------------------------------------------------
AMAZON_CLIENT_ID = env.str("AMAZON_CLIENT_ID", default="")
AMAZON_CLIENT_SECRET = env.str("AMAZON_CLIENT_SECRET", default="")
# Set, it replaces all of Amazon's hosts by one local AMC; amchelper.checks refuses it in production.
LOCAL_AMC_URL = env.str("LOCAL_AMC_URL", default="").rstrip("/")

# --- Health ---------------------------------------------------------------------------------------
HEALTH_CHECK_CONCURRENCY = env.int("HEALTH_CHECK_CONCURRENCY", default=16)
HEALTH_CHECK_INTERVAL_MINUTES = env.int("HEALTH_CHECK_INTERVAL_MINUTES", default=15)
HEALTH_HISTORY_DAYS = env.int("HEALTH_HISTORY_DAYS", default=30)
INSTANCE_CACHE_SECONDS = env.int("INSTANCE_CACHE_SECONDS", default=300)
TEMPLATE_CACHE_SECONDS = env.int("TEMPLATE_CACHE_SECONDS", default=300)

# --- Executions -----------------------------------------------------------------------------------
EXECUTION_TICK_SECONDS = env.float("EXECUTION_TICK_SECONDS", default=5.0)
EXECUTIONS_PER_INSTANCE = env.int("EXECUTIONS_PER_INSTANCE", default=limits.MAX_OPEN_PER_INSTANCE)
EXECUTIONS_PER_ACCOUNT = env.int("EXECUTIONS_PER_ACCOUNT", default=limits.MAX_OPEN_PER_ACCOUNT)
# Amazon's runs take minutes, the local AMC's seconds.
EXECUTION_POLL_SCALE = env.float("EXECUTION_POLL_SCALE", default=0.05 if LOCAL_AMC_URL else 1.0)
RESULTS_DIR = Path(env.str("RESULTS_DIR", default=str(VAR_DIR / "results")))
RESULT_RETENTION_DAYS = env.int("RESULT_RETENTION_DAYS", default=400)
RESULT_STORAGE_BYTES = env.int("RESULT_STORAGE_BYTES", default=50 * 1024**3)
MIN_FREE_DISK_MB = env.int("MIN_FREE_DISK_MB", default=512)
# Measured: a process writes 75,000 cells of XLSX in a second beside four others, so that a page waits no longer.
EXPORT_INLINE_CELLS = env.int("EXPORT_INLINE_CELLS", default=50_000)
EXPORT_KEEP_HOURS = env.int("EXPORT_KEEP_HOURS", default=24)
EXPORT_STORAGE_BYTES = env.int("EXPORT_STORAGE_BYTES", default=10 * 1024**3)
EXPORTS_PER_USER = env.int("EXPORTS_PER_USER", default=3)
EXPORTS_IN_ALL = env.int("EXPORTS_IN_ALL", default=50)
# Of the eight threads that the Procfile gives a web process one is always left for other pages.
DOWNLOADS_PER_PROCESS = env.int("DOWNLOADS_PER_PROCESS", default=4)
RESULT_QUESTIONS_PER_PROCESS = env.int("RESULT_QUESTIONS_PER_PROCESS", default=3)

# Bytes of SQL with all values filled in; beyond it a template is not saved.
MAX_FINISHED_SQL_BYTES = env.int("MAX_FINISHED_SQL_BYTES", default=1_000_000)

# --- Security -------------------------------------------------------------------------------------
BEHIND_HTTPS_PROXY = env.bool("BEHIND_HTTPS_PROXY", default=False)
if BEHIND_HTTPS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = not DEBUG
SECURE_HSTS_SECONDS = 0 if DEBUG else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not DEBUG
MAX_BODY_MB = env.int("MAX_BODY_MB", default=16)
MAX_BODY_KB_SIGNED_OUT = env.int("MAX_BODY_KB_SIGNED_OUT", default=256)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        # Tabler's style sheet draws its small arrows from data: images.
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "frame-ancestors": [NONE],
        # The connect form posts to us and is redirected to Amazon's consent page.
        "form-action": [
            SELF,
            *(
                [LOCAL_AMC_URL]
                if LOCAL_AMC_URL
                else [
                    "https://www.amazon.com",
                    "https://eu.account.amazon.com",
                    "https://apac.account.amazon.com",
                ]
            ),
        ],
    }
}

# --- Static files, language, logging --------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
    # Results belong to their owner: no address serves this folder.
    "results": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": RESULTS_DIR, "file_permissions_mode": 0o600, "directory_permissions_mode": 0o700},
    },
}
MEDIA_ROOT = VAR_DIR / "files"
LANGUAGE_CODE = "en-us"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_I18N = False
USE_TZ = True
LOGGING = logging_config(level=env.str("LOG_LEVEL", default="INFO"))
