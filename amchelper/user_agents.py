"""What a browser calls itself, in words that its user knows."""

from __future__ import annotations

# The first that is found counts: most browsers claim to be those further down too.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_MAX_CHARACTERS = 40


def browser_name(user_agent: str) -> str:
    """Return a browser and its system, such as "Firefox on Windows"; what is neither as it stands, shortened."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    if browser:
        return browser
    shortened = user_agent[:_MAX_CHARACTERS].strip()
    return f"{shortened}…" if len(user_agent) > _MAX_CHARACTERS else shortened or "Unknown"
