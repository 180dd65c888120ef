"""Machines and prices, from a dated YAML file that a team can edit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from metadata_sync.errors import ConfigurationError
from metadata_sync.instances import OWN_FILE, price_file
from metadata_sync.problems import did_you_mean
from metadata_sync.project import Project

OLD_AFTER: Final = timedelta(days=365)
"""A price list of more than this is old: `sluice doctor` says so."""


class _PriceModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Machine(_PriceModel):
    """An EC2 instance type.

    Attributes:
        vcpus: Virtual CPUs.
        memory_gib: Memory.
        yarn_mb: Memory that YARN allocates on it.
        architecture: CPU architecture.
    """

    vcpus: int = Field(gt=0)
    memory_gib: float = Field(gt=0)
    yarn_mb: int = Field(gt=0)
    architecture: Literal["x86_64", "arm64"] = "x86_64"


class Price(_PriceModel):
    """US dollars per hour, on demand.

    Attributes:
        ec2: Price of the machine.
        emr: EMR's surcharge.
    """

    ec2: float = Field(gt=0)
    emr: float = Field(ge=0)

    @property
    def total(self) -> float:
        """The sum of both."""
        return self.ec2 + self.emr


class InstanceFile(_PriceModel):
    """The whole file; the date of the prices is one for all regions, or one for each."""

    as_of: date | Mapping[str, date]
    spot_price_share: float = Field(gt=0, le=1)
    instances: Mapping[str, Machine]
    prices: Mapping[str, Mapping[str, Price]]

    @model_validator(mode="after")
    def _every_price_has_a_machine(self) -> InstanceFile:
        for region, prices in self.prices.items():
            unknown = sorted(set(prices) - set(self.instances))
            if unknown:
                raise ValueError(f"prices of {region} name {', '.join(unknown)}, which is missing under instances")
        undated = sorted(set(self.prices) - set(self.as_of)) if isinstance(self.as_of, Mapping) else []
        if undated:
            raise ValueError(f"as_of has no date for {', '.join(undated)}")
        return self

    def date_of(self, region: str) -> date:
        """Return the date of a region's prices."""
        return self.as_of[region] if isinstance(self.as_of, Mapping) else self.as_of

    def in_region(self, region: str) -> PriceList:
        """Return the machines that have a price in a region.

        Raises:
            ConfigurationError: When the file has no prices for the region.
        """
        if region not in self.prices:
            known = ", ".join(sorted(self.prices))
            raise ConfigurationError(
                f"There are no prices for region {region!r} (only for {known}).",
                f"Have them written to {OWN_FILE}: `sluice emr prices --region {region}`.",
            )
        return PriceList(region, self)


class PriceList:
    """The machines of one region with their prices.

    Args:
        region: The AWS region.
        file: The price file.
    """

    def __init__(self, region: str, file: InstanceFile) -> None:
        self.region = region
        self.as_of = file.date_of(region)
        self.spot_price_share = file.spot_price_share
        self._file = file

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every instance type that can be sized with."""
        return tuple(sorted(self._file.prices[self.region]))

    def machine(self, name: str) -> Machine:
        """Return a machine.

        Raises:
            ConfigurationError: When the file does not contain it.
        """
        self.price(name)
        return self._file.instances[name]

    def price(self, name: str) -> Price:
        """Return the price of a machine.

        Raises:
            ConfigurationError: When the file has no price for it.
        """
        found = self._file.prices[self.region].get(name)
        if found is None:
            raise ConfigurationError(
                f"Instance type {name} has no price in {self.region} (prices as of {self.as_of}).",
                did_you_mean(name, self.names) or f"Add it to {OWN_FILE} in the project's root.",
            )
        return found


def load_instances(project: Project) -> InstanceFile:
    """Read the project's file, or the default one.

    Raises:
        ConfigurationError: When the file cannot be read or is invalid.
    """
    return read_instances(price_file(project))


def read_instances(path: Path) -> InstanceFile:
    """Read one file.

    Raises:
        ConfigurationError: When it cannot be read or is invalid.
    """
    import yaml

    try:
        return InstanceFile.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigurationError(f"{path.name}: {where}: {first['msg']}.", "Correct the file.") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path.name} cannot be read: {error}.", "Correct the file.") from error
