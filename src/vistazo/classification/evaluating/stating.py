"""How a person states a share of errors. Free of numpy and torch: settings are read by it."""

import re

from vistazo.errors import ConfigError
from vistazo.language import tr

__all__ = ["parse"]


def parse(text: str) -> float:
    """'5%', '5 %', '0.05' or '0,05' as a share between 0 and 1. Raises ConfigError."""
    found = re.fullmatch(r"\s*(\d{1,3}(?:[.,]\d{1,6})?)\s*(%?)\s*", text)
    share = float(found[1].replace(",", ".")) / (100 if found[2] else 1) if found else 0.0
    if not 0 < share < 1:
        raise ConfigError(
            tr(
                "--dont-know does not understand '{value}': give the share of wrong answers that you accept, as in 5% "
                "or 0.05.",
                value=text,
            )
        )
    return share
