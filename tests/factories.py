"""Objects for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import factory

from amchelper.models import User
from instances.models import AmazonConnection, AMCAccount, AMCInstance, Health, Status

PASSWORD = "correct horse battery"


class UserFactory(factory.django.DjangoModelFactory):
    """A user who can sign in with PASSWORD."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"user{n}@example.com")
    password = factory.django.Password(PASSWORD)


class ConnectionFactory(factory.django.DjangoModelFactory):
    """A login that the local AMC accepts."""

    class Meta:
        model = AmazonConnection

    user = factory.SubFactory(UserFactory)
    label = factory.Sequence(lambda n: f"Login {n}")
    refresh_token = "Atzr|local-healthy"
    connected_at = factory.LazyFunction(lambda: datetime.now(UTC))


class AccountFactory(factory.django.DjangoModelFactory):
    """The US account of the local AMC."""

    class Meta:
        model = AMCAccount

    connection = factory.SubFactory(ConnectionFactory)
    account_id = "ENTITYLOCALUS1"
    account_name = "Local US"
    marketplace_id = "ATVPDKIKX0DER"
    country_code = "US"


class InstanceFactory(factory.django.DjangoModelFactory):
    """An active instance that was healthy an hour ago."""

    class Meta:
        model = AMCInstance

    account = factory.SubFactory(AccountFactory)
    user = factory.LazyAttribute(lambda o: o.account.connection.user)
    instance_id = factory.Sequence(lambda n: f"amctest{n:05d}")
    name = factory.Sequence(lambda n: f"Instance {n}")
    instance_type = "STANDARD"
    region = "NA"
    status = Status.ACTIVE
    health_status = Health.HEALTHY
    last_health_check = factory.LazyFunction(lambda: datetime.now(UTC) - timedelta(hours=1))
    health_since = factory.SelfAttribute("last_health_check")
    health_latency_ms = 120
