"""Connecting Amazon logins, against a running local AMC."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

from django.db import connection as database
from django.test import override_settings
from django.urls import reverse

from amchelper import crypto
from instances.models import AmazonConnection, AMCAccount, AMCInstance, HealthCheckBatch
from instances.services import amazon
from tests.base import CastTestCase, LocalAmcTestCase
from tests.factories import AccountFactory, ConnectionFactory, InstanceFactory

LIST = "/connections/"
UNREADABLE = "gAAAAABnotOurKey"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def raw_token(connection: AmazonConnection) -> str:
    """Read the column as the database holds it."""
    with database.cursor() as cursor:
        cursor.execute("SELECT refresh_token FROM amazon_connections WHERE id = %s", [_key(connection)])
        return str(cursor.fetchone()[0])


def make_unreadable(connection: AmazonConnection) -> None:
    """Put a token into the column that no configured key can read."""
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE amazon_connections SET refresh_token = %s WHERE id = %s", [UNREADABLE, _key(connection)]
        )


def _key(connection: AmazonConnection) -> str | UUID:
    return connection.pk.hex if database.vendor == "sqlite" else connection.pk


class ConsentTests(LocalAmcTestCase):
    def start(self, label: str = "Agency", region: str = "NA") -> str:
        response = self.client.post(f"{LIST}start/", {"label": label, "region": region})
        self.assertEqual(response.status_code, 302, response.content)
        return str(response["Location"])

    def consent(self, url: str, answer: str = "allow", login: str = "healthy") -> str:
        """Answer at Amazon; returns the path that the browser is sent back to."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        form = urlencode({**query, "login": login, "answer": answer}).encode()
        opener = urllib.request.build_opener(_NoRedirect())
        try:
            opener.open(f"{self.amc.url}/ap/oa", form, timeout=10)
        except urllib.error.HTTPError as redirect:
            back = urlsplit(redirect.headers["Location"])
            redirect.close()
            return f"{back.path}?{back.query}"
        raise AssertionError("the consent page did not redirect")

    def new_connections(self) -> list[AmazonConnection]:
        return list(AmazonConnection.objects.exclude(pk=self.connection.pk))

    def test_consent_address_holds_state_and_challenge_but_no_secret(self) -> None:
        url = self.start()
        query = parse_qs(urlsplit(url).query)
        self.assertEqual(query["redirect_uri"], ["http://testserver/connections/callback/"])
        self.assertEqual(query["code_challenge_method"], ["S256"])
        self.assertGreater(len(query["state"][0]), 30)
        self.assertNotIn("local-secret", url)

    @override_settings(DEBUG=True, SITE_URL="http://127.0.0.1:8000")
    def test_demo_comes_back_to_the_address_that_was_opened_where_the_session_is(self) -> None:
        data = {"label": "Agency", "region": "NA"}
        response = self.client.post(f"{LIST}start/", data, headers={"host": "localhost:8000"})
        query = parse_qs(urlsplit(response["Location"]).query)
        self.assertEqual(query["redirect_uri"], ["http://localhost:8000/connections/callback/"])
        with override_settings(LOCAL_AMC_URL=""):
            response = self.client.post(f"{LIST}start/", data, headers={"host": "localhost:8000"})
        query = parse_qs(urlsplit(response["Location"]).query)
        self.assertEqual(query["redirect_uri"], ["http://127.0.0.1:8000/connections/callback/"])

    def test_refusal_for_a_connection_deleted_meanwhile_is_said_on_the_list(self) -> None:
        other = ConnectionFactory.create(user=self.alice, label="Short-lived")
        back = self.consent(self.client.post(other.get_reconnect_url())["Location"], answer="cancel")
        other.delete()
        self.assertContains(self.client.get(back, follow=True), "consent was not given")

    def test_consent_connects_and_stores_the_token_encrypted(self) -> None:
        response = self.client.get(self.consent(self.start("Agency", "EU")))
        (connection,) = self.new_connections()
        self.assertRedirects(response, f"/connections/{connection.pk}/discover/")
        self.assertEqual((connection.label, connection.region, connection.user), ("Agency", "EU", self.alice))
        self.assertEqual(connection.status, "CONNECTED")
        self.assertEqual(connection.refresh_token, "Atzr|local-healthy")
        self.assertIsNotNone(connection.connected_at)
        self.assertNotIn("local-healthy", raw_token(connection))

    def test_wrong_state_connects_nothing_and_asks_amazon_nothing(self) -> None:
        back = self.consent(self.start())
        forged = back.replace("state=", "state=x")
        response = self.client.get(forged, follow=True)
        self.assertContains(response, "was started in this browser")
        self.assertEqual(self.new_connections(), [])
        asked = [r["path"] for r in self.control("GET", "requests")["requests"]]
        self.assertNotIn("/auth/o2/token", asked)

    def test_sign_in_that_drips_ends_with_the_pages_limit(self) -> None:
        back = self.consent(self.start())
        with self.dripping(route="token"):
            response = self.client.get(back, follow=True)
        self.assertContains(response, "Amazon did not finish its answer in 20 s.")
        self.assertEqual(self.new_connections(), [])

    def test_answer_works_once(self) -> None:
        back = self.consent(self.start())
        self.client.get(back)
        response = self.client.get(back, follow=True)
        self.assertContains(response, "used already")
        self.assertEqual(len(self.new_connections()), 1)

    def test_answer_after_ten_minutes_is_refused(self) -> None:
        back = self.consent(self.start())
        session = self.client.session
        pending = session["amazon_consents"]
        for consent in pending.values():
            consent["started_at"] -= 601
        session["amazon_consents"] = pending
        session.save()
        response = self.client.get(back, follow=True)
        self.assertContains(response, "longer than ten minutes")
        self.assertEqual(self.new_connections(), [])

    def test_another_user_in_the_same_browser_cannot_finish_it(self) -> None:
        back = self.consent(self.start())
        consents = self.client.session["amazon_consents"]
        self.client.force_login(self.charlie)
        session = self.client.session
        session["amazon_consents"] = consents
        session.save()
        self.assertContains(self.client.get(back, follow=True), "another user")
        self.assertEqual(self.new_connections(), [])

    def test_denied_consent_says_so_and_keeps_what_was_typed(self) -> None:
        response = self.client.get(self.consent(self.start("My agency", "FE"), answer="cancel"), follow=True)
        self.assertContains(response, "consent was not given")
        self.assertContains(response, 'value="My agency"')
        self.assertContains(response, '<option value="FE" selected>')
        self.assertEqual(self.new_connections(), [])

    def test_unknown_error_code_is_not_echoed(self) -> None:
        state = parse_qs(urlsplit(self.start()).query)["state"][0]
        back = f"{LIST}callback/?{urlencode({'state': state, 'error': 'Call +1 555 0100'})}"
        response = self.client.get(back, follow=True)
        self.assertContains(response, "unknown error")
        self.assertNotContains(response, "555")

    def test_two_tabs_can_connect_side_by_side(self) -> None:
        first, second = self.start("One"), self.start("Two")
        self.client.get(self.consent(second))
        self.client.get(self.consent(first))
        self.assertEqual(sorted(c.label for c in self.new_connections()), ["One", "Two"])

    def test_two_tabs_with_the_same_name_lose_no_consent(self) -> None:
        first, second = self.start("Same"), self.start("Same")
        self.client.get(self.consent(first))
        self.client.get(self.consent(second))
        self.assertEqual(sorted(c.label for c in self.new_connections()), ["Same", "Same (2)"])

    def test_amazon_in_trouble_is_said_on_the_page(self) -> None:
        back = self.consent(self.start())
        self.arm("invalid_client")
        response = self.client.get(back, follow=True)
        self.assertContains(response, "AMAZON_CLIENT_SECRET")
        self.assertEqual(self.new_connections(), [])

    def test_expired_code_is_explained(self) -> None:
        back = self.consent(self.start())
        self.control("POST", "clock", {"advance": 301})
        self.assertContains(self.client.get(back, follow=True), "too old or was used already")

    def test_reconnect_keeps_the_connection_and_checks_its_instances(self) -> None:
        instance = InstanceFactory.create(account=self.account)
        disabled = InstanceFactory.create(account=self.account, is_active=False, status="INACTIVE")
        self.connection.require_reconnect("Amazon no longer accepts this login.")
        start = self.client.post(self.connection.get_reconnect_url())
        response = self.client.get(self.consent(start["Location"]))
        self.assertRedirects(response, self.connection.get_absolute_url())
        self.connection.refresh_from_db()
        self.assertEqual((self.connection.status, self.connection.label), ("CONNECTED", "Alice's login"))
        run = HealthCheckBatch.objects.get(trigger="save")
        self.assertEqual(run.instance_ids, [str(instance.pk)])
        disabled.refresh_from_db()
        self.assertFalse(disabled.is_active)

    def test_reconnect_replaces_an_unreadable_token(self) -> None:
        make_unreadable(self.connection)
        start = self.client.post(self.connection.get_reconnect_url())
        self.client.get(self.consent(start["Location"]))
        self.connection.refresh_from_db()
        self.assertEqual(self.connection.refresh_token, "Atzr|local-healthy")

    def test_consent_for_a_connection_deleted_meanwhile_makes_a_new_one(self) -> None:
        other = ConnectionFactory.create(user=self.alice, label="Short-lived")
        start = self.client.post(other.get_reconnect_url())
        other.delete()
        self.client.get(self.consent(start["Location"]))
        (connection,) = self.new_connections()
        self.assertEqual(connection.label, "Short-lived")

    @override_settings(AMAZON_CLIENT_ID="")
    def test_deployment_without_client_id_says_who_must_act(self) -> None:
        response = self.client.post(f"{LIST}start/", {"label": "Mine", "region": "NA"})
        self.assertContains(response, "AMAZON_CLIENT_ID")
        self.assertContains(response, 'value="Mine"')


