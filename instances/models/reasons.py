"""Why a probe came out as it did, and what to do about it."""

from __future__ import annotations

from typing import NamedTuple

from instances.models.lifecycle import Health


class Reason(NamedTuple):
    """A reason code in words."""

    label: str
    fix: str
    verdict: str


# Codes and verdicts follow the classification of AMC's health probe; "" belongs to HEALTHY.
REASONS: dict[str, Reason] = {
    "": Reason("Works", "", Health.HEALTHY),
    "provisioning": Reason(
        "Being set up",
        "Amazon is still creating this instance. Wait; it is checked again by itself.",
        Health.UNHEALTHY,
    ),
    "creation_failed": Reason(
        "Creation failed",
        "Amazon could not create this instance. Create it again in the AMC console or ask Amazon's support.",
        Health.UNHEALTHY,
    ),
    "reconnect_required": Reason(
        "Login must be reconnected",
        "Amazon no longer accepts this login. Reconnect it, then check again.",
        Health.UNHEALTHY,
    ),
    "unreadable_credentials": Reason(
        "Re-enter credentials",
        "The stored login cannot be read with this deployment's keys. Reconnect it, or give the key back.",
        Health.UNHEALTHY,
    ),
    "credentials_misconfigured": Reason(
        "Client credentials rejected",
        "Amazon rejects this deployment's client ID or secret. An administrator must correct "
        "AMAZON_CLIENT_ID and AMAZON_CLIENT_SECRET.",
        Health.UNHEALTHY,
    ),
    "unauthenticated": Reason(
        "Token rejected",
        "Amazon rejected a fresh token. Reconnect the login with the client that this deployment uses.",
        Health.UNHEALTHY,
    ),
    "forbidden": Reason(
        "Access refused",
        "Check the entity ID of the account and the AMC instance ID, and that the login may use this instance.",
        Health.UNHEALTHY,
    ),
    "terms_required": Reason(
        "AMC terms not accepted",
        "Sign in to the AMC console with this login's e-mail address and accept the terms, then check again.",
        Health.UNHEALTHY,
    ),
    "not_found": Reason(
        "Instance not found",
        "Check the AMC instance ID, and that the account's marketplace is the instance's.",
        Health.UNHEALTHY,
    ),
    "bad_request": Reason(
        "Request refused",
        "Amazon did not understand the request. Check the account's entity ID and marketplace.",
        Health.UNHEALTHY,
    ),
    "gone": Reason("Gone", "This instance or address was switched off by Amazon.", Health.UNHEALTHY),
    "wrong_host": Reason(
        "Host not allowed",
        "The login would have been sent to a host that is not Amazon's. An administrator must check "
        "LOCAL_AMC_URL.",
        Health.UNHEALTHY,
    ),
    "unknown_status": Reason(
        "Unknown state",
        "Amazon reports a state this product does not know. Look at the instance in the AMC console.",
        Health.ERROR,
    ),
    "throttled": Reason("Throttled", "Amazon asked us to slow down. It is checked again by itself.", Health.ERROR),
    "upstream_error": Reason(
        "Amazon has trouble", "Amazon answered with an error of its own. Try again later.", Health.ERROR
    ),
    "network": Reason(
        "No answer from Amazon",
        "Amazon could not be reached. Check this machine's network, or try again later.",
        Health.ERROR,
    ),
    "too_slow": Reason(
        "Too slow",
        "Amazon took too long, so asking was ended. Nothing has to be changed here: try again in a few minutes. If it "
        "stays so, an administrator should look at this machine's network and proxy.",
        Health.ERROR,
    ),
    "malformed_response": Reason(
        "Unreadable answer", "Amazon's answer could not be read. Try again later.", Health.ERROR
    ),
    "unexpected_answer": Reason(
        "Unexpected answer",
        "Amazon answered with something else than what was asked for, which proves nothing. Try again in a few "
        "minutes. If it stays so, an administrator should check that no proxy answers in Amazon's place.",
        Health.ERROR,
    ),
    "internal": Reason(
        "Internal error",
        "This is our fault. The log holds the details; tell your administrator.",
        Health.ERROR,
    ),
}


def reason_of(code: str) -> Reason:
    """Return a reason in words; an unknown code, from newer data, stays readable."""
    return REASONS.get(code) or Reason(code.replace("_", " ").capitalize(), "", Health.ERROR)
