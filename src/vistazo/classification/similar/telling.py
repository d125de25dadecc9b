"""What the command line says of embeddings, similar pictures and identity. Free of torch."""

from typing import Any

from vistazo.engine.reports import number, percent
from vistazo.language import tr

__all__ = ["embedded", "enrolled", "forgotten", "found", "identified", "next_command", "supported"]

_TOLD = 20  # pictures that could not be read and are named


def embedded(told: dict[str, Any]) -> list[str]:
    """The answer of `embed`, line by line."""
    files = told["files"]
    lines = [
        tr("{n} pictures, {width} values each: {path}", n=number(told["pictures"]), width=number(told["width"]),
           path=files["features"]),
        tr("map of principal components: {path}", path=files["pca"]),
    ]  # fmt: skip
    if "tsne" in files:
        lines.append(tr("map by t-SNE: {path}", path=files["tsne"]))
    lines += told["notes"]
    if told["pairs"]:
        lines.append(tr("the nearest classes:"))
        for one in told["pairs"][:3]:
            first, second = one["classes"]
            lines.append(f"  {first} – {second}  {number(one['distance'], 3)}")
    if told["outliers"]:
        lines.append(
            tr("pictures far from their own class: {n}; the first:", n=number(len(told["outliers"])))
        )
        for one in told["outliers"][:3]:
            near = (
                "" if one["nearest"] == one["class"] else " " + tr("(nearer to {name})", name=one["nearest"])
            )
            lines.append(f"  {one['file']}  {one['class']}{near}")
    return [*lines, *_unread(told), tr("page with the pictures: {path}", path=files["page"])]


def found(told: dict[str, Any]) -> list[str]:
    """The answer of `search`, line by line: of each picture its neighbours with their distances."""
    changed = told["changed"]
    lines = [
        tr("index: {path}, {n} pictures, {size} MB", path=told["index"], n=number(told["pictures"]),
           size=number(told["bytes"] / 1e6, 1))
    ]  # fmt: skip
    words = []
    if changed.get("added"):
        words.append(tr("new {n}", n=number(changed["added"])))
    if changed.get("removed"):
        words.append(tr("taken out {n}", n=number(changed["removed"])))
    if changed.get("left_out"):
        words.append(tr("left out, as asked before, {n}", n=number(changed["left_out"])))
    if words:
        lines.append("  " + ", ".join(words))
    if told["recall"] is not None:
        lines.append(
            tr(
                "searched by a graph, which finds {share} of the ten nearest (measured against an exact search)",
                share=percent(told["recall"]),
            )
        )
    for one in told["results"]:
        lines += [one["file"], *_neighbours(one["neighbours"])]
    if "page" in told:
        lines.append(tr("page with the pictures: {path}", path=told["page"]))
    return lines + _unread(told)


def _neighbours(several: list[dict[str, Any]]) -> list[str]:
    if not several:
        return ["  " + tr("there is no other picture in the index")]
    wide = max(len(one["label"] or "") for one in several)
    return [f"  {number(one['distance'], 4)}  {one['label'] or '':<{wide}}  {one['file']}" for one in several]


def enrolled(told: dict[str, Any]) -> list[str]:
    """The answer of `search --enrol`."""
    lines = [
        tr(
            "{name}: {added} new pictures, {pictures} in all; names enrolled: {names}",
            name=told["name"],
            added=told["added"],
            pictures=told["pictures"],
            names=told["names"],
        )
    ]
    if told["known"]:
        lines.append(tr("enrolled before, and not added again: {n}", n=told["known"]))
    return lines + _unread(told)


def forgotten(told: dict[str, Any]) -> list[str]:
    """The answer of `search --forget`."""
    return [
        tr(
            "{name} is forgotten, with {n} pictures; names enrolled: {names}",
            name=told["name"],
            n=told["removed"],
            names=told["names"],
        )
    ]


def identified(told: dict[str, Any]) -> list[str]:
    """The answer of `search --identify`: the threshold and what it rests on, then who each picture shows."""
    lines = supported(told["threshold"], told["names"])
    for one in told["identified"]:
        name, near = one["name"], one["nearest"][0][0]
        score = number(one["score"], 3)
        if name is None:
            lines.append(
                tr(
                    "{file}: unknown ({score}; the nearest is {name})",
                    file=one["file"],
                    score=score,
                    name=near,
                )
            )
        else:
            lines.append(tr("{file}: {name} ({score})", file=one["file"], name=name, score=score))
    return lines + _unread(told)


def supported(threshold: dict[str, Any], names: int) -> list[str]:
    """What a threshold comes from, and what it promises."""
    score, n = number(threshold["score"], 3), threshold["rests_on"]
    if threshold["by"] == "nothing":
        return [
            tr(
                "Threshold {score}: a plain guess, for one picture of one name is all there is. Enrol more, or give "
                "pictures of strangers with --strangers SOURCE; no false-accept rate can be promised.",
                score=score,
            )
        ]
    if threshold["by"] == "own-pictures":
        return [
            tr(
                "Threshold {score}: as near as the enrolled pictures are to one another. With one name there is "
                "nobody to be taken for it, so no false-accept rate can be promised: enrol others, or give pictures "
                "of strangers with --strangers SOURCE.",
                score=score,
            )
        ]
    if threshold["by"] == "strangers":
        source = tr("{n} pictures of strangers", n=number(n))
    else:
        source = tr("{n} enrolled pictures, each as a stranger to the other names ({names} in all)", n=number(n),
                    names=number(names))  # fmt: skip
    if threshold["kept"]:
        return [
            tr(
                "Threshold {score}, for a false-accept rate of {rate}; it rests on {source}.",
                score=score,
                rate=percent(threshold["rate"], 2),
                source=source,
            )
        ]
    return [
        tr(
            "Threshold {score}, above the score of every stranger. It rests on {source}: too few for a false-accept "
            "rate of {rate}; what they support is {least} at best.",
            score=score,
            rate=percent(threshold["rate"], 2),
            source=source,
            least=percent(threshold["least"], 2),
        )
    ]


def next_command(did: str, model: str) -> str:
    """What to do after; `model` is quoted already."""
    if did == "enrol":
        return tr("next:   vistazo search {model} --identify PICTURE...", model=model)
    if did in ("identify", "forget"):
        return tr("next:   vistazo search {model} --enrol NAME PICTURE...", model=model)
    return tr(
        "next:   vistazo search {model} PICTURE... --out FOLDER (a page with the pictures)", model=model
    )


def _unread(told: dict[str, Any]) -> list[str]:
    several = told["unreadable"]
    lines = [
        tr("left out: {name} ({reason})", name=one["file"], reason=one["reason"]) for one in several[:_TOLD]
    ]
    if len(several) > _TOLD:
        lines.append(tr("... and {n} more; --json tells them all", n=number(len(several) - _TOLD)))
    return lines
