"""The verbs of the command line, in the order that help lists them.

Each module has some verbs: what they do, what a person reads of it, and their options. What a verb needs is imported
when it is called, so that `vistazo --help` answers at once.
"""

from vistazo.commands import (
    answering,
    explaining,
    exporting,
    lessons,
    listing,
    serving,
    similar,
    sources,
    studio,
    training,
    tuning,
)
from vistazo.commands.options import Verb

__all__ = ["ALIASES", "VERBS"]

_ORDER = (
    "train",
    "resume",
    "reproduce",
    "tune",
    "check",
    "evaluate",
    "predict",
    "explain",
    "inside",
    "embed",
    "search",
    "export",
    "serve",
    "models",
    "recipes",
    "cache",
    "data",
    "demo",
    "museum",
    "studio",
)
_ALL = {
    **answering.VERBS,
    **explaining.VERBS,
    **exporting.VERBS,
    **lessons.VERBS,
    **listing.VERBS,
    **serving.VERBS,
    **similar.VERBS,
    **sources.VERBS,
    **studio.VERBS,
    **training.VERBS,
    **tuning.VERBS,
}
VERBS: dict[str, Verb] = {name: _ALL[name] for name in _ORDER}
ALIASES: dict[str, str] = {verb.spanish: name for name, verb in VERBS.items()}
