"""The settings of one image-classification run. Free of torch: options, help and forms are derived from here."""

import math
from typing import Any, Literal, Self

from pydantic import ValidationInfo, field_validator, model_validator

from vistazo import platform
from vistazo.classification import in_words
from vistazo.classification.evaluating.stating import parse
from vistazo.config import setting
from vistazo.engine import runs
from vistazo.engine.settings import TrainingConfig
from vistazo.errors import ConfigError
from vistazo.language import mark, tr
from vistazo.pictures import augments
from vistazo.pictures.every import interval

__all__ = ["AUTO", "ClassificationConfig"]

AUTO = "auto"


class ClassificationConfig(TrainingConfig):
    """One image-classification run. A setting left at None is decided by the recipe or by a probe."""

    recipe: str = setting(
        "auto",
        spanish="receta",
        help=mark("how to train: `vistazo recipes` lists them; auto chooses by the pictures"),
    )
    time: str | None = setting(
        None,
        spanish="tiempo",
        pattern=r"^\d+(\.\d+)?(s|m|min|h)?$",
        help=mark("time the whole run may take, as in 90s, 5m or 1h: network and length are chosen to fit"),
    )
    model: str | None = setting(
        None, spanish="modelo", help=mark("network: `vistazo models` lists them (default: the recipe's)")
    )
    size: str | None = setting(
        None,
        spanish="tamano",
        pattern=r"^[1-9]\d{0,3}(x[1-9]\d{0,3})?$",
        help=mark("size pictures are brought to: 32, or height x width as in 28x40 (default: their own)"),
    )
    channels: Literal["1", "3"] | None = setting(
        None, spanish="canales", help=mark("1 for grey, 3 for colour (default: as the pictures are)")
    )
    background: str = setting(
        "white",
        spanish="fondo",
        pattern=r"^(white|black|#[0-9a-fA-F]{6})$",
        help=mark("what transparent pictures are laid over: white, black or #rrggbb"),
    )
    classes: str | None = setting(
        None,
        spanish="clases",
        identity=False,
        help=mark("text file with one class name a line, for IDX files"),
    )
    group_by: str = setting(
        "auto",
        spanish="agrupar",
        help=mark("pictures of one thing stay in one part: auto, none, parent, regex:..., time:60s"),
    )
    every: str | None = setting(
        None, spanish="cada", help=mark("a frame of each video every so long, as in 0.5s or 2m (default: 1s)")
    )
    flip: Literal["auto", "on", "off"] = setting(
        "auto",
        spanish="espejo",
        help=mark("mirror pictures: auto mirrors colour pictures without letters, digits or sides"),
    )
    augment: str | None = setting(
        None,
        spanish="aumento",
        help=mark(
            "changes of training pictures: none, all, or a list as in recipe,rotate=15,zoom=0.8..1.2 "
            "(default: the recipe's)"
        ),
    )
    balance: Literal["auto", "none", "weights", "sampling"] = setting(
        "auto",
        spanish="equilibrio",
        help=mark(
            "uneven classes: sampling draws rare ones more often, weights counts them more; auto samples from twice on"
        ),
    )
    corrections: str | None = setting(
        None,
        spanish="correcciones",
        help=mark("review.csv of a check: pictures it excludes or relabels; the source is not touched"),
    )
    max_broken: float = setting(
        0.05, spanish="max_rotas", ge=0, le=1, help=mark("largest share of unreadable pictures, 0 to 1")
    )
    start: str | None = setting(
        None, flag="from", spanish="desde", help=mark("model file or run whose weights training begins from")
    )
    filters: str | None = setting(
        None,
        spanish="filtros",
        pattern=r"^[1-9]\d{0,3}(,[1-9]\d{0,3})*$",
        help=mark("filters of each group, as in 32,64,64"),
    )
    network: str | None = setting(
        None,
        spanish="red",
        help=mark(
            "a network of your own in words, as in 'conv 32 3x3 relu; pool 2; dense classes softmax', or @FILE with a "
            "layer a line"
        ),
    )
    numbers: str | None = setting(
        None,
        spanish="numeros",
        help=mark("values for numbers of --network, as in filters=16,dropout1.rate=0.4"),
    )
    learning_rate: str | None = setting(
        None,
        spanish="tasa",
        help=mark(
            "learning rate of the network's first group, the others in proportion, as in 0.001; auto: by a range test "
            "(default: the recipe's)"
        ),
    )
    optimizer: (
        Literal["muon", "sgd", "momentum", "nesterov", "adamw", "adam", "nadam", "rmsprop", "adagrad"] | None
    ) = setting(
        None,
        spanish="optimizador",
        help=mark("how all parameters learn, at that method's usual rate (default: the network's own way)"),
    )
    schedule: (
        Literal["constant", "step", "cosine", "triangular", "one_cycle", "linear", "inverse_time", "plateau"]
        | None
    ) = setting(None, spanish="plan", help=mark("how the learning rate goes on (default: the recipe's)"))
    l1: float | None = setting(
        None,
        spanish="penalizacion_l1",
        ge=0,
        le=1,
        help=mark("penalty on the sum of absolute weights, not of biases and norms: most end near 0"),
    )
    l2: float | None = setting(
        None,
        spanish="penalizacion_l2",
        ge=0,
        le=1,
        help=mark("penalty on the sum of squared weights, in place of the network's own: none grows large"),
    )
    weight_decay: float | None = setting(
        None,
        spanish="decaimiento_pesos",
        ge=0,
        le=10,
        help=mark("share of each weight that a step at rate 1 takes away, beside the gradient"),
    )
    dropout: float | None = setting(
        None,
        spanish="abandono",
        ge=0,
        lt=1,
        help=mark(
            "share of units silenced while training, in every dropout layer of a network that has some"
        ),
    )
    loss: str | None = setting(
        None,
        spanish="perdida",
        help=mark(
            "what training minimises, as in focal=2: `vistazo models --parts losses` (default: the recipe's)"
        ),
    )
    smoothing: float | None = setting(
        None,
        spanish="suavizado",
        ge=0,
        lt=1,
        help=mark("share of a label that is spread over all classes, 0 to 1 (default: the recipe's)"),
    )
    average: Literal["lookahead", "none"] | None = setting(
        None, spanish="promedio", help=mark("averaging of weights along the way (default: the recipe's)")
    )
    monitor: Literal["accuracy", "loss", "macro_f1"] | None = setting(
        None,
        spanish="vigilar",
        help=mark("validation figure that decides which epoch is best (default: the recipe's)"),
    )
    keep: Literal["best", "last"] | None = setting(
        None,
        spanish="guardar",
        help=mark("which epoch's weights are kept (default: best with --patience, else the recipe's)"),
    )
    stop_at: str | None = setting(
        None,
        spanish="parar_en",
        pattern=r"^(accuracy|loss|macro_f1)=\d*\.?\d+$",
        help=mark("end training when validation reaches a figure, as in accuracy=0.99"),
    )
    views: Literal["on", "off"] | None = setting(
        None,
        spanish="vistas",
        help=mark("average the answers to slightly moved copies of a picture (default: the recipe's)"),
    )
    unknown_error: str | None = setting(
        None,
        flag="dont-know",
        spanish="no_se",
        help=mark(
            "let the model say that it does not know, so that no more of its answers are wrong than a share, as in 5%"
        ),
    )
    beside: Literal["on", "off"] | None = setting(
        None,
        spanish="al_lado",
        identity=False,
        help=mark(
            "train the everyday recipe on the same parts too, to compare (default: with a tutorial's recipe)"
        ),
    )
    precision: Literal["fp32", "bf16"] | None = setting(
        None,
        spanish="precision_numerica",
        help=mark("arithmetic of training (default: the faster one, tried)"),
    )
    layout: Literal["contiguous", "channels_last"] | None = setting(
        None, spanish="disposicion", help=mark("order of pixels in memory (default: the faster one, tried)")
    )

    repeats: int | None = setting(
        None,
        spanish="repeticiones",
        ge=2,
        le=1000,
        help=mark("train so many times, with a seed of its own each, and tell mean, deviation and interval"),
    )
    folds: int | None = setting(
        None,
        spanish="pliegues",
        ge=2,
        le=1000,
        help=mark(
            "train so many times, with another part of the pictures to test on each: all are tested once"
        ),
    )
    fold: str | None = setting(
        None,
        spanish="pliegue",
        pattern=r"^(all|[1-9]\d{0,3}/[1-9]\d{0,3})$",
        help=mark("test on one fold: 2/5 is the second of five; all tests on none"),
    )

    @field_validator("learning_rate", mode="before")
    @classmethod
    def _rate(cls, value: Any) -> Any:
        """auto, or a number in one way of writing it. Raises ConfigError with a sentence of its own."""
        if value is None or value == AUTO:
            return value
        try:
            rate = float(value)
        except (TypeError, ValueError):
            rate = -1.0
        if isinstance(value, bool) or not 0 < rate < math.inf:
            raise ConfigError(
                tr("--learning-rate is a number above 0, as in 0.001, or auto; not '{value}'.", value=value)
            )
        return repr(rate)

    @field_validator("augment", mode="before")
    @classmethod
    def _list_of_augments(cls, value: Any) -> Any:
        """A list of a TOML file as one text. Raises ConfigError with a sentence of its own."""
        text = ",".join(map(str, value)) if isinstance(value, list) else value
        if isinstance(text, str):
            augments.parse(text)
        return text

    @field_validator("network", "numbers", mode="before")
    @classmethod
    def _in_words(cls, value: Any, info: ValidationInfo) -> Any:
        """Lists and tables of a TOML file as one text. Raises ConfigError with a sentence of its own."""
        try:
            return (in_words.as_text if info.field_name == "network" else in_words.as_values)(value)
        except ValueError as error:  # pydantic would take it for its own
            raise ConfigError(str(error)) from None

    @field_validator("every")
    @classmethod
    def _time(cls, value: str | None) -> str | None:
        """Raises ConfigError with a sentence of its own."""
        interval(value)
        return value

    @field_validator("unknown_error")
    @classmethod
    def _share(cls, value: str | None) -> str | None:
        """Raises ConfigError with a sentence of its own."""
        if value is not None:
            parse(value)
        return value

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        """A rate is set or multiplied, not both. Raises ConfigError."""
        if self.learning_rate and self.rate != 1:
            raise ConfigError(
                tr(
                    "--rate multiplies the recipe's rate and --learning-rate replaces it: leave out one of them."
                )
            )
        return self

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        """Repeats, folds and a single fold exclude one another. Raises ConfigError."""
        asked = [name for name in ("repeats", "folds", "fold") if getattr(self, name)]
        if len(asked) > 1:
            raise ConfigError(
                tr("--{one} and --{other} exclude one another: choose one.", one=asked[0], other=asked[1])
            )
        at, _, of = (self.fold or "").partition("/")
        if of and (int(of) < 2 or int(at) > int(of)):
            raise ConfigError(
                tr("--fold {value}: there is no such fold; 2/5 is the second of five.", value=self.fold)
            )
        return self

    def anchored(self) -> Self:
        """`classes`, `start` and `corrections` as absolute paths, the last with a seal of what it says; `last` is
        resolved here, before this run becomes the last. The file of `network` as the words in it.

        Raises RunError where `start` is no model, ConfigError where it is an exported one, SourceError where
        `corrections` cannot be understood.
        """
        corrections = self.corrections
        if corrections:
            from vistazo.classification import correcting

            corrections = correcting.sealed(corrections)
        start = runs.model_file(self.start) if self.start else None
        if start is not None and start.suffix == ".onnx":
            raise ConfigError(
                tr(
                    "{path} was exported to answer, and cannot learn further: begin from the .vistazo file that it "
                    "came from.",
                    path=start,
                )
            )
        paths = {
            "corrections": corrections,
            "classes": self.classes and str(platform.existing(self.classes).absolute()),
            "network": self.network and in_words.read_file(self.network),
            "start": start and str(start.absolute()),
        }
        return self.model_copy(update=paths)
