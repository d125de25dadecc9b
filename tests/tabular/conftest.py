"""Small tables to learn from, as files and as values."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vistazo
from vistazo.tables.table import Table
from vistazo.tabular.config import TabularConfig
from vistazo.tabular.given import table_of

# As small and short as it can be and still learn; one thread, because two wait for one another on shared cores.
TINY = {"threads": 1, "members": 2, "hidden": "16", "epochs": 3, "quiet": True}


@pytest.fixture(scope="session")
def flowers() -> dict[str, list[Any]]:
    """120 rows, three classes that two numbers and a category tell, some cells missing."""
    random = np.random.default_rng(0)
    kind = np.repeat([0, 1, 2], 40)
    length = (kind + random.normal(0, 0.4, 120)).round(3).tolist()
    width = (2.0 * kind + random.normal(0, 0.8, 120)).round(3).tolist()
    for row in range(0, 120, 15):
        width[row] = None
    return {
        "length": length,
        "width": width,
        "place": [("wood", "field", "río")[(k + (r % 10 == 0)) % 3] for r, k in enumerate(kind)],
        "noise": random.normal(0, 1, 120).round(3).tolist(),
        "flower": [("daisy", "rose", "tulip")[k] for k in kind],
    }


@pytest.fixture(scope="session")
def houses() -> dict[str, list[Any]]:
    """200 rows whose price is a plane of two numbers, with some noise."""
    random = np.random.default_rng(1)
    area, age = random.uniform(40, 200, 200).round(1), random.uniform(0, 80, 200).round(1)
    price = (1000 * area - 500 * age + random.normal(0, 5000, 200)).round(0)
    return {"area": area.tolist(), "age": age.tolist(), "price": price.tolist()}


@pytest.fixture(scope="session")
def write_table() -> Callable[..., Path]:
    """Write a dictionary of columns as a CSV file, None as an empty cell."""

    def write(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        return path

    return write


@pytest.fixture(scope="session")
def learn() -> Callable[..., Any]:
    """`vistazo.train` on a table, as small a run as can be; settings override."""

    def run(source: Any, **settings: Any) -> Any:
        return vistazo.train(source, task="tabular", **{**TINY, **settings})

    return run


@pytest.fixture(scope="session")
def flower_run(flowers, learn, tmp_path_factory, write_table) -> Any:
    """A finished run on the flowers, of 12 epochs; tests only read it."""
    folder = tmp_path_factory.mktemp("flowers")
    source = write_table(folder / "flowers.csv", flowers)
    return learn(source, target="flower", epochs=12, hidden="32", out=str(folder / "run"))


@pytest.fixture(scope="session")
def house_run(houses, learn, tmp_path_factory, write_table) -> Any:
    """A finished run on the houses; tests only read it."""
    folder = tmp_path_factory.mktemp("houses")
    source = write_table(folder / "houses.csv", houses)
    return learn(source, target="price", epochs=40, hidden="32", decay=0.1, out=str(folder / "run"))


@pytest.fixture
def table() -> Callable[..., Table]:
    """A Table of columns given by name."""
    return lambda **columns: table_of(columns)


@pytest.fixture
def config() -> Callable[..., TabularConfig]:
    """Settings, with the target 'y' unless another is named."""
    return lambda **settings: TabularConfig(**{"target": "y", **settings})
