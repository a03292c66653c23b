"""Objects for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.db import models
from factory.declarations import LazyAttribute, LazyFunction, SelfAttribute, Sequence, SubFactory
from factory.django import DjangoModelFactory, Password

from amchelper.models import User
from instances.models import AmazonConnection, AMCAccount, AMCInstance, Health, Status

PASSWORD = "correct horse battery"

Row = TypeVar("Row", bound=models.Model)


class RowFactory(DjangoModelFactory[Row]):
    """Make rows with `create`, whose result type checkers know; that of a call they cannot."""

    class Meta:
        abstract = True

    @classmethod
    def create(cls, **fields: Any) -> Row:
        row: Row = super().create(**fields)
        return row


class UserFactory(RowFactory[User]):
    """A user who can sign in with PASSWORD."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    email = Sequence(lambda n: f"user{n}@example.com")
    password = Password(PASSWORD)


class ConnectionFactory(RowFactory[AmazonConnection]):
    """A login that the local AMC accepts."""

    class Meta:
        model = AmazonConnection

    user = SubFactory(UserFactory)
    label = Sequence(lambda n: f"Login {n}")
    refresh_token = "Atzr|local-healthy"
    connected_at = LazyFunction(lambda: datetime.now(UTC))


class AccountFactory(RowFactory[AMCAccount]):
    """The US account of the local AMC."""

    class Meta:
        model = AMCAccount

    connection = SubFactory(ConnectionFactory)
    account_id = "ENTITYLOCALUS1"
    account_name = "Local US"
    marketplace_id = "ATVPDKIKX0DER"
    country_code = "US"


class InstanceFactory(RowFactory[AMCInstance]):
    """An active instance that was healthy an hour ago."""

    class Meta:
        model = AMCInstance

    account = SubFactory(AccountFactory)
    user = LazyAttribute(lambda o: o.account.connection.user)
    instance_id = Sequence(lambda n: f"amctest{n:05d}")
    name = Sequence(lambda n: f"Instance {n}")
    instance_type = "STANDARD"
    region = "NA"
    status = Status.ACTIVE
    health_status = Health.HEALTHY
    last_health_check = LazyFunction(lambda: datetime.now(UTC) - timedelta(hours=1))
    health_settled = SelfAttribute("health_status")
    health_since = LazyAttribute(lambda o: o.last_health_check if o.health_settled else None)
    health_latency_ms = 120
