"""The settings of one run on a table. Free of torch: options, help and forms are derived from here."""

from typing import Literal

from vistazo.config import setting
from vistazo.engine.settings import TrainingConfig
from vistazo.language import mark
from vistazo.tables.config import TableConfig

__all__ = ["TabularConfig"]


class TabularConfig(TrainingConfig, TableConfig):
    """One run on a table. A setting left at None is decided by the network's recipe or by the data."""

    target: str | None = setting(
        None, spanish="objetivo", help=mark("column to learn, by its name or its number from 1")
    )
    kind: Literal["auto", "classification", "regression"] = setting(
        "auto", spanish="tipo", help=mark("whether the target is a class or a number")
    )
    ordered: str | None = setting(
        None,
        spanish="orden_clases",
        help=mark("the target's classes in their order, parted by commas, as in lost,drawn,won"),
    )
    group: str | None = setting(
        None,
        spanish="grupo",
        help=mark("column whose equal values stay in one part, such as the patient or the customer"),
    )
    order: str | None = setting(
        None,
        flag="order_by",
        spanish="ordenar_por",
        help=mark("column of dates or numbers that parts follow: the oldest rows train, the latest test"),
    )
    leave_out: str | None = setting(
        None, spanish="excluir", help=mark("columns not to learn from, parted by commas")
    )
    keep_columns: str | None = setting(
        None,
        spanish="conservar",
        help=mark("columns to learn from although they look like identifiers or copies of the target"),
    )
    test_share: float = setting(
        0.1,
        spanish="parte_prueba",
        ge=0,
        le=0.5,
        help=mark("share of the rows set aside for the test, 0 to 0.5"),
    )
    validation_share: float = setting(
        0.1,
        spanish="parte_validacion",
        ge=0,
        le=0.5,
        help=mark("share of the rows set aside for validation, 0 to 0.5"),
    )
    model: str | None = setting(
        None, spanish="modelo", help=mark("network: `vistazo models` lists them (default: mlp)")
    )
    hidden: str | None = setting(
        None,
        spanish="ocultas",
        pattern=r"^[1-9]\d{0,3}(,[1-9]\d{0,3}){0,9}$",
        help=mark("units of each hidden layer, as in 16 or 128,128"),
    )
    members: int | None = setting(
        None, spanish="miembros", ge=1, le=128, help=mark("networks whose answers are averaged")
    )
    decay: float | None = setting(
        None, spanish="decaimiento", ge=0, le=10, help=mark("weight decay (default: the network's)")
    )
    loss: str | None = setting(
        None,
        spanish="perdida",
        help=mark(
            "what training minimises, as in focal=2 of classes or huber=0.5 of numbers: `vistazo models --parts losses`"
        ),
    )
    scaler: Literal["standard", "min-max", "robust", "robust-q1", "none"] = setting(
        "standard", spanish="escalador", help=mark("how numbers are scaled")
    )
