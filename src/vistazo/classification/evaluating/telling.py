"""What the command line says of an evaluation beside its figures. Free of torch."""

import math
from collections.abc import Mapping
from typing import Any

from vistazo.engine.reports import number, percent
from vistazo.language import current, tr

__all__ = [
    "against_sentence",
    "chance",
    "left_out",
    "more",
    "nothing_measured",
    "stated",
    "threshold_word",
    "without_labels",
]

_PAIRS = 3  # that are named
_LEAST = 5


def chance(p: float) -> str:
    """A p-value in two figures, in the language in force; one too small for any number is not 0."""
    if p < 1e-300:
        return "<1e-300"
    text = f"{p:.2g}"
    return text.replace(".", ",") if current() == "es" else text


def stated(share: float) -> str:
    """A share as a person stated it: 0.01% is not '<0.1%'."""
    return percent(
        share, next((at for at in range(1, 6) if abs(round(100 * share, at) - 100 * share) < 1e-9), 6)
    )


def threshold_word(threshold: float) -> str:
    """A threshold with as many digits as tell it from 1: of a sure network it may be 0.99993."""
    short = 0 < 1 - threshold < 0.0005
    return number(threshold, min(9, 1 + math.ceil(-math.log10(1 - threshold))) if short else 3)


def nothing_measured() -> str:
    """Why there are no figures."""
    return tr(
        "None of these pictures has a label that the model knows, so it cannot be said how many answers are right."
    )


def against_sentence(one: Mapping[str, Any]) -> str:
    """Which of two models is better, in words."""
    values = {
        "difference": number(100 * abs(one["difference"]), 2),
        "low": number(100 * one["low"], 2),
        "high": number(100 * one["high"], 2),
        "ours": number(one["ours"]),
        "theirs": number(one["theirs"]),
        "other": one["model"],
        "p": chance(one["p"]),
        "mid": chance(one["mid_p"]),
    }
    if one["p"] >= 0.05:
        return tr(
            "Against {other}: no difference that chance would not explain ({low} to {high} points; right only here "
            "{ours}, only there {theirs}; McNemar p = {p}, mid-p {mid}).",
            **values,
        )
    if one["difference"] > 0:
        return tr(
            "Against {other}: {difference} points better ({low} to {high}; right only here {ours}, only there "
            "{theirs}; McNemar p = {p}, mid-p {mid}).",
            **values,
        )
    return tr(
        "Against {other}: {difference} points worse ({low} to {high}; right only here {ours}, only there {theirs}; "
        "McNemar p = {p}, mid-p {mid}).",
        **values,
    )


def left_out(told: Mapping[str, Any]) -> list[str]:
    """What is not among the figures, and why, a sentence each."""
    lines = []
    if told["left_out"]["trained_on"]:
        lines.append(
            tr("left out, because the model was trained on them: {n}", n=told["left_out"]["trained_on"])
        )
    if told["left_out"].get("trained_on_by_the_other"):
        lines.append(
            tr(
                "left out, because the other model was trained on them: {n}",
                n=told["left_out"]["trained_on_by_the_other"],
            )
        )
    if told.get("unknown_classes"):
        each = ", ".join(f"{name} ({n})" for name, n in list(told["unknown_classes"].items())[:20])
        lines.append(tr("left out, because the model does not know their classes: {each}", each=each))
    if told.get("unlabelled"):
        lines.append(tr("without a label: {n}", n=told["unlabelled"]))
    return lines


