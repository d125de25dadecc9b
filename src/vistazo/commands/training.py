"""The verbs that train: train, resume, reproduce, demo."""

import shlex
from pathlib import Path
from typing import Any

import click

from vistazo import language, platform
from vistazo.commands.options import Verb, config_file, derived, option, take_common, whole
from vistazo.errors import UsageError
from vistazo.language import mark, tr

__all__ = ["VERBS", "settings_of_tasks"]


def _train(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import config, tasks

    task, source, out, file = (values.pop(name) for name in ("task", "source", "out", "config"))
    common, wanted = take_common(values), not values.pop("no_open")
    settings = {name: value for name, value in values.items() if value is not None}
    if file:
        kinds = [tasks.tasks[name].config() for name in ([task] if task else tasks.tasks)]
        settings = {**config.read_settings(Path(file), *kinds), **settings}
    result = tasks.train(source, task=task, out=out, quiet=common["quiet"], **settings)
    return _trained(result, common, wanted=wanted)


def _resume(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import rates, tasks, tuning

    common = take_common(values)
    if rates.holds_rates(values["run"]):
        if values["epochs"] is not None:
            raise UsageError(
                tr("{folder} compares two learning rates: leave out --epochs.", folder=values["run"])
            )
        found = rates.resume(values["run"], quiet=common["quiet"])
        return {**found.to_json(), "sentences": found.sentences()}
    if tuning.holds_search(values["run"]):
        if values["epochs"] is not None:
            raise UsageError(tr("{folder} is a search: leave out --epochs.", folder=values["run"]))
        return tuning.resume(values["run"], quiet=common["quiet"]).to_json()
    result = tasks.resume(values["run"], epochs=values["epochs"], quiet=common["quiet"])
    return _trained(result, common, wanted=not values["no_open"])


def _reproduce(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks

    common = take_common(values)
    told: dict[str, Any] = tasks.reproduce(values["run"], out=values["out"], quiet=common["quiet"]).to_json()
    return told


def _demo(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import tasks

    common = take_common(values)
    folder = Path(__file__).parents[1] / "classification" / "demo"
    names = folder / f"classes.{language.current()}.txt"
    if not common["quiet"]:
        click.echo(
            tr("2,000 pictures of clothes (Fashion-MNIST, Zalando, MIT licence), ten classes."), err=True
        )
    result = tasks.train(
        folder,
        task="classification",
        out=values["out"],
        seed=values["seed"],
        recipe="quick",
        classes=str(names),
        quiet=common["quiet"],
    )
    return _trained(result, common, wanted=not values["no_open"])


def _trained(result: Any, common: dict[str, Any], *, wanted: bool) -> dict[str, Any]:
    """What --json tells; the report is opened where it is wanted and somebody sits before the screen."""
    if wanted and not common["json"] and not common["quiet"] and platform.watched():
        platform.show_page(result.report)
    told: dict[str, Any] = result.to_json()
    return {**told, "seconds": round(told["seconds"], 2)}


# ---------------------------------------------------------------- what a person reads
def _show_trained(told: dict[str, Any]) -> list[str]:
    from vistazo import tasks
    from vistazo.engine.progress import duration
    from vistazo.engine.reports import number

    if "best" in told or "range_test" in told:  # a search that was gone on with
        from vistazo.commands.tuning import show_tuned

        return show_tuned(told)
    telling = tasks.tasks[told["task"]].telling()
    lines = [f"{tr(part)}: {telling.measured(one)}" for part, one in told["metrics"].items() if one]
    # A quarter of a person's trust is knowing where things are.
    if "study" in told:
        run = told["run"]
        lines.append(tr("results: {path}", path=f"{run}/results.csv, {run}/results.tex"))
    lines += [
        tr(
            "{parameters} parameters, epochs: {epochs}, {time}",
            parameters=number(told["parameters"]),
            epochs=told["epochs"],
            time=duration(told["seconds"]),
        ),
        tr("model:  {path}", path=told["model"]),
        tr("report: {path}", path=told["report"]),
        telling.next_command(shlex.quote(told["run"])),
    ]
    return lines


def _show_reproduced(told: dict[str, Any]) -> list[str]:
    from vistazo.engine.runs import read_json

    names = {"run": told["run"], "reproduced": told["reproduced"]}
    if told["equal"]:
        lines = [tr("Equal to the bit: weights, history and figures of {run} and {reproduced}.", **names)]
    else:
        lines = [tr("Not equal: {run} and {reproduced}.", **names), *_differences(told)]
    from vistazo import tasks

    task = read_json(Path(told["reproduced"]) / "config.json")["task"]
    return [*lines, tasks.tasks[task].telling().next_command(shlex.quote(told["reproduced"]))]


def _differences(told: dict[str, Any]) -> list[str]:
    lines = []
    if told["largest_difference"] is None:
        lines.append(tr("the networks have other shapes"))
    else:
        lines.append(tr("largest difference of a weight: {value}", value=f"{told['largest_difference']:.3g}"))
    for name, one in list(told["metrics"].items())[:5]:
        lines.append(tr("{name}: {was} then, {now} now", name=name, was=one["was"], now=one["is"]))
    if len(told["metrics"]) > 5:
        lines.append(tr("... and {n} more figures; --json tells them all", n=len(told["metrics"]) - 5))
    if told["first_epoch"]:
        lines.append(tr("the history differs from epoch {n} on", n=told["first_epoch"]))
    lines.append(tr("likely why: {reason}", reason=told["reason"]))
    return lines


# ---------------------------------------------------------------- options
def _train_options() -> list[click.Parameter]:
    return [click.Argument(["source"], type=click.UNPROCESSED, metavar=tr("SOURCE")), *settings_of_tasks()]


def settings_of_tasks() -> list[click.Parameter]:
    """The options of every task's config, with those that say where and what."""
    from vistazo import tasks

    found: list[click.Parameter] = [
        option("task", "--task", "--tarea", help=tr("what to learn (default: recognised from the source)")),
        option("out", "--out", "--salida", help=tr("folder of the run (default: runs/SOURCE-N)")),
        config_file(),
        _no_open(),
    ]
    kinds = {name: tasks.tasks[name].config() for name in tasks.tasks}
    for name in dict.fromkeys(name for kind in kinds.values() for name in kind.model_fields):
        owners = [task for task, kind in kinds.items() if name in kind.model_fields]
        section = ", ".join(tr(tasks.tasks[task].learns_from) for task in owners)
        found += derived(kinds[owners[0]], only=name, section="" if len(owners) == len(kinds) else section)
    return found


def _no_open() -> click.Parameter:
    words = tr("leave the browser closed when the report is there")
    return option("no_open", "--no-open", "--no-abrir", is_flag=True, type=bool, help=words)


def _resume_options() -> list[click.Parameter]:
    return [
        click.Argument(["run"], type=click.UNPROCESSED, metavar=tr("RUN")),
        option("epochs", "--epochs", "--epocas", type=whole(1), help=tr("the new total of epochs")),
        _no_open(),
    ]


def _reproduce_options() -> list[click.Parameter]:
    return [
        click.Argument(["run"], type=click.UNPROCESSED, metavar=tr("RUN")),
        option("out", "--out", "--salida", help=tr("folder of the new run (default: RUN-reproduced)")),
    ]


def _demo_options() -> list[click.Parameter]:
    return [
        option("out", "--out", "--salida", help=tr("folder of the run")),
        option("seed", "--seed", "--semilla", type=whole(0), default=0,
                help=tr("number that everything random is drawn from")),
        _no_open(),
    ]  # fmt: skip


VERBS: dict[str, Verb] = {
    "train": Verb(
        "entrenar", mark("train on pictures, a series or a table"), _train, _show_trained, _train_options
    ),
    "resume": Verb(
        "reanudar",
        mark("continue a run that was stopped or killed, or train it for longer"),
        _resume,
        _show_trained,
        _resume_options,
    ),
    "reproduce": Verb(
        "reproducir",
        mark("do a finished run again and say whether it came out equal"),
        _reproduce,
        _show_reproduced,
        _reproduce_options,
    ),
    "demo": Verb(
        "demo", mark("train on 2,000 pictures that come with Vistazo"), _demo, _show_trained, _demo_options
    ),
}
