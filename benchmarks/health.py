"""`vistazo check`: what was asked of it, each as whole processes.

    python benchmarks/health.py flips        CIFAR-10 with 1 % of its labels wrong: >= 60 % of those among the 2 % most
                                             suspect
    python benchmarks/health.py duplicates   copies planted among thousands of pictures: every exact one, >= 95 % of
                                             those compressed again or resized, < 0.5 % false; likewise between parts
    python benchmarks/health.py speed        seconds for 1,000 pictures, of 32 x 32 and of 500 x 400 and more

`--pictures N` takes no more than N pictures. Every figure is printed and written to benchmarks/runs/health.jsonl.

`flips` counts what the check names, which are 2 % at most. `duplicates` takes CIFAR-10's pictures, among which there
are copies of their own (Barz, Denzler 2020, arXiv:1902.00423), and tiles of the photographs of raccoons; whatever is
named and was not planted counts as false.
"""

import argparse
import io
import json
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, Timed, told, vistazo
from PIL import Image

SOURCE, PHOTOGRAPHS = DATA / "cifar10-jpeg.zip", DATA / "raccoon" / "raccoon.zip"
KEPT = Path(__file__).resolve().parent / "runs" / "health.jsonl"
WRONG = 0.01  # of the labels
# Photographs of raccoons that are copies of others, as anyone can see who opens them.
TWINS = frozenset(f"raccoon-{number}.jpg" for number in (21, 50, 74, 83, 85, 98, 116))
MANY, TILES, TIMED, LARGE = 5000, 3, 10_000, 1000
PLANTED = 0.2  # of the pictures: those that have a copy
FORMS = ("exact", "jpeg", "png", "webp", "resized")
COPIES = ("duplicate", "near-duplicate", "leak")
ROUNDS = 3


def say(what: str, line: str, **figures: Any) -> None:
    """One figure for people, and for programs."""
    print(f"{what}: {line}", flush=True)
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"what": what, "time": round(time.time()), **figures}) + "\n")


def pictures(part: str, most: int) -> Iterator[tuple[str, bytes]]:
    """(class, bytes) of CIFAR-10's pictures of a part, spread evenly."""
    with zipfile.ZipFile(SOURCE) as source:
        names = sorted(name for name in source.namelist() if name.startswith(part) and name.endswith(".jpg"))
        for at in np.linspace(0, len(names) - 1, min(most, len(names))).astype(int).tolist():
            yield names[at].split("/")[1], source.read(names[at])


