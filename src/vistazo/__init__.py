"""Vistazo: from your own pictures to a recogniser you can trust, on the computer you have.

    import vistazo
    result = vistazo.train("pictures/")          # a folder with one sub-folder a class
    model = vistazo.load(result.model)
    for answer in model.predict(["new.jpg"]):
        print(answer["class"], answer["probability"])

Importing this package imports neither torch nor numpy; the first verb does.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vistazo.rates import find_rate
    from vistazo.serving.running import serve_here as serve
    from vistazo.tasks import Trained, load, reproduce, resume, train
    from vistazo.tuning import Tuned, tune

__version__ = "0.1.0"
__all__ = ["Trained", "Tuned", "find_rate", "load", "reproduce", "resume", "serve", "train", "tune"]


def __getattr__(name: str) -> Any:
    if name in ("Tuned", "tune"):
        from vistazo import tuning

        return getattr(tuning, name)
    if name == "find_rate":
        from vistazo import rates

        return rates.find_rate
    if name == "serve":
        from vistazo.serving import running

        return running.serve_here
    if name in __all__:
        from vistazo import tasks

        return getattr(tasks, name)
    raise AttributeError(f"module 'vistazo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
