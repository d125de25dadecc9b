"""What the command line says of a table's model. Free of torch."""

from typing import Any

from vistazo.engine.figures import LEVEL
from vistazo.engine.reports import class_lines, number, percent
from vistazo.language import tr

__all__ = ["answered", "evaluated", "explained", "measured", "next_command", "plain_number"]


def measured(figures: dict[str, Any]) -> str:
    """The figures of one part, in one line, beside those of the simplest answers where they are known."""
    beside = figures.get("baselines", {})
    if "accuracy" in figures:
        line = tr(
            "accuracy {value} ({level} interval {low} to {high}, n = {n}), log loss {loss}, macro F1 {f1}",
            value=percent(figures["accuracy"], 2),
            level=LEVEL,
            low=percent(figures["accuracy_low"], 2),
            high=percent(figures["accuracy_high"], 2),
            n=figures["n"],
            loss=number(figures["log_loss"], 4),
            f1=number(figures["macro_f1"], 4),
        )
        if beside:
            line += "; " + tr(
                "beside: most common class {most}, linear model {linear} (log loss {loss})",
                most=percent(beside["most_common"]["accuracy"], 2),
                linear=percent(beside["linear"]["accuracy"], 2),
                loss=number(beside["linear"]["log_loss"], 4),
            )
        return line
    line = tr(
        "mean absolute error {mae}, root mean square {rmse}, R² {r2} (n = {n})",
        mae=plain_number(figures["mae"]),
        rmse=plain_number(figures["rmse"]),
        r2=number(figures["r2"], 4),
        n=figures["n"],
    )
    if beside:
        line += "; " + tr(
            "beside: the median {median}, linear model {linear}",
            median=plain_number(beside["median"]["mae"]),
            linear=plain_number(beside["linear"]["mae"]),
        )
    return line


def plain_number(value: float | None) -> str:
    """A number of any size with about four figures."""
    if value is None:
        return number(None)
    size = abs(value)
    return number(float(value), 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 4)


def next_command(run: str) -> str:
    """What to do after training; `run` is quoted already."""
    return tr("next:   vistazo predict {run} TABLE...", run=run)


def evaluated(told: dict[str, Any]) -> list[str]:
    """The answer of `evaluate`, line by line."""
    lines = [f"{tr(told['part'])}: {measured(told['metrics'])}"]
    if "classes" in told:
        lines += class_lines(told["classes"], tr("rows"))
    if told["left_out"]["trained_on"]:
        lines.append(
            tr("left out, because the model was trained on them: {n}", n=told["left_out"]["trained_on"])
        )
    if told["left_out"]["without_target"]:
        lines.append(tr("left out, because they have no target: {n}", n=told["left_out"]["without_target"]))
    for one in told["unreadable"]:
        lines.append(tr("left out: row {row} ({reason})", row=one["row"], reason=one["reason"]))
    lines += told["notes"]
    lines.append(tr("next:   vistazo predict MODEL TABLE..."))
    return lines


def explained(told: dict[str, Any]) -> list[str]:
    """The answer of `explain`, line by line: where the answer began, and what each column added."""
    what = told["class"] if "class" in told else plain_number(told["answer"])
    figure = percent if "class" in told else plain_number
    lines = [
        tr(
            "row {n}: {answer}",
            n=told["row"],
            answer=f"{what} {percent(told['answer'])}" if "class" in told else what,
        ),
        tr("the usual answer: {base}; what each column of this row adds:", base=figure(told["base"])),
    ]
    width = max(len(f"{one['name']} = {one['value']}") for one in told["columns"])
    for one in told["columns"]:
        share = one["contribution"]
        sign = "+" if share >= 0 else "−"
        lines.append(f"  {one['name'] + ' = ' + one['value']:{width}}  {sign}{figure(abs(share))}")
    lines.append(tr("next:   vistazo predict MODEL TABLE..."))
    return lines


def answered(answer: dict[str, Any]) -> str:
    """One answer of `predict`, in one line."""
    where = tr("row {n}", n=answer["row"])
    if "file" in answer:
        where = f"{answer['file']}\t{where}"
    if "class" in answer:
        rest = ", ".join(f"{name} {percent(share)}" for name, share in answer["top"][1:3])
        line = f"{where}\t{answer['class']} {percent(answer['probability'])}\t({rest})"
    else:
        line = f"{where}\t{plain_number(answer['value'])}"
        if answer["low"] is not None:
            low, high = plain_number(answer["low"]), plain_number(answer["high"])
            line += "\t" + tr("(80 %: {low} to {high})", low=low, high=high)
    if answer.get("unknown"):
        line += "\t" + tr("never seen in training: {columns}", columns=", ".join(answer["unknown"]))
    return line
