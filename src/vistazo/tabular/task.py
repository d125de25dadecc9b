"""Learning a table's column, told in its own words: read, divide, train, measure, explain, keep."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

import vistazo
from vistazo import bundle as bundles
from vistazo import platform
from vistazo.bundle import Bundle
from vistazo.engine import device as devices
from vistazo.engine.device import Compute
from vistazo.engine.fitting import Fitted, Pause, Plan, fit
from vistazo.engine.objectives import Asked
from vistazo.engine.optimizers import schedule
from vistazo.engine.parameters import count_parameters
from vistazo.engine.progress import Progress
from vistazo.engine.reports import number
from vistazo.engine.runs import Run
from vistazo.errors import DiskError
from vistazo.language import tr
from vistazo.tables.config import TableConfig
from vistazo.tables.preparing import Scaler
from vistazo.tables.reading import settled
from vistazo.tabular import measuring, metrics, report
from vistazo.tabular.config import TabularConfig
from vistazo.tabular.data import Rows, read_rows
from vistazo.tabular.given import as_table
from vistazo.tabular.inputs import Encoded, Encoder
from vistazo.tabular.keeping import write_index
from vistazo.tabular.measuring import Measured
from vistazo.tabular.objective import MONITORS, choose_loss, require_loss, target_scaler
from vistazo.tabular.predictor import COVERED, Predictor, open_model
from vistazo.tabular.training import Decided, Program, TableBatches, decide, initial

__all__ = ["Learnt", "Prepared", "conclude", "learn", "open_model", "prepare", "read", "train"]


@dataclass(frozen=True)
class Prepared:
    """Rows ready to be learnt from. loss: what training minimises. scaler: of a number to learn. encoded: all rows."""

    rows: Rows
    loss: Asked
    encoder: Encoder
    scaler: Scaler | None
    encoded: Encoded
    settled: TableConfig


@dataclass(frozen=True)
class Learnt:
    """What training gave, not yet measured."""

    prepared: Prepared
    decided: Decided
    model: Predictor
    fitted: Fitted


@devices.without_compiler()
def train(run: Run, source: Any, config: TabularConfig, progress: Progress) -> None:
    """One whole run: from a table to model.vistazo, metrics.json and report.html in the run's folder."""
    prepared = prepare(read(run, source, config, progress), config, TableConfig(**run.config["settled"]))
    if prepared.loss.called:
        progress.say(prepared.loss.sentence())
    conclude(run, config, learn(run, config, prepared, progress), progress)


def prepare(rows: Rows, config: TabularConfig, settled: TableConfig) -> Prepared:
    """Rows as numbers, scaled by what the training part shows. Raises ConfigError where the loss does not suit them.

    settled: how the file was read, with what its columns showed in place of `auto`.
    """
    loss = choose_loss(config, rows)
    learnt = rows.rows("train")
    encoder = Encoder.fit(rows.table.take(learnt), config.scaler)
    return Prepared(
        rows, loss, encoder, target_scaler(rows, learnt, loss), encoder.encode(rows.table), settled
    )


