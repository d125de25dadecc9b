"""Which losses there are, what is told of them, and how one is asked for by name.

The losses themselves, and what their scores mean: `vistazo.engine.losses`.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from vistazo.engine import losses
from vistazo.engine.losses import Objective, Strength
from vistazo.errors import ConfigError
from vistazo.language import mark, tr
from vistazo.registry import About, Registry

__all__ = ["LOG_LOSSES", "Asked", "asked", "create", "objectives", "require_smoothing", "spelled", "suitable"]

objectives: Registry[Any] = Registry(mark("loss"))
"""Each is a class of `losses`. It takes `smoothing` where it can be smoothed, `numbers` where it learns numbers too."""

# What these are in training is what an evaluation calls log loss, so both are drawn over one axis.
LOG_LOSSES = ("cross_entropy", "binary_cross_entropy", "squashed_cross_entropy", "kl_divergence")

# In formulas: s scores, p their softmax (of a number, the answer), t the share of each class (of a number, the target).
_ABOUT = {
    "mse": (
        losses.SquaredError,
        About(
            mark("mean squared error"),
            "sum (p - t)^2",
            mark(
                "Numbers whose large errors matter most; it answers the mean. Of classes (the Brier score) it minds "
                "wrong labels less than cross-entropy does."
            ),
            "Gauss 1809; Brier 1950",
        ),
    ),
    "mae": (
        losses.AbsoluteError,
        About(
            mark("mean absolute error"),
            "sum |p - t|",
            mark(
                "Numbers with outliers that should not pull the answer, which is the median. Of classes it bears "
                "wrong labels, but learns slowly."
            ),
            "Laplace 1774; Ghosh et al. 2017, arXiv:1712.09482",
        ),
    ),
    "cross_entropy": (
        losses.CrossEntropy,
        About(
            mark("categorical cross-entropy, sparse or not; log loss"),
            "-sum t log p",
            mark("One class an example: the one to begin with. It rewards true probabilities."),
            "Good 1952; Bridle 1990",
        ),
    ),
    "binary_cross_entropy": (
        losses.BinaryCrossEntropy,
        About(
            mark("binary cross-entropy"),
            "-sum (t log p + (1 - t) log(1 - p)),  p = 1 / (1 + exp(-s))",
            mark(
                "Several labels an example, or none: each is a question of its own. Of two classes it is "
                "cross-entropy; of more it is refused."
            ),
            "Cox 1958",
        ),
    ),
    "hinge": (
        losses.Hinge,
        About(
            mark("hinge, of several classes"),
            "sum t_k max(0, 1 - s_k + max s_j),  j != k",
            mark(
                "Classes, where only the answer counts: an example that is right by a margin of 1 teaches nothing "
                "more. Probabilities come from validation."
            ),
            "Crammer, Singer 2001, JMLR 2:265-292",
        ),
    ),
    "huber": (
        losses.Huber,
        About(
            mark("Huber"),
            "e = p - t;  |e| <= delta: e^2 / 2;  |e| > delta: delta (|e| - delta / 2)",
            mark(
                "Numbers with a few outliers: squared near the answer, straight beyond delta. huber=0.5 sets delta, "
                "1 if it is not given."
            ),
            "Huber 1964",
        ),
    ),
    "kl_divergence": (
        losses.KullbackLeibler,
        About(
            mark("Kullback-Leibler divergence"),
            "sum t log(t / p)",
            mark(
                "Targets that are shares, as mixed or smoothed labels are: 0 is perfect. It learns what cross-entropy "
                "learns."
            ),
            "Kullback, Leibler 1951",
        ),
    ),
    "cosine_similarity": (
        losses.CosineSimilarity,
        About(
            mark("cosine similarity"),
            "1 - sum p t / sqrt(sum p^2 sum t^2)",
            mark(
                "Classes with some wrong labels: no example costs more than 1. It rewards true probabilities too, and "
                "learns slowly at first."
            ),
            "Roby 1965",
        ),
    ),
    "poisson": (
        losses.Poisson,
        About(
            mark("Poisson"),
            "sum (p - t log p)",
            mark(
                "Counts and other numbers from 0 on, such as visits or claims: the answer, exp(s), is above 0, and "
                "errors are judged by its size. Of classes it learns what cross-entropy learns."
            ),
            "Nelder, Wedderburn 1972",
        ),
    ),
    "focal": (
        losses.Focal,
        About(
            mark("focal"),
            "-sum t (1 - p)^gamma log p",
            mark(
                "Many easy examples and few hard ones: what is answered well counts less. focal=1 sets gamma, 2 if it "
                "is not given."
            ),
            "Lin et al. 2017, arXiv:1708.02002",
        ),
    ),
    "pinball": (
        losses.Pinball,
        About(
            mark("pinball, of quantiles"),
            "max(q (t - p), (q - 1) (t - p))",
            mark(
                "Forecasts with an interval: each output learns one quantile q. Forecasting uses it by itself."
            ),
            "Koenker, Bassett 1978",
        ),
    ),
    "squashed_cross_entropy": (
        losses.SquashedCrossEntropy,
        About(
            mark("cross-entropy of squashed scores"),
            "-sum t log softmax(1 / (1 + exp(-s)))",
            mark(
                "To see a tutorial's mistake: sigmoids fed to cross-entropy can never be sure. Not to be used."
            ),
            mark("PyTorch tutorial on Fashion-MNIST"),
        ),
    ),
}
for _name, (_loss, _about) in _ABOUT.items():
    objectives.register(_name, _about)(_loss)

_ALIASES = {
    "categorical_cross_entropy": "cross_entropy",
    "sparse_categorical_cross_entropy": "cross_entropy",
    "log_loss": "cross_entropy",
    "mean_squared_error": "mse",
    "brier": "mse",
    "mean_absolute_error": "mae",
    "categorical_hinge": "hinge",
    "huber_loss": "huber",
    "kullback_leibler": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "kld": "kl_divergence",
    "cosine": "cosine_similarity",
    "focal_loss": "focal",
}
_ALIASES |= {name.replace("cross_entropy", "crossentropy"): one for name, one in _ALIASES.items()}
_ALIASES |= {"binary_crossentropy": "binary_cross_entropy", "crossentropy": "cross_entropy"}


@dataclass(frozen=True)
class Asked:
    """A loss that was asked for. arguments: of its own, such as gamma. called: another name it was asked for by."""

    name: str
    arguments: dict[str, float]
    called: str = ""

    def sentence(self) -> str:
        """That it has another name here, '' where it has not."""
        if not self.called:
            return ""
        return tr("loss {called}: called {name} here", called=self.called, name=self.name)


def suitable(*, numbers: bool) -> list[str]:
    """The losses that can be asked for, of numbers or of classes."""
    if numbers:
        return [name for name in objectives if "numbers" in _takes(name)]
    return [name for name in objectives if name != "pinball"]


def asked(text: str, *, numbers: bool | None) -> Asked:
    """The loss of a name as `--loss` takes it: mse, or focal=1 with its own number.

    numbers: what is learnt, None where that is not known yet. Raises UnknownName, ConfigError where it does not suit.
    """
    called, sign, value = text.strip().partition("=")
    plain = called.strip().casefold().replace("-", "_").replace(" ", "_")
    name = _ALIASES.get(plain, plain)
    objectives[name]  # raises UnknownName
    arguments = _arguments(name, sign, value)
    if name == "pinball" or (numbers and name not in suitable(numbers=True)):
        raise ConfigError(_unsuited(name))
    return Asked(name, arguments, "" if plain == name else plain)


def create(
    name: str, arguments: Mapping[str, float], *, smoothing: float = 0.0, numbers: bool = False
) -> Objective:
    """The loss of a name. arguments: its own. smoothing: of labels, for those that take it.

    Raises UnknownName, and ValueError or TypeError for arguments that it does not take.
    """
    takes = _takes(name)
    if numbers and "numbers" not in takes:
        raise ValueError(f"{name} is no loss of numbers")
    given: dict[str, Any] = {"smoothing": smoothing, "numbers": numbers}
    found: Objective = objectives[name](
        **{key: value for key, value in given.items() if key in takes}, **arguments
    )
    return found


def require_smoothing(name: str) -> None:
    """Raise ConfigError where label smoothing makes no sense with this loss."""
    if name == "squashed_cross_entropy":
        raise ConfigError(
            tr(
                "--smoothing keeps a network from being too sure, and with the loss {loss} it can be sure of nothing: "
                "leave it out, or choose --loss cross_entropy.",
                loss=name,
            )
        )
    if "smoothing" not in _takes(name):
        able = [one for one in suitable(numbers=False) if "smoothing" in _takes(one)]
        able.remove("squashed_cross_entropy")
        raise ConfigError(
            tr(
                "--smoothing keeps the logarithm in a loss from being driven to the end, and {loss} has none: leave "
                "it out, or choose one of {losses}.",
                loss=name,
                losses=", ".join(able),
            )
        )


def spelled(name: str, arguments: Mapping[str, float]) -> str:
    """The loss as `--loss` takes it: mse, or focal=2."""
    return "=".join([name, *(f"{value:g}" for value in arguments.values())])


def _takes(name: str) -> frozenset[str]:
    return _parameters(objectives[name])


@cache
def _parameters(loss: Callable[..., Objective]) -> frozenset[str]:
    """Kept, as a model that answers picture by picture asks for its loss each time."""
    return frozenset(inspect.signature(loss).parameters)


def _arguments(name: str, sign: str, value: str) -> dict[str, float]:
    """The loss's own number, the usual one where none is given."""
    strength: Strength | None = getattr(objectives[name], "STRENGTH", None)
    if strength is None:
        if sign:
            raise ConfigError(tr("The loss {name} takes no number: write --loss {name}.", name=name))
        return {}
    if not sign:
        return {strength.name: strength.usual}
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not strength.least <= number <= strength.most:
        raise ConfigError(
            tr(
                "--loss {name}={value}: {what} is a number from {least} to {most}, as in {name}={usual}.",
                name=name,
                value=value,
                what=strength.name,
                least=f"{strength.least:g}",
                most=f"{strength.most:g}",
                usual=f"{strength.usual:g}",
            )
        )
    return {strength.name: number}


def _unsuited(name: str) -> str:
    if name == "pinball":
        return tr(
            "The loss pinball learns quantiles, one an output: forecasting with tide, dlinear, lstm or transformer "
            "uses it by itself. Leave --loss out."
        )
    return tr(
        "The loss {loss} compares classes, and here a number is learnt: choose one of {losses}, or add --kind "
        "classification if these numbers are classes.",
        loss=name,
        losses=", ".join(suitable(numbers=True)),
    )
