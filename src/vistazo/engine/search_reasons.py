"""Why a search does not change some settings, whatever it learns from. Free of torch."""

from vistazo.language import mark

__all__ = ["ALIKE", "LUCK", "SHARED", "SPEED"]

LUCK = mark("another seed is luck and no better setting; use train --repeats to see how much luck there is.")
ALIKE = mark("trials are compared by it, so it is the same for all: give it once, as a setting.")
SPEED = mark("it decides how a trial is computed and not what is learnt: give it once, as a setting.")

SHARED = {
    **dict.fromkeys(("epochs", "patience", "task"), ALIKE),
    **dict.fromkeys(("device", "threads", "deterministic", "checkpoint_seconds", "out"), SPEED),
}
