"""Write a project's own price list from AWS's price list, for the families that sizing knows and any region.

Way in: `refresh(project, region, client)`. The machines are those of the list that counts now; only prices are new.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final

from flows.spark.sizing.prices import InstanceFile, load_instances
from metadata_sync.errors import HardRunError
from metadata_sync.instances import OWN_FILE
from metadata_sync.project import Project

PRICING_REGION: Final = "us-east-1"
"""Where AWS answers about prices: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html."""

_EC2: Final = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}
_EMR: Final = {"softwareType": "EMR"}


def refresh(project: Project, region: str, client: Any, today: date) -> tuple[str, ...]:
    """Write `emr_instances.yml` with today's prices of a region; those of other regions stay as they are.

    Args:
        project: The project.
        region: The AWS region.
        client: boto3's client of `pricing` in PRICING_REGION.
        today: The date of the prices.

    Returns:
        The instance types that have no price in the region: they are left out there.

    Raises:
        ConfigurationError: When the list that counts now is invalid.
        HardRunError: When AWS has a price for none of the types.
    """
    known = load_instances(project)
    ec2 = read_prices(_ask(client, "AmazonEC2", region, _EC2))
    emr = read_prices(_ask(client, "ElasticMapReduce", region, _EMR))
    found = {name: {"ec2": ec2[name], "emr": emr[name]} for name in known.instances if name in ec2 and name in emr}
    if not found:
        raise HardRunError(f"AWS's price list holds none of the instance types in {region}.", "Correct the region.")
    (project.root / OWN_FILE).write_text(_text(known, region, found, today), "utf-8")
    return tuple(name for name in known.instances if name not in found)


def read_prices(documents: Iterable[str]) -> dict[str, float]:
    """Return the on-demand price per hour, by instance type, from documents of AWS's price list.

    Args:
        documents: JSON of GetProducts, one product each.
    """
    prices: dict[str, float] = {}
    for text in documents:
        document = json.loads(text)
        name = document["product"]["attributes"].get("instanceType")
        hourly = [price for price in _hourly(document) if price > 0]
        if name and hourly:
            prices[name] = min(hourly)
    return prices


def _hourly(document: Mapping[str, Any]) -> Iterator[float]:
    for term in document.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            if dimension["unit"] in ("Hrs", "hours", "Hours"):
                yield float(dimension["pricePerUnit"].get("USD", 0))


def _ask(client: Any, service: str, region: str, fields: Mapping[str, str]) -> Iterator[str]:
    filters = [
        {"Type": "TERM_MATCH", "Field": name, "Value": value}
        for name, value in {**fields, "regionCode": region}.items()
    ]
    for page in client.get_paginator("get_products").paginate(ServiceCode=service, Filters=filters):
        yield from page["PriceList"]


def _text(known: InstanceFile, region: str, found: Mapping[str, Any], today: date) -> str:
    import yaml

    document = known.model_dump(mode="json")
    document["prices"] = {**document["prices"], region: dict(found)}
    dates = {name: known.date_of(name) for name in known.prices} | {region: today}
    document["as_of"] = {name: day.isoformat() for name, day in dates.items()}
    head = (
        f"# Prices of {region} by AWS's price list, written by `sluice emr prices`; the others as they were before.\n"
    )
    return head + yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=120)
