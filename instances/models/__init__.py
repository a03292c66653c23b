"""The models of connections, accounts, instances and health."""

from __future__ import annotations

from instances.models.account import AMCAccount
from instances.models.connection import AmazonConnection, Region
from instances.models.health import HealthCheck, HealthCheckBatch, HealthRollup
from instances.models.instance import AMCCredentials, AMCInstance, InstanceBrand
from instances.models.lifecycle import Event, Health, Status
from instances.models.mapping import BrandASIN, BrandCampaign, MappingChange, MappingKind

__all__ = [
    "AMCAccount",
    "AMCCredentials",
    "AMCInstance",
    "AmazonConnection",
    "BrandASIN",
    "BrandCampaign",
    "Event",
    "Health",
    "HealthCheck",
    "HealthRollup",
    "HealthCheckBatch",
    "InstanceBrand",
    "MappingChange",
    "MappingKind",
    "Region",
    "Status",
]