class PasteTests(LocalAmcTestCase):
    url = f"{LIST}paste/"

    def paste(self, token: str, label: str = "Pasted", query: str = "") -> Any:
        data = {"label": label, "region": "EU", "refresh_token": token}
        return self.client.post(self.url + query, data)

    def test_good_token_connects(self) -> None:
        self.paste("  Atzr|local-healthy\n")
        connection = AmazonConnection.objects.get(label="Pasted")
        self.assertEqual((connection.status, connection.refresh_token), ("CONNECTED", "Atzr|local-healthy"))
        self.assertNotIn("local-healthy", raw_token(connection))

    def test_revoked_token_is_not_stored_and_not_shown(self) -> None:
        response = self.paste("Atzr|local-revoked")
        self.assertContains(response, "does not accept this refresh token")
        self.assertContains(response, 'value="Pasted"')
        self.assertNotContains(response, "local-revoked")
        self.assertFalse(AmazonConnection.objects.filter(label="Pasted").exists())

    def test_what_is_no_refresh_token_is_told_without_asking_amazon_or_repeating_it(self) -> None:
        for pasted, words in (
            ("Atza|something", "access token"),
            ("hunter2-something", "one starts with Atzr|"),
            ("Atzr|some thing", "no spaces"),
            ("x" * 9_000, "at most 8192 characters"),
        ):
            with self.subTest(pasted[:20]):
                response = self.paste(pasted)
                self.assertContains(response, words)
                self.assertNotContains(response, "something")
                self.assertContains(response, 'value="Pasted"')
        self.assertEqual(self.control("GET", "requests")["requests"], [])

    def test_token_in_what_it_was_copied_from_connects(self) -> None:
        for number, pasted in enumerate(
            ('"Atzr|local-healthy"', "Atzr%7Clocal-healthy", '{"refresh_token":"Atzr|local-healthy"}',
             "refresh_token=Atzr|local-healthy")
        ):  # fmt: skip
            with self.subTest(pasted):
                self.paste(pasted, label=f"Pasted {number}")
                connection = AmazonConnection.objects.get(label=f"Pasted {number}")
                self.assertEqual(connection.refresh_token, "Atzr|local-healthy")

    def test_sign_in_that_drips_ends_with_the_pages_limit(self) -> None:
        with self.dripping(route="token"):
            response = self.paste("Atzr|local-healthy")
        self.assertContains(response, "Amazon did not finish its answer in 20 s.")
        self.assertFalse(AmazonConnection.objects.filter(label="Pasted").exists())

    def test_token_for_an_existing_connection_keeps_it(self) -> None:
        make_unreadable(self.connection)
        self.paste("Atzr|local-noterms", query=f"?connection={self.connection.pk}")
        self.connection.refresh_from_db()
        self.assertEqual((self.connection.refresh_token, self.connection.region), ("Atzr|local-noterms", "NA"))

    def test_failed_token_leaves_an_unreadable_one_as_it_is(self) -> None:
        make_unreadable(self.connection)
        self.paste("Atzr|local-revoked", query=f"?connection={self.connection.pk}")
        self.assertEqual(raw_token(self.connection), UNREADABLE)

    def test_outsider_gets_404_for_the_named_connection(self) -> None:
        self.client.force_login(self.charlie)
        for query in (f"?connection={self.connection.pk}", "?connection=nonsense"):
            with self.subTest(query):
                self.assertEqual(self.paste("Atzr|local-noterms", query=query).status_code, 404)
        self.connection.refresh_from_db()
        self.assertEqual(self.connection.refresh_token, "Atzr|local-healthy")


