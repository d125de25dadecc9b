"""The settings of one forecasting run. Free of torch: options, help and forms are derived from here."""

from typing import Literal

from vistazo.config import setting
from vistazo.engine.settings import TrainingConfig
from vistazo.language import mark
from vistazo.tables.config import TableConfig

__all__ = ["ForecastingConfig"]


class ForecastingConfig(TrainingConfig, TableConfig):
    """One forecasting run. A setting left at None is decided by the network's recipe or by the data."""

    model: str | None = setting(
        None, spanish="modelo", help=mark("network: `vistazo models` lists them (default: tide)")
    )
    date: str | None = setting(
        None, spanish="fecha", help=mark("column of dates (default: the only one that holds dates)")
    )
    value: str | None = setting(
        None,
        spanish="valor",
        help=mark("column to forecast, or several parted by commas (default: the only column of numbers)"),
    )
    series: str | None = setting(
        None, spanish="serie", help=mark("column that says which series a row belongs to, such as the shop")
    )
    known: str | None = setting(
        None,
        spanish="conocidas",
        help=mark("columns known for days to come too, such as promotions, parted by commas"),
    )
    aggregate: Literal["sum", "mean"] | None = setting(
        None, spanish="agregar", help=mark("what several rows of one day become, as ticket lines do")
    )
    missing: Literal["zero", "closed", "unknown"] | None = setting(
        None,
        spanish="faltan",
        help=mark(
            "what absent days mean: zero sold, closed so that no sale was possible, or unknown "
            "(default: closed, and it is said)"
        ),
    )
    step: Literal["hour", "day", "week", "month"] | None = setting(
        None, spanish="paso", help=mark("what one step of the series is (default: as the dates are)")
    )
    window: int = setting(7, spanish="ventana", ge=1, le=1000, help=mark("past steps the network sees"))
    horizon: int = setting(7, spanish="horizonte", ge=1, le=1000, help=mark("steps to forecast"))
    test: int | None = setting(
        None,
        spanish="prueba",
        ge=0,
        help=mark("steps at the end set aside for the last measurement (default: a fifth, at most 120)"),
    )
    origins: int = setting(
        4, spanish="origenes", ge=1, le=20, help=mark("moments of the past from which forecasts are tried")
    )
    loss: str | None = setting(
        None,
        spanish="perdida",
        help=mark(
            "what training minimises: mse, mae or huber, for st1, stmv and ste; the others learn quantiles"
        ),
    )
    scaler: Literal["standard", "min-max", "robust", "robust-q1"] | None = setting(
        None, spanish="escalador", help=mark("how values are scaled (default: the network's)")
    )
    transform: Literal["none", "log"] | None = setting(
        None,
        spanish="transformacion",
        help=mark("log learns proportions (default: log where no value is negative, if the network allows)"),
    )