def archive(path: Path, members: Iterator[tuple[str, bytes]] | list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w") as out:
        for name, data in members:
            out.writestr(name, data)
    return path


# ---------------------------------------------------------------- wrong labels
def flips(folder: Path, most: int) -> None:
    members = list(pictures("train/", most))
    rng = np.random.default_rng(0)
    classes = sorted({label for label, _ in members})
    flipped = {}
    for at in rng.permutation(len(members))[: round(WRONG * len(members))].tolist():
        label, _ = members[at]
        flipped[at] = str(rng.choice([other for other in classes if other != label]))
    named = [
        (f"{flipped.get(at, label)}/{label}-{at:05}.jpg", data) for at, (label, data) in enumerate(members)
    ]
    run = vistazo("check", str(archive(folder / "flipped.zip", iter(named))), "--labels", cwd=folder)
    suspects = [one["path"] for one in run.json()["findings"] if one["kind"] == "suspected-label"]
    wrong = {named[at][0] for at in flipped}
    found = len(wrong & set(suspects))
    say(
        "flips",
        f"{100 * found / len(wrong):.1f} % of {len(wrong)} wrong labels are among the {len(suspects)} most suspect of "
        f"{len(members)} pictures ({100 * len(suspects) / len(members):.1f} %), {run.seconds:.0f} s",
        share=found / len(wrong),
        flipped=len(wrong),
        named=len(suspects),
        pictures=len(members),
        seconds=run.seconds,
        memory=run.memory,
    )


# ---------------------------------------------------------------- copies
def tiles(most: int) -> Iterator[bytes]:
    """The photographs of raccoons, each cut into nine that do not overlap."""
    with zipfile.ZipFile(PHOTOGRAPHS) as source:
        names = sorted(
            name for name in source.namelist() if name.endswith(".jpg") and Path(name).name not in TWINS
        )
        for name in names[: -(-most // TILES**2)]:
            whole = Image.open(io.BytesIO(source.read(name))).convert("RGB")
            width, height = whole.width // TILES, whole.height // TILES
            for at in range(TILES**2):
                left, top = at % TILES * width, at // TILES * height
                yield encoded(whole.crop((left, top, left + width, top + height)), "JPEG", quality=92)


def encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    sink = io.BytesIO()
    picture.save(sink, form, **options)
    return sink.getvalue()


def copied(data: bytes, form: str, rng: np.random.Generator) -> tuple[bytes, str]:
    """A copy and how its name ends."""
    picture, quality = Image.open(io.BytesIO(data)).convert("RGB"), int(rng.integers(60, 91))
    if form == "exact":
        return data, ".jpg"
    if form == "png":
        return encoded(picture, "PNG"), ".png"
    if form == "webp":
        return encoded(picture, "WEBP", quality=quality), ".webp"
    if form == "resized":
        scale = rng.uniform(0.5, 1.5)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        return encoded(picture.resize(size, Image.Resampling.BICUBIC), "JPEG", quality=90), ".jpg"
    return encoded(picture, "JPEG", quality=quality), ".jpg"


def duplicates(folder: Path, most: int) -> None:
    sets = {
        "pictures of 32 x 32": [data for _, data in pictures("train/", min(MANY, most))],
        "tiles of photographs": list(tiles(min(9 * 200, most))),
    }
    for name, members in sets.items():
        _planted(folder, name, members)


def _planted(folder: Path, what: str, members: list[bytes]) -> None:
    """Every fifth picture is of the test part; copies of the others stand beside them, or in the test part."""
    rng = np.random.default_rng(0)
    files = [
        (f"{'train' if at % 5 else 'test'}/{at % 2}/{at:05}.jpg", data) for at, data in enumerate(members)
    ]
    learnt = rng.permutation([at for at in range(len(members)) if at % 5])
    planted: dict[tuple[str, str], tuple[str, str]] = {}
    for number, at in enumerate(learnt[: round(PLANTED * len(members))].tolist()):
        form, part = FORMS[number % len(FORMS)], "train" if number // len(FORMS) % 2 else "test"
        data, ending = copied(members[at], form, rng)
        copy = f"{part}/{at % 2}/{at:05}-{form}{ending}"
        planted[copy, files[at][0]] = form, "between parts" if part == "test" else "in a part"
        files.append((copy, data))
    run = vistazo("check", str(archive(folder / f"{what}.zip", files)), cwd=folder)
    named, false = _named(run, planted)
    for where in ("in a part", "between parts"):
        for form in ("exact", "again"):
            asked = {
                pair
                for pair, (how, place) in planted.items()
                if place == where and (how == "exact") == (form == "exact")
            }
            kind = "exact copies" if form == "exact" else "copies compressed again or resized"
            missed = sorted({planted[pair][0] for pair in asked - named})
            say(
                f"duplicates, {what}",
                f"{100 * len(asked & named) / max(1, len(asked)):.1f} % of {len(asked)} {kind} {where}"
                + (f"; missed are some of {', '.join(missed)}" if missed else ""),
                copies=form,
                where=where,
                found=len(asked & named),
                planted=len(asked),
            )
    say(
        f"duplicates, {what}",
        f"{100 * false / len(files):.2f} % false ({false} of {len(files)}), {run.seconds:.1f} s",
        false=false,
        pictures=len(files),
        seconds=run.seconds,
    )


def _named(run: Timed, planted: dict[tuple[str, str], tuple[str, str]]) -> tuple[set[tuple[str, str]], int]:
    """The planted pairs that are named, as what they are; and how many others are."""
    of = {name: pair for pair in planted for name in pair}
    named, false = set(), 0
    for one in run.json()["findings"]:
        if one["kind"] not in COPIES:
            continue
        pair = of.get(one["path"])
        between = pair is not None and planted[pair][1] == "between parts"
        other = pair and pair[1 - pair.index(one["path"])]
        if pair and other in one["detail"] and (one["kind"] == "leak") == between:
            named.add(pair)
        else:
            false += 1
    return named, false


# ---------------------------------------------------------------- time
def speed(folder: Path, most: int) -> None:
    small = list(pictures("train/", min(TIMED, most)))
    large = (
        encoded(Image.open(io.BytesIO(data)).resize((500 + at % 500, 400 + at % 400), 3), "JPEG", quality=88)
        for at, (_, data) in enumerate(small[: min(LARGE, most)])
    )
    sets = {
        "32 x 32": [(f"{label}/{at}.jpg", data) for at, (label, data) in enumerate(small)],
        "500 x 400 to 999 x 799": [(f"{at % 2}/{at}.jpg", data) for at, data in enumerate(large)],
    }
    for name, files in sets.items():
        path = archive(folder / f"{name}.zip", files)
        runs = [vistazo("check", str(path), cwd=folder) for _ in range(ROUNDS)]
        each = [1000 * run.seconds / len(files) for run in runs]
        line = told(f"{len(files)} pictures of {name}, for 1,000", each, "s")
        memory = max(run.memory for run in runs)
        say("speed", f"{line}, {memory:.0f} MB", size=name, pictures=len(files), seconds=each, memory=memory)


def main() -> None:
    asked = {"flips": flips, "duplicates": duplicates, "speed": speed}
    words = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    words.add_argument("what", nargs="*", help=", ".join(asked))
    words.add_argument("--pictures", type=int, default=1_000_000)
    given = words.parse_args()
    for word in given.what or list(asked):
        if word not in asked:
            raise SystemExit(f"there is no '{word}'; there are {', '.join(asked)}")
        with tempfile.TemporaryDirectory() as folder:
            asked[word](Path(folder), given.pictures)


if __name__ == "__main__":
    main()
