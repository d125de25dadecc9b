"""English messages, and the real data sets where they are present."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vistazo.language import speaking


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    with speaking("en"):
        yield


@pytest.fixture
def real() -> Callable[[str], Path]:
    """The path of a real data set; skips where it is absent."""
    root = Path(os.environ.get("VISTAZO_DATA", Path(__file__).parents[3] / "shared/data"))

    def find(name: str) -> Path:
        if not (root / name).exists():
            pytest.skip(f"{name} is not at {root} (VISTAZO_DATA)")
        return root / name

    return find
