"""How often a frame of a video is taken. Apart from `video`, so that settings need no NumPy."""

import re
from fractions import Fraction

from vistazo.errors import ConfigError
from vistazo.language import tr

__all__ = ["EVERY", "interval"]

EVERY = 1.0  # seconds
LEAST = 0.01
_UNITS = {"ms": Fraction(1, 1000), "s": Fraction(1), "": Fraction(1), "m": Fraction(60), "min": Fraction(60)}


def interval(text: str | None) -> float:
    """Seconds between two frames, of '0.5s', '500ms', '2m' or '2'; None is the default.

    Raises ConfigError for anything else and for less than a hundredth of a second.
    """
    if text is None:
        return EVERY
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|min|)", text.strip().lower())
    seconds = float(Fraction(found[1]) * _UNITS[found[2]]) if found else 0.0
    if seconds < LEAST:
        raise ConfigError(
            tr("--every must be a time of at least 0.01s, as in 0.5s or 2s, not '{value}'.", value=text)
        )
    return seconds
