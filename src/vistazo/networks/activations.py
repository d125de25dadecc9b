"""Activations by name: what a layer's numbers go through, so that layers do not melt into one.

Each entry builds a module from the value of its number, the channels it works on, and whether it may overwrite what it
is given. `vistazo.networks.word_grammar.ACTIVATIONS` says which have a number, and its usual value.
"""

from collections.abc import Callable

from torch import nn

from vistazo.language import mark
from vistazo.networks.word_grammar import ACTIVATIONS
from vistazo.registry import About, Registry

__all__ = ["RISING", "activations", "create"]

Build = Callable[[float, int, bool], nn.Module]  # (value of its number, channels, whether in place)

# These never fall, so that the maximum of a pool may be taken before them: the same numbers from a quarter of the work.
RISING = frozenset(["relu", "leaky_relu", "sigmoid", "tanh", "elu"])

activations: Registry[Build] = Registry(mark("activation"))


def create(name: str, *, value: float | None = None, channels: int = 1, in_place: bool = False) -> nn.Module:
    """The activation of that name, on (N, channels, ...) or (N, channels). Raises UnknownName.

    value: of its number, as the slope of leaky_relu; None for the usual one. in_place: where it can.
    """
    usual = ACTIVATIONS.get(name)
    number = (usual[1] if usual else 0.0) if value is None else value
    return activations[name](number, channels, in_place)


activations.register(
    "relu",
    About(
        mark("rectified linear unit (ReLU)"),
        "max(0, x)",
        mark(
            "The usual choice inside a network: fast, and deep networks learn with it. A unit that is below 0 for "
            "every picture learns no more."
        ),
        "Nair, Hinton 2010; Glorot, Bordes, Bengio 2011",
    ),
)(lambda value, channels, in_place: nn.ReLU(in_place))

activations.register(
    "leaky_relu",
    About(
        mark("leaky ReLU"),
        "x where x > 0, else slope · x; slope 0.1 unless given",
        mark(
            "Where units of ReLU fall silent: below 0 a little is let through, so that each goes on learning."
        ),
        "Maas, Hannun, Ng 2013 (slope 0.01); 0.1 as the Keras tutorial on sports pictures",
    ),
)(lambda value, channels, in_place: nn.LeakyReLU(value, in_place))

activations.register(
    "prelu",
    About(
        mark("parametric ReLU (PReLU)"),
        "x where x > 0, else a · x; one a for each channel, learnt, 0.25 at first",
        mark(
            "Leaky ReLU whose slope is learnt. Worth a try with many pictures; with few it is one more thing to learn."
        ),
        "He, Zhang, Ren, Sun 2015, arXiv:1502.01852",
    ),
)(lambda value, channels, in_place: nn.PReLU(channels))

activations.register(
    "sigmoid",
    About(
        mark("sigmoid"),
        "1 / (1 + exp(-x))",
        mark(
            "For an answer between 0 and 1, such as yes or no. Inside deep networks its ends are flat, and learning "
            "is slow."
        ),
        "Rumelhart, Hinton, Williams 1986",
    ),
)(lambda value, channels, in_place: nn.Sigmoid())

activations.register(
    "tanh",
    About(
        mark("hyperbolic tangent"),
        "(exp(x) - exp(-x)) / (exp(x) + exp(-x))",
        mark(
            "For values between -1 and 1, as scaled series are. Centred on 0, so it learns faster than the sigmoid."
        ),
        "LeCun, Bottou, Orr, Müller 1998, Efficient BackProp",
    ),
)(lambda value, channels, in_place: nn.Tanh())

activations.register(
    "swish",
    About(
        mark("swish, also called SiLU"),
        "x / (1 + exp(-x))",
        mark("A smooth ReLU. Deep networks for photographs gain by it; it takes a little longer."),
        "Ramachandran, Zoph, Le 2017, arXiv:1710.05941; Elfwing, Uchibe, Doya 2017, arXiv:1702.03118",
    ),
)(lambda value, channels, in_place: nn.SiLU(in_place))

activations.register(
    "elu",
    About(
        mark("exponential linear unit (ELU)"),
        "x where x > 0, else alpha · (exp(x) - 1); alpha 1 unless given",
        mark(
            "A ReLU whose units never fall silent and whose mean lies nearer to 0; without batch normalisation."
        ),
        "Clevert, Unterthiner, Hochreiter 2015, arXiv:1511.07289",
    ),
)(lambda value, channels, in_place: nn.ELU(value, in_place))

activations.register(
    "gelu",
    About(
        mark("Gaussian error linear unit (GELU)"),
        "x · Φ(x) = x / 2 · (1 + erf(x / √2))",
        mark("What transformers use: smooth, and a little below 0 for small negative numbers."),
        "Hendrycks, Gimpel 2016, arXiv:1606.08415",
    ),
)(lambda value, channels, in_place: nn.GELU())

activations.register(
    "softmax",
    About(
        mark("softmax"),
        "exp(x_k) / sum over all j of exp(x_j)",
        mark("For the last layer where exactly one of several classes is right: shares that sum to 1."),
        "Bridle 1990",
    ),
)(lambda value, channels, in_place: nn.Softmax(dim=1))

activations.register(
    "linear",
    About(
        mark("linear (none)"),
        "x",
        mark(
            "For the last layer where the answer is any number. Between layers it leaves out what makes them more than "
            "one."
        ),
        "Widrow, Hoff 1960",
    ),
)(lambda value, channels, in_place: nn.Identity())