def learn(
    run: Run,
    config: TabularConfig,
    prepared: Prepared,
    progress: Progress,
    pause: Pause | None = None,
    also: Sequence[str] = (),
) -> Learnt:
    """Train the networks, or go on with them; the test part is not looked at.

    pause: asked between epochs (see `fit`). also: validation figures that the history tells besides the usual ones.
    """
    rows, encoded, scaler = prepared.rows, prepared.encoded, prepared.scaler
    learnt = rows.rows("train")
    found = decide(config, prepared.encoder, prepared.loss, rows=len(learnt), classes=len(rows.classes))
    decided = Decided(**run.freeze("decided", asdict(found)))
    threads = config.threads or platform.physical_cores()
    device = devices.resolve_device(config.device)
    compute = Compute(**run.freeze("compute", asdict(Compute(device, "fp32", "contiguous", threads))))
    compute.start()
    run.write("environment.json", json.dumps(compute.environment(vistazo.__version__), indent=2) + "\n")

    network = compute.place(initial(decided.model, decided.arguments, config.seed))
    model = Predictor(
        network=network,
        model=decided.model,
        arguments=decided.arguments,
        target=rows.target_name,
        classes=rows.classes,
        encoder=prepared.encoder,
        scaler=scaler,
        reach=None,
        background=encoded.take(measuring.pick(learnt, measuring.BACKGROUND, config.seed)),
        reading=_reading(config),
        settled=prepared.settled,
        compute=compute,
        objective=decided.objective,
        loss_arguments=decided.loss_arguments,
    )
    batches = TableBatches(
        encoded.take(learnt),
        _target(rows, scaler)[torch.from_numpy(learnt)],
        rows.table.rows[learnt],
        size=decided.batch,
        passes=decided.passes,
        seed=config.seed,
        device=compute.device,
    )
    program = Program(network, decided, compute)
    progress.say(_plan_sentence(decided, compute, model, batches))
    validation = rows.rows("validation")
    watched = encoded.take(validation)

    def validate() -> dict[str, float]:
        figures = model.measure(model.answers(watched), rows.target[validation])
        shown = ("accuracy", "loss", "macro_f1") if rows.classes else ("loss", "mae", "rmse")
        return {name: float(figures[name]) for name in dict.fromkeys((*shown, *also))}

    fitted = fit(
        program,
        batches,
        validate=validate if len(validation) else None,
        plan=Plan(
            epochs=decided.epochs,
            seed=config.seed,
            monitor="loss" if rows.classes else MONITORS.get(decided.objective, "loss"),
            patience=config.patience or 0,
            keep=decided.keep,
            stop_at=None,
            accumulate=config.accumulate,
            clip=config.clip,
            checkpoint_seconds=config.checkpoint_seconds,
        ),
        schedule=schedule(decided.schedule),
        averager=None,
        run=run,
        progress=progress,
        pause=pause,
    )
    return Learnt(prepared, decided, model, fitted)


def read(run: Run, source: Any, config: TabularConfig, progress: Progress) -> Rows:
    """Read and divide the table, and tell how; index.parquet is written.

    Raises SourceError and ConfigError where it cannot be used, RunDiffers where it is not what the run began with.
    """
    require_loss(config)
    table = as_table(source, _reading(config))
    rows = read_rows(table, config)
    progress.say(tr("rows: {n}, learnt from {columns} columns", n=len(rows), columns=len(rows.table.columns)))
    for sentence in rows.sentences:
        progress.say(sentence)
    for name, count in table.fault_count.items():
        progress.say(tr("'{name}': {n} cells were not understood and count as missing", name=name, n=count))
    run.freeze("data", {"fingerprint": rows.fingerprint})
    run.freeze("settled", settled(_reading(config), table.columns).model_dump(mode="json"))
    path = run.folder / "index.parquet"
    if not path.exists():
        try:
            write_index(rows, path)
        except OSError as error:
            raise DiskError(bundles.disk_sentence(path, error)) from error
    return rows


def _reading(config: TabularConfig) -> TableConfig:
    return TableConfig(**{name: getattr(config, name) for name in TableConfig.model_fields})


def _target(rows: Rows, scaler: Scaler | None) -> Tensor:
    """Class numbers, or scaled numbers, (rows,)."""
    if scaler is None:
        return torch.from_numpy(rows.target.astype(np.int64))
    return torch.from_numpy(scaler.transform(rows.target).astype(np.float32))


def _plan_sentence(decided: Decided, compute: Compute, model: Predictor, batches: TableBatches) -> str:
    return tr(
        "training {model} ({parameters} parameters), {epochs} epochs of {steps} steps of {batch} rows, "
        "{precision} on {device} with {threads} threads",
        model=decided.model,
        parameters=number(count_parameters(model.network).total),
        epochs=decided.epochs,
        steps=batches.steps,
        batch=batches.size,
        precision=compute.precision,
        device=compute.device,
        threads=compute.threads,
    )


