"""What the command line says of a classifier. Free of torch."""

from typing import Any

from vistazo.engine.reports import class_lines, number, percent
from vistazo.language import tr

__all__ = ["answered", "evaluated", "explained", "measured", "next_command"]


def measured(figures: dict[str, Any]) -> str:
    """The figures of one part, in one line."""
    from vistazo.classification.metrics import LEVEL

    if "runs" in figures:
        over = "; " + tr(
            "over {runs} runs: mean {mean}, standard deviation {points} points",
            runs=figures["runs"],
            mean=percent(figures["accuracy_mean"], 2),
            points=number(100 * figures["accuracy_deviation"], 2),
        )
    else:
        over = ""
    if "hamming_loss" in figures:
        line = tr(
            "every label right {value} ({level} interval {low} to {high}, n = {n}; single view {single}), "
            "mean average precision {ranked}, macro F1 {f1}, micro F1 {micro}, wrong labels {wrong}",
            value=percent(figures["accuracy"], 2),
            level=LEVEL,
            low=percent(figures["accuracy_low"], 2),
            high=percent(figures["accuracy_high"], 2),
            n=figures["n"],
            single=percent(figures["single_view_accuracy"], 2),
            ranked=number(figures["mean_average_precision"], 4),
            f1=number(figures["macro_f1"], 4),
            micro=number(figures["micro_f1"], 4),
            wrong=percent(figures["hamming_loss"], 2),
        )
        return line + over
    values = {
        "value": percent(figures["accuracy"], 2),
        "level": LEVEL,
        "low": percent(figures["accuracy_low"], 2),
        "high": percent(figures["accuracy_high"], 2),
        "n": figures["n"],
        "single": percent(figures["single_view_accuracy"], 2),
        "balanced": percent(figures.get("balanced_accuracy"), 2),  # not in a run from before there was one
        "f1": number(figures["macro_f1"], 4),
    }
    if figures.get("interval") == "student":
        values["runs"] = figures["runs"]
        values["mean"] = percent(figures["accuracy_mean"], 2)
        values["points"] = number(100 * figures["accuracy_deviation"], 2)
        return tr(
            "mean accuracy of {runs} runs {mean} ({level} interval of the mean {low} to {high}, standard deviation "
            "{points} points, n = {n}; single view {single}), macro F1 {f1}",
            **values,
        )
    line = tr(
        "accuracy {value} ({level} interval {low} to {high}, n = {n}; single view {single}), "
        "balanced accuracy {balanced}, macro F1 {f1}",
        **values,
    )
    return line + over


def next_command(run: str) -> str:
    """What to do after training; `run` is quoted already."""
    return tr("next:   vistazo predict {run} PICTURE...", run=run)


def evaluated(told: dict[str, Any]) -> list[str]:
    """The answer of `evaluate`, line by line."""
    from vistazo.classification.evaluating import telling

    if told["metrics"] is None:
        return telling.without_labels(told)
    lines = [
        f"{tr(told['part'])}: {measured(told['metrics'])}",
        *class_lines(told["classes"], tr("pictures")),
    ]
    if "hamming_loss" in told["metrics"]:
        each = ", ".join(f"{name} {number(one['threshold'], 2)}" for name, one in told["classes"].items())
        lines.append(tr("a label is answered from its probability on: {each}", each=each))
    lines += telling.more(told)
    for one in told["unreadable"]:
        lines.append(tr("left out: {name} ({reason})", name=one["file"], reason=one["reason"]))
    lines.append(tr("next:   vistazo predict MODEL PICTURE..."))
    return lines


def answered(answer: dict[str, Any]) -> str:
    """One answer of `predict`, in one line."""
    if "classes" in answer:
        given = ", ".join(answer["classes"]) or tr("no label")
        shares = ", ".join(f"{name} {percent(share)}" for name, share in answer["top"][:3])
        return f"{answer['file']}\t{given}\t({shares})"
    rest = ", ".join(f"{name} {percent(share)}" for name, share in answer["top"][1:3])
    if not answer.get("known", True):
        perhaps = {"name": answer["class"], "share": percent(answer["probability"])}
        said = tr("I don't know (perhaps {name}, {share})", **perhaps)
        return f"{answer['file']}\t{said}\t({rest})"
    return f"{answer['file']}\t{answer['class']} {percent(answer['probability'])}\t({rest})"


def explained(told: dict[str, Any]) -> list[str]:
    """The answer of `explain`, line by line: each picture with the classes that are shown, and where to look."""
    lines = []
    for one in told["pictures"]:
        shown = ", ".join(f"{each['class']} {percent(each['probability'])}" for each in one["shown"])
        lines.append(f"{one['file']}\t{shown}")
    if told["unreadable"]:
        lines.append(tr("not explained: {n}", n=number(len(told["unreadable"]))))
    if told["left"]:
        done = len(told["pictures"]) + len(told["unreadable"])
        lines.append(tr("Only the first {n} pictures were explained; --most takes more.", n=number(done)))
    if "page" in told:
        lines.append(tr("to look at: {path}", path=told["page"]))
    return lines
