"""The verb that searches: tune."""

import shlex
from pathlib import Path
from typing import Any

import click

from vistazo.commands.options import Verb, option, take_common, whole
from vistazo.commands.training import settings_of_tasks
from vistazo.errors import UsageError
from vistazo.language import mark, tr

__all__ = ["VERBS", "show_found", "show_tuned"]

_FIND = "find"
_OWN = ("trials", "time", "most_epochs", "factor", "sampler", "pruner", "final")


def _tune(values: dict[str, Any]) -> dict[str, Any]:
    from vistazo import config, tasks, tuning
    from vistazo.engine.search_spaces import parse_all

    task, source, out, file = (values.pop(name) for name in ("task", "source", "out", "config"))
    common, wanted = take_common(values), not values.pop("no_open")
    finds = values.get("learning_rate") == _FIND
    search = {} if finds and not values["search"] else _by_field(parse_all(values["search"]))
    values.pop("search")
    given = {name: value for name in _OWN if (value := values.pop(name)) is not None}
    settings = {name: value for name, value in values.items() if value is not None}
    if file:
        kinds = [tasks.tasks[name].config() for name in ([task] if task else tasks.tasks)]
        settings = {**config.read_settings(Path(file), *kinds), **settings}
    if finds:
        return _find(source, task, out, settings, common, wanted=wanted, unused=[*given, *search])
    result = tuning.tune(
        source, search=search, task=task, out=out, quiet=common["quiet"], **given, **settings
    )
    return _told(result, common, wanted=wanted)


def _by_field(search: dict[str, str]) -> dict[str, str]:
    """The same, by the names of fields: an option may be called as it is typed, in either language."""
    from vistazo import config, tasks

    kinds = [tasks.tasks[name].config() for name in tasks.tasks]
    fields = {
        flag.lstrip("-").replace("-", "_"): one.name
        for kind in kinds
        for one in config.options(kind)
        for flag in one.flags
    }
    return {fields.get(name.replace("-", "_"), name): space for name, space in search.items()}


def _find(
    source: Any,
    task: str | None,
    out: str | None,
    settings: dict[str, Any],
    common: dict[str, Any],
    *,
    wanted: bool,
    unused: list[str],
) -> dict[str, Any]:
    """--learning-rate without a value: not a search, but a range test and two trainings."""
    from vistazo import platform, rates

    if unused:
        raise UsageError(
            tr(
                "--learning-rate without a value finds a rate and searches nothing else: leave out {name}, or give it "
                "a value.",
                name=", ".join(unused).replace("_", "-"),
            )
        )
    plain = {name: value for name, value in settings.items() if name != "learning_rate"}
    found = rates.find_rate(source, task=task, out=out, quiet=common["quiet"], **plain)
    told = {**found.to_json(), "sentences": found.sentences()}
    if wanted and not common["json"] and not common["quiet"] and platform.watched():
        platform.show_page(Path(told["page"]))
    return told


def show_found(told: dict[str, Any]) -> list[str]:
    """What a person reads when a learning rate was found."""
    better = told["difference"] is not None and told["difference"] > told["noise"]
    following = f" --learning-rate {told['suggested']:.3g}" if better else ""
    return [
        *told["sentences"],
        tr("page: {path}", path=told["page"]),
        tr("next:   vistazo train SOURCE{words}", words=following),
    ]


def _told(result: Any, common: dict[str, Any], *, wanted: bool) -> dict[str, Any]:
    """What --json tells; the page is opened where it is wanted and somebody sits before the screen."""
    from vistazo import platform

    if wanted and not common["json"] and not common["quiet"] and platform.watched():
        platform.show_page(result.report)
    told: dict[str, Any] = result.to_json()
    return told


def show_tuned(told: dict[str, Any]) -> list[str]:
    """What a person reads when a search is over."""
    if "range_test" in told:
        return show_found(told)
    from vistazo import tasks
    from vistazo.engine.progress import duration
    from vistazo.engine.reports import number

    best, run = told["best"], shlex.quote(told["run"])
    telling = tasks.tasks[told["task"]].telling()
    values = ", ".join(f"{name}={value}" for name, value in best["values"].items())
    name: str = told["metric"]
    metric = tr(name.replace("_", " "))
    lines = [
        tr(
            "the winner: trial {number} after {epochs} epochs, validation {metric} {figure}",
            number=best["number"],
            epochs=best["epochs"],
            metric=metric,
            figure=number(best["figure"], 4),
        ),
    ]
    if best["number"] == 0:
        lines.append(tr("that is the recipe itself: nothing that was tried is better"))
    if values:
        lines.append(tr("its values: {values}", values=values))
    lines += [f"{tr(part)}: {telling.measured(one)}" for part, one in told["metrics"].items() if one]
    lines.append(
        tr(
            "{n} trials ({failed} failed), {epochs} epochs in all, {time}",
            n=told["trials"],
            failed=told["failed"],
            epochs=told["epochs"],
            time=duration(told["seconds"]),
        )
    )
    return [
        *lines,
        tr("trials:   {path}", path=f"{told['run']}/trials.csv"),
        tr("settings: {path}", path=f"{told['run']}/best.toml"),
        tr("model:  {path}", path=told["model"]),
        tr("report: {path}", path=told["report"]),
        telling.next_command(run),
    ]


# ---------------------------------------------------------------- options
def _tune_options() -> list[click.Parameter]:
    own = [
        option("search", "--search", "--buscar", multiple=True,
               help=tr("what is tried, as in learning_rate=log:1e-4..1e-2, batch=64..512/64, filters=16|32,64; again "
                       "for each name")),
        option("trials", "--trials", "--pruebas", type=whole(1),
               help=tr("trials besides the recipe (default: what the method usually draws)")),
        option("time", "--time", "--tiempo", help=tr("time the whole search may take, as in 10m or 2h")),
        option("most_epochs", "--most-epochs", "--max-epocas", type=whole(1),
               help=tr("epochs of a trial that wins every rung (default: the recipe's)")),
        option("factor", "--factor", type=whole(2), help=tr("one trial in so many goes on at a rung (default: 3)")),
        option("sampler", "--sampler", "--muestreo",
               help=tr("how values are drawn: tpe learns from the trials before, random does not (default: tpe)")),
        option("pruner", "--pruner", "--poda",
               help=tr("who goes on: asha compares at rungs as trials arrive, hyperband in brackets, median by "
                       "learning curves, none trains all to the end (default: asha)")),
        option("learning_rate", "--learning-rate", "--tasa", is_flag=False, flag_value=_FIND, default=None,
               help=tr("without a value: find a rate by a range test, and train at it and at the recipe's own; else as "
                       "for train")),
        option("final", "--final",
               help=tr("the model: best keeps the winner's weights; train+validation trains it anew on both")),
    ]  # fmt: skip
    taken = {one.name for one in own} | {"epochs"}
    source: click.Parameter = click.Argument(["source"], type=click.UNPROCESSED, metavar=tr("SOURCE"))
    rest = [one for one in settings_of_tasks() if one.name == "epochs" or one.name not in taken]
    return [source, *own, *rest]


VERBS: dict[str, Verb] = {
    "tune": Verb("ajustar", mark("search for good settings of a training"), _tune, show_tuned, _tune_options),
}
