"""Encryption at rest with MultiFernet: the first key encrypts, every key decrypts."""

from __future__ import annotations

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from amchelper.exceptions import UndecryptableError


def encrypt(text: str) -> str:
    """Encrypt `text` with the first key; the result is ASCII."""
    return _fernet().encrypt(text.encode()).decode("ascii")


def decrypt(token: str) -> str:
    """Decrypt what `encrypt` made; raises UndecryptableError when no configured key fits."""
    try:
        return _fernet().decrypt(token.encode()).decode()
    except InvalidToken:
        raise UndecryptableError(
            "A stored secret cannot be read with the configured keys. Re-enter credentials, "
            "or add the key that encrypted it to FERNET_KEYS."
        ) from None


def rotate(token: str) -> str:
    """Re-encrypt a token with the first key; raises UndecryptableError when no configured key fits."""
    return encrypt(decrypt(token))


def _fernet() -> MultiFernet:
    return _fernet_for(tuple(settings.FERNET_KEYS))


@lru_cache(maxsize=8)
def _fernet_for(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise ImproperlyConfigured("FERNET_KEYS is empty. Make a key with: python manage.py make_key")
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        # The library's own message could quote key material; ours never does.
        raise ImproperlyConfigured(
            "FERNET_KEYS holds a value that is not a Fernet key (32 bytes, URL-safe base64)."
        ) from None