# ---------------------------------------------------------------- measuring and keeping
def conclude(run: Run, config: TabularConfig, learnt: Learnt, progress: Progress) -> None:
    """Measure, and write the figures, the report and, last of all, the model."""
    run.status("measuring")
    rows, encoded, fitted = learnt.prepared.rows, learnt.prepared.encoded, learnt.fitted
    decided, model = learnt.decided, learnt.model
    at = rows.rows("validation")
    if not rows.classes and len(at):
        answers = model.answers(encoded.take(at))[:, 0]
        model = replace(model, reach=metrics.residual_quantile(answers, rows.target[at], COVERED))
    measured = {part: measuring.measure(model, rows, encoded, part) for part in ("validation", "test")}
    figures = {part: None if one is None else one.figures for part, one in measured.items()}
    parameters = count_parameters(model.network)
    counted = {**asdict(parameters), "total": parameters.total}
    shown = _shown(measured)
    important = (
        measuring.column_importance(model, rows, encoded, shown.rows, config.seed)
        if shown is not None
        else {}
    )
    told = {
        "task": "tabular",
        "parameters": counted,
        "epochs": len(fitted.history),
        "kept_epoch": fitted.epoch,
        "ended": fitted.reason,
        "metrics": figures,
        "counts": rows.counts(),
        "target": rows.target_name,
        "classes": list(rows.classes),
        "columns": list(model.encoder.names),
        "importance": {name: asdict(one) for name, one in important.items()},
        "findings": [asdict(one) for one in rows.findings],
        "aside": [{"row": row, "reason": reason} for row, reason in rows.aside],
    }
    run.write("metrics.json", json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    page = report.build(
        report.Told(
            name=run.folder.name,
            rows=rows,
            encoded=encoded,
            model=model,
            measured=measured,
            importance=important,
            history=fitted.history,
            kept_epoch=fitted.epoch,
            reason=fitted.reason,
            settings={name: value for name, value in config.model_dump().items() if value is not None},
            decided=asdict(decided),
            parameters=counted,
            environment=model.compute.environment(vistazo.__version__),
            seconds=platform.seconds_since_start(),
            seed=config.seed,
        )
    )
    run.write("report.html", page)
    bundles.save(_bundle(run, config, rows, decided, model, counted, figures), run.model)
    progress.say(
        tr("{reason}; the weights of epoch {epoch} were kept", reason=fitted.reason, epoch=fitted.epoch)
    )


def _shown(measured: dict[str, Measured | None]) -> Measured | None:
    """The part whose figures lead: the test where there is one."""
    return measured["test"] or measured["validation"]


def _bundle(
    run: Run,
    config: TabularConfig,
    rows: Rows,
    decided: Decided,
    model: Predictor,
    counted: dict[str, int],
    figures: dict[str, Any],
) -> Bundle:
    return Bundle(
        task="tabular",
        model=decided.model,
        arguments=decided.arguments,
        preprocessing={
            "columns": model.encoder.to_json(),
            "target": model.scaler.to_json() if model.scaler else None,
            "reading": model.reading.model_dump(mode="json"),
            "settled": model.settled.model_dump(mode="json"),
        },
        facts={
            "target": rows.target_name,
            "classes": list(rows.classes),
            "objective": decided.objective,
            **({"loss_arguments": decided.loss_arguments} if decided.loss_arguments else {}),
            "reach": model.reach,
            "covered": COVERED,
        },
        training={
            "settings": config.identity(),
            "decided": asdict(decided),
            "compute": asdict(model.compute),
            "versions": {"vistazo": vistazo.__version__, "torch": torch.__version__},
            "parameters": counted,
            "counts": rows.counts(),
        },
        metrics=figures,
        fingerprint=run.config["data"]["fingerprint"],
        tensors={
            **{f"network.{name}": one.detach().cpu() for name, one in model.network.state_dict().items()},
            "background.numbers": torch.from_numpy(model.background.numbers),
            "background.codes": torch.from_numpy(model.background.codes),
        },
    )
