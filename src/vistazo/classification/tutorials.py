"""The recipes that repeat a tutorial: its network, optimiser, rate, batch, epochs, parts and stopping rule. Torch-free.

What none of them does, because no tutorial did: label smoothing, averaged weights, views at test time. Nor do they
mirror or move pictures, as no tutorial did but that of Quick, Draw!, whose ranges are not on record. What all do
otherwise: parts keep groups and copies together, so that their figures are honest, and the last, incomplete batch of an
epoch is left out. docs/tutorials.md tells the rest.
"""

from functools import partial

from vistazo.classification.recipe import Claim, Given, Recipe
from vistazo.language import mark

__all__ = ["TUTORIALS"]


def _length(given: Given, *, epochs: int, batch: int) -> tuple[int, int]:
    return epochs, batch


_AS_TUTORIALS_DO = {
    "schedule": "constant",
    "average": "none",
    "smoothing": 0.0,
    "keep": "last",
    "views": False,
    "augment": "none",
    "scaling": "unit",
}


def _tutorial(help: str, model: str, *, epochs: int, batch: int, claim: Claim, **settings: object) -> Recipe:
    values: dict[str, object] = {**_AS_TUTORIALS_DO, **settings}
    length = partial(_length, epochs=epochs, batch=batch)
    return Recipe(help, model, length, claim=claim, **values)  # type: ignore[arg-type]


_NO_VALIDATION = mark(
    "the tutorial has no validation part, or validates on the test part; here a tenth of training validates, and the "
    "test part is measured once."
)

TUTORIALS: dict[str, Recipe] = {
    "tutorial-mnist": _tutorial(
        mark("the Keras tutorial on handwritten digits: Adam, 10 epochs; 98.66 % claimed"),
        "mnist_cnn",
        epochs=10,
        batch=32,
        size=(28, 28),
        claim=Claim(0.9866, mark("MNIST, the official test part"), _NO_VALIDATION),
    ),
    "tutorial-fashion": _tutorial(
        mark("the PyTorch tutorial on Fashion-MNIST: plain SGD on sigmoid scores, 15 epochs"),
        "fashion_cnn",
        epochs=15,
        batch=20,
        keep="best",
        monitor="loss",
        size=(28, 28),
        validation=0.2,  # 12,000 of 60,000
        claim=Claim(
            None,
            mark("Fashion-MNIST, the official test part; no figure is on record"),
            mark("the fifth of training that validates is drawn class by class instead of at random."),
        ),
    ),
    "tutorial-cifar": _tutorial(
        mark("the Keras guide on CIFAR-10: Adam, dropout, batch norm, 25 epochs; 82.01 % claimed"),
        "cifar_cnn",
        epochs=25,
        batch=64,
        size=(32, 32),
        claim=Claim(0.8201, mark("CIFAR-10, chosen on the test part"), _NO_VALIDATION),
    ),
    "tutorial-sports": _tutorial(
        mark("the Keras tutorial on sports pictures of 21 x 28: Adagrad, 6 epochs; 84.09 % claimed"),
        "sports_cnn",
        epochs=6,
        batch=64,
        schedule="inverse_time",
        size=(21, 28),
        validation=0.16,  # a fifth of what the test part leaves
        test=0.2,
        claim=Claim(
            0.8409,
            mark("77,128 pictures of ten sports, a random fifth of frames of the same videos"),
            mark(
                "the tutorial draws its parts picture by picture; here pictures of one group (--group-by) and copies "
                "stay together."
            ),
        ),
    ),
    "tutorial-quickdraw": _tutorial(
        mark(
            "the Keras tutorial on Quick, Draw! at 255 x 255: Adam, up to 100 epochs, stops at 99 % of validation"
        ),
        "quickdraw_cnn",
        epochs=100,
        batch=128,
        keep="best",
        patience=10,
        patience_on="loss",
        stop_at="accuracy=0.99",
        size=(255, 255),
        validation=0.02,  # a fifth of the tenth that is no training
        test=0.08,
        claim=Claim(
            None,
            mark("ten classes of Quick, Draw!, a tenth of the drawings; no figure is on record"),
            mark(
                "the tutorial's validation pictures are part of its test pictures, here they are apart; its zoom, "
                "translation and rotation are left out, because their ranges are not on record; its validation loss "
                "contains the penalty on the filters, here it is the cross-entropy alone."
            ),
        ),
    ),
}
