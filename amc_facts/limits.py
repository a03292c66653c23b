"""What AMC allows: runs at a time, SQL per run, timeouts, history. Source: AMC's pages on limits and executions."""

from __future__ import annotations

# Runs that may be open (submitted, pending or running) at a time.
MAX_OPEN_PER_INSTANCE = 10
MAX_OPEN_PER_ACCOUNT = 200

MAX_SQL_BYTES = 65_536

# A run's own timeout, in seconds.
MIN_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS = 900, 86_400
DEFAULT_TIMEOUT_SECONDS = 21_600
# A new run may stay invisible to lists and questions for so long.
VISIBLE_AFTER_SECONDS = 45

# Data older than this are gone.
MONTHS_KEPT = 13

# The type of an instance that holds synthetic data only.
SANDBOX = "SANDBOX"