def more(told: Mapping[str, Any]) -> list[str]:
    """Ranks, calibration, what is confused most, findings, a second model, knowing: what there is of each."""
    figures, lines = told["metrics"], []
    ranked = [
        tr("right class among the first {k}: {share}", k=k, share=percent(figures[f"top{k}"]))
        for k in (3, 5)
        if figures.get(f"top{k}") is not None
    ]
    lines += ["; ".join(ranked)] if ranked else []
    if figures.get("calibration_error") is not None:
        lines.append(
            tr(
                "log loss {loss}, Brier score {brier}, calibration error {error}",
                loss=number(figures["loss"], 4),
                brier=number(figures["brier"], 4),
                error=percent(figures["calibration_error"], 2),
            )
        )
    if figures.get("macro_auroc") is not None:
        lines.append(tr("mean area under the ROC curve {value}", value=number(figures["macro_auroc"], 4)))
    if told.get("undefined"):
        names = ", ".join(told["undefined"][:10]) + (", …" if len(told["undefined"]) > 10 else "")
        lines.append(
            tr(
                "no curve is defined for {names}: all of these pictures are of that class, or none is",
                names=names,
            )
        )
    for one in told.get("hardest_pairs", ())[:_PAIRS]:
        lines.append(
            tr(
                "{name} taken for {answer}: {count} ({share})",
                name=one["class"],
                answer=one["answer"],
                count=number(one["count"]),
                share=percent(one["share"]),
            )
        )
    lines += _findings(told)
    lines += _knowing(told)
    lines += left_out(told)
    lines += told.get("notes", ())
    return lines + _files(told)


def _findings(told: Mapping[str, Any]) -> list[str]:
    from vistazo.classification.evaluating import page
    from vistazo.classification.evaluating.slices import Slice

    lines = []
    for one in told.get("slices", ()):
        if one["finding"]:
            lines.append(tr("finding: {sentence}", sentence=page.slice_sentence(Slice(**one))))
    for sentence in (told.get("co_occurrence") or {}).get("findings", ()):
        lines.append(tr("finding: {sentence}", sentence=sentence))
    if "against" in told:
        lines.append(against_sentence(told["against"]))
    return lines


def _knowing(told: Mapping[str, Any]) -> list[str]:
    from vistazo.classification.evaluating import page

    lines = []
    if "unknowing" in told:
        one = told["unknowing"]
        lines.append(page.answered_sentence(one, one["threshold"]))
    if "dont_know" in told:
        one = told["dont_know"]
        error = stated(one["stated"])
        if one["threshold"] is None:
            lines.append(
                tr(
                    "No threshold keeps to {error} of wrong answers with 95 % certainty on these {n} pictures; "
                    "{fewest} rightly answered ones at least would be needed.",
                    error=error,
                    n=number(told["metrics"]["n"]),
                    fewest=number(one["fewest"]),
                )
            )
        else:
            lines.append(tr("To keep to {error} of wrong answers with 95 % certainty:", error=error))
            lines.append(page.answered_sentence(one, one["threshold"]))
            if one["test_part"]:
                lines.append(
                    tr(
                        "This threshold was found on a test part: use it, and that part measures nothing any more. "
                        "Give other labelled pictures to choose one by."
                    )
                )
    if "saved" in told and told["saved"] is None:
        lines.append(tr("No copy of the model was written."))
    if told.get("saved"):
        lines.append(tr("a model with that threshold: {path}", path=told["saved"]))
    return lines


def _files(told: Mapping[str, Any]) -> list[str]:
    files = told.get("files")
    return [] if files is None else [tr("page: {path}", path=files["page"])]


def without_labels(told: Mapping[str, Any]) -> list[str]:
    """The answers to pictures of which nothing is known."""
    lines = [
        nothing_measured(),
        tr(
            "answers to {n} pictures, half of them surer than {share}:",
            n=number(told["n"]),
            share=percent(told["confidence"]["50%"]),
        ),
    ]
    width = max(map(len, told["answers"]))
    for name, count in told["answers"].items():
        lines.append(f"{name:{width}}  {number(count):>8}  {percent(count / told['n'])}")
    if "unknown_share" in told:
        lines.append(
            tr("of which the model says that it does not know: {share}", share=percent(told["unknown_share"]))
        )
    for one in told["least_sure"][:_LEAST]:
        values = {"name": one["file"], "answer": one["answer"], "share": percent(one["probability"])}
        lines.append(tr("least sure: {name} ({answer} {share})", **values))
    lines += left_out(told)
    for one in told["unreadable"]:
        lines.append(tr("left out: {name} ({reason})", name=one["file"], reason=one["reason"]))
    return [*lines, *told["notes"], *_files(told)]