class PageTests(CastTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.connection = ConnectionFactory.create(user=self.alice, label="Agency")
        self.account = AccountFactory.create(connection=self.connection)
        self.page = self.connection.get_absolute_url()

    def test_empty_list_explains_connecting(self) -> None:
        self.client.force_login(self.charlie)
        response = self.client.get(LIST)
        self.assertContains(response, "No Amazon login is connected yet")
        self.assertNotContains(response, "Agency")

    def test_list_counts_and_takes_a_constant_number_of_queries(self) -> None:
        InstanceFactory.create_batch(3, account=self.account)
        self.client.get(LIST)
        with self.assertNumQueries(4):
            response = self.client.get(LIST)
        shown = response.context["connections"][0]
        self.assertEqual((shown.account_count, shown.instance_count), (1, 3))
        for number in range(3):
            AccountFactory.create(
                connection=ConnectionFactory.create(user=self.alice), account_id=f"ENTITY{number}"
            )
        with self.assertNumQueries(4):
            self.client.get(LIST)

    def test_unreadable_token_asks_to_re_enter_credentials(self) -> None:
        make_unreadable(self.connection)
        for url in (LIST, self.page, f"{self.page}discover/"):
            with self.subTest(url):
                response = self.client.get(url)
                self.assertContains(response, "Re-enter credentials")
                self.assertNotContains(response, UNREADABLE)

    def test_stored_token_is_on_no_page(self) -> None:
        for name in ("", "edit/", "disconnect/", "delete/", "accounts/add/", "discover/"):
            with self.subTest(name):
                self.assertNotContains(self.client.get(self.page + name), "local-healthy")

    def test_account_typed_by_hand_can_be_deleted_again(self) -> None:
        page = f"{LIST}accounts/{self.account.pk}/delete/"
        self.assertContains(self.client.get(self.page), page)
        self.assertContains(self.client.get(page), "Local US")
        self.assertRedirects(self.client.post(page), self.page)
        self.assertFalse(AMCAccount.objects.exists())
        self.assertTrue(AmazonConnection.objects.filter(pk=self.connection.pk).exists())

    def test_account_with_instances_is_kept_and_the_page_says_why(self) -> None:
        InstanceFactory.create(account=self.account)
        page = f"{LIST}accounts/{self.account.pk}/delete/"
        self.assertNotContains(self.client.get(self.page), page)
        self.assertContains(self.client.post(page, follow=True), "Still needed by 1 instance")
        self.assertTrue(AMCAccount.objects.exists())

    def test_outsider_deletes_no_account(self) -> None:
        self.client.force_login(self.charlie)
        page = f"{LIST}accounts/{self.account.pk}/delete/"
        self.assertEqual(self.client.post(page).status_code, 404)
        self.assertTrue(AMCAccount.objects.exists())

    def test_name_is_unique_in_any_case(self) -> None:
        ConnectionFactory.create(user=self.alice, label="Straße")
        for label in ("aGENCY", "STRASSE"):
            with self.subTest(label):
                response = self.client.post(f"{LIST}start/", {"label": label, "region": "NA"})
                self.assertContains(response, "with this name already")

    def test_another_users_name_is_free(self) -> None:
        self.client.force_login(self.charlie)
        response = self.client.post(f"{LIST}start/", {"label": "Agency", "region": "NA"})
        self.assertEqual(response.status_code, 302)

    def test_edit_changes_the_name_and_leaves_the_token(self) -> None:
        before = raw_token(self.connection)
        self.client.post(f"{self.page}edit/", {"label": "New name", "region": "EU"})
        self.connection.refresh_from_db()
        self.assertEqual((self.connection.label, self.connection.region), ("New name", "EU"))
        self.assertEqual(raw_token(self.connection), before)

    def test_disconnect_forgets_the_token_and_keeps_the_rest(self) -> None:
        instance = InstanceFactory.create(account=self.account)
        amazon.token_source(self.connection)
        page = self.client.get(f"{self.page}disconnect/")
        self.assertContains(page, "1 account and 1 instance ")
        self.client.post(f"{self.page}disconnect/")
        self.connection.refresh_from_db()
        self.assertEqual((self.connection.status, self.connection.refresh_token), ("DISCONNECTED", ""))
        self.assertTrue(AMCInstance.objects.filter(pk=instance.pk, is_active=True).exists())
        self.assertNotIn(self.connection.pk, amazon._sources)

    def test_delete_refuses_while_instances_need_it(self) -> None:
        InstanceFactory.create(account=self.account, name="Still needed")
        self.assertContains(self.client.get(f"{self.page}delete/"), "Still needed")
        response = self.client.post(f"{self.page}delete/", follow=True)
        self.assertContains(response, "cannot be deleted yet")
        self.assertTrue(AMCAccount.objects.filter(pk=self.account.pk).exists())

    def test_delete_takes_accounts_along(self) -> None:
        self.client.post(f"{self.page}delete/")
        self.assertFalse(AmazonConnection.objects.filter(pk=self.connection.pk).exists())
        self.assertFalse(AMCAccount.objects.filter(pk=self.account.pk).exists())

    def test_outsider_changes_nothing(self) -> None:
        self.client.force_login(self.charlie)
        for name in ("edit", "reconnect", "disconnect", "delete", "accounts/add", "discover", "import"):
            with self.subTest(name):
                response = self.client.post(f"{self.page}{name}/", {"label": "Stolen", "region": "NA"})
                self.assertEqual(response.status_code, 404)
        self.connection.refresh_from_db()
        self.assertEqual((self.connection.label, self.connection.status), ("Agency", "CONNECTED"))
        self.assertEqual(crypto.decrypt(raw_token(self.connection)), "Atzr|local-healthy")


class AccountTests(CastTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.connection = ConnectionFactory.create(user=self.alice)
        self.url = reverse("instances:account-create", args=[self.connection.pk])

    def add(self, **data: str) -> Any:
        return self.client.post(self.url, {"account_id": "ENTITYAGENCY1", "marketplace": "A1PA6795UKMFR9", **data})

    def test_account_is_added_with_its_country(self) -> None:
        self.assertRedirects(self.add(account_name="By hand"), self.connection.get_absolute_url())
        account = AMCAccount.objects.get()
        self.assertEqual(
            (account.account_id, account.marketplace_id, account.country_code, account.region),
            ("ENTITYAGENCY1", "A1PA6795UKMFR9", "DE", "EU"),
        )
        self.assertContains(self.client.get(self.connection.get_absolute_url()), "ENTITYAGENCY1")

    def test_marketplace_nobody_knows_yet_can_be_typed(self) -> None:
        self.add(marketplace="other", other_marketplace_id="A99NEWMARKET")
        self.assertEqual(AMCAccount.objects.get().marketplace_id, "A99NEWMARKET")

    def test_wrong_input_is_explained_and_kept(self) -> None:
        for data, said in (
            ({"account_id": "1234567890"}, "Profile, DSP advertiser"),
            ({"account_id": str(self.connection.pk)}, "Profile, DSP advertiser"),
            ({"marketplace": "other"}, "Type the marketplace ID"),
            ({"marketplace": "other", "other_marketplace_id": "bad id!"}, "capital letters and digits"),
        ):
            with self.subTest(data):
                self.assertContains(self.add(account_name="Kept", **data), said)
                self.assertContains(self.add(account_name="Kept", **data), 'value="Kept"')
        self.assertEqual(AMCAccount.objects.count(), 0)

    def test_same_account_twice_is_refused_and_in_another_marketplace_not(self) -> None:
        self.add()
        self.assertContains(self.add(), "has this account and marketplace already")
        self.add(marketplace="A13V1IB3VIYZZH")
        self.assertEqual(AMCAccount.objects.count(), 2)
