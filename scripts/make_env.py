"""Write .env for the demo with fresh keys, unless there is one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet

ENV_FILE = Path(__file__).resolve().parent.parent / ".env"

CONTENT = """\
# Written by `make demo`. .env.example explains every variable.
DEBUG=true
SECRET_KEY={secret_key}
FERNET_KEYS={fernet_key}
AMAZON_CLIENT_ID=amzn1.application-oa2-client.local
AMAZON_CLIENT_SECRET=local-secret
LOCAL_AMC_URL=http://127.0.0.1:8700
"""


def main() -> None:
    """Create the file readable by its owner only; an existing one stays as it is."""
    content = CONTENT.format(
        secret_key=secrets.token_urlsafe(50), fernet_key=Fernet.generate_key().decode("ascii")
    )
    try:
        descriptor = os.open(ENV_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w") as file:
        file.write(content)


if __name__ == "__main__":
    main()
