"""The settings every training run has, whatever it learns. Free of torch."""

from typing import Literal

from vistazo.config import Config, setting
from vistazo.language import mark

__all__ = ["TrainingConfig"]


class TrainingConfig(Config):
    """How long, how carefully and where to train. A setting left at None is decided by the recipe or the data."""

    epochs: int | None = setting(
        None, spanish="epocas", ge=1, help=mark("passes over the training data (default: the recipe's)")
    )
    seed: int = setting(0, spanish="semilla", ge=0, help=mark("number that everything random is drawn from"))
    batch: int | None = setting(
        None, spanish="lote", ge=2, help=mark("examples a step (default: the recipe's)")
    )
    rate: float = setting(1.0, spanish="ritmo", gt=0, help=mark("multiplies the recipe's learning rates"))
    clip: float = setting(
        0.0, spanish="recorte", ge=0, help=mark("largest norm of the gradient, 0 for no limit")
    )
    accumulate: int = setting(
        1, spanish="acumular", ge=1, help=mark("slices a batch is computed in, to save memory")
    )
    patience: int | None = setting(
        None,
        spanish="paciencia",
        ge=0,
        help=mark("epochs without improvement before training stops, 0 for never (default: the recipe's)"),
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = setting(
        "auto", spanish="dispositivo", help=mark("where to compute")
    )
    threads: int | None = setting(
        None, spanish="hilos", ge=1, le=1024, help=mark("processor threads (default: one a core)")
    )
    deterministic: bool = setting(
        False,
        spanish="determinista",
        help=mark("only computations that repeat to the bit, on a GPU too; slower there"),
    )
    checkpoint_seconds: float = setting(
        10.0,
        spanish="segundos_punto",
        ge=0,
        identity=False,
        help=mark("seconds of work a kill may lose, at most"),
    )
