"""`vistazo explain`: whether maps show what decides.

    python benchmarks/explanation.py pointing     crops of raccoons on natural backgrounds: the peak of Grad-CAM++ lies
                                                  inside the box in >= 80 %; the picture's centre does in ~15 %
    python benchmarks/explanation.py randomised   weights randomised (Adebayo et al. 2018): the maps of a CIFAR-10 model
                                                  correlate with those of random weights by < 0.3
    python benchmarks/explanation.py deletion     CIFAR-10: pixels taken away and put back in the map's order, against a
                                                  random map's; paired test p < 0.01
    python benchmarks/explanation.py bias         a coloured corner on 90 % of one class: found, named, first in its
                                                  list; nothing is found without it

`--seed N`; `--validation` measures `pointing` on the validation share of the photographs, layer by layer: that is what
the rule for the layer was chosen on. Every figure is printed and written to benchmarks/runs/explanation.jsonl.

pointing: photographs are divided before anything is cut out of them, near copies left out. A raccoon is a box of its
photograph, brought to 4 to 12 % of the picture's area. Backgrounds are squares beside the boxes of other photographs of
the same part. The model is trained by `train` as it is, on the training photographs alone.
"""

import argparse
import io
import json
import tempfile
import time
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA
from PIL import Image

import vistazo
from vistazo.classification.explaining.bias import find_bias
from vistazo.classification.explaining.layers import layers_of
from vistazo.classification.explaining.maps import peaks, resized
from vistazo.classification.explaining.methods import picture_maps, settle
from vistazo.engine.figures import wilson_interval

SOURCE, PHOTOGRAPHS = DATA / "cifar10-jpeg.zip", DATA / "raccoon" / "raccoon.zip"
KEPT = Path(__file__).resolve().parent / "runs" / "explanation.jsonl"
# Photographs of raccoons that are copies of others, as anyone can see who opens them.
TWINS = frozenset((21, 50, 74, 83, 85, 98, 116))
SIDE = 224  # pixels of a picture, as `train` would bring so few photographs to
SMALLEST, LARGEST = 0.04, 0.12  # of the picture's area, which a raccoon's box takes
BACKGROUND = 80  # pixels a side that a background has at least before it is brought to SIDE
PARTS = {"train": 0.55, "validation": 0.15, "test": 0.30}  # of the photographs
PLACES = {"train": 4, "validation": 4, "test": 3}  # pictures made of each raccoon
RACCOON = 1


def say(what: str, line: str, **figures: Any) -> None:
    """One figure for people, and for programs."""
    print(f"{what}: {line}", flush=True)
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"what": what, "time": round(time.time()), **figures}) + "\n")


# ---------------------------------------------------------------- the pointing game
@dataclass(frozen=True)
class Photograph:
    """A photograph and the boxes of its raccoons: left, top, right, bottom."""

    number: int
    image: Image.Image
    boxes: list[tuple[int, int, int, int]]

    def beside(self) -> list[tuple[int, int, int, int]]:
        """The strips above, below, left and right of all its boxes that are wide enough for a background."""
        left, top, right, bottom = (
            pick(box[at] for box in self.boxes) for at, pick in enumerate((min, min, max, max))
        )
        width, height = self.image.size
        strips = (
            (0, 0, width, top),
            (0, bottom, width, height),
            (0, 0, left, height),
            (right, 0, width, height),
        )
        return [one for one in strips if min(one[2] - one[0], one[3] - one[1]) >= BACKGROUND]


def photographs() -> list[Photograph]:
    """All but the near copies, in the order of their numbers."""
    found = []
    with zipfile.ZipFile(PHOTOGRAPHS) as source:
        names = set(source.namelist())
        for number in range(1, 201):
            name = f"images/raccoon-{number}.jpg"
            if number in TWINS or name not in names:
                continue
            image = Image.open(io.BytesIO(source.read(name))).convert("RGB")
            tree = ET.fromstring(source.read(f"annotations/raccoon-{number}.xml"))
            boxes = []
            for box in tree.iter("bndbox"):
                left, top, right, bottom = (
                    int(box.findtext(side, "0")) for side in ("xmin", "ymin", "xmax", "ymax")
                )
                clipped = (
                    max(0, left - 1),
                    max(0, top - 1),
                    min(image.width, right),
                    min(image.height, bottom),
                )
                if clipped[2] - clipped[0] > 8 and clipped[3] - clipped[1] > 8:
                    boxes.append(clipped)
            found.append(Photograph(number, image, boxes))
    return found


def divided(seed: int) -> dict[str, list[Photograph]]:
    """The photographs of each part, drawn by the seed."""
    everything = photographs()
    order = np.random.default_rng(seed).permutation(len(everything)).tolist()
    found, first = {}, 0
    for part, share in PARTS.items():
        last = len(order) if part == "test" else first + round(share * len(order))
        found[part] = [everything[at] for at in order[first:last]]
        first = last
    return found


def background(photograph: Photograph, rng: np.random.Generator) -> Image.Image:
    """A square from beside the boxes, at a random place of a random strip."""
    strips = photograph.beside()
    left, top, right, bottom = strips[int(rng.integers(len(strips)))]
    most = min(right - left, bottom - top)
    side = int(rng.integers(BACKGROUND, most + 1))
    x, y = int(rng.integers(left, right - side + 1)), int(rng.integers(top, bottom - side + 1))
    square = photograph.image.crop((x, y, x + side, y + side))
    return square.resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def game(some: list[Photograph], places: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures (n, SIDE, SIDE, 3), labels, and boxes (left, top, right, bottom) of those with a raccoon, zeros else.

    A plain background for each picture with a raccoon, none of them the same.
    """
    rng = np.random.default_rng(seed)
    open_air = [one for one in some if one.beside()]
    pictures, labels, boxes = [], [], []
    for photograph in some:
        others = [one for one in open_air if one is not photograph]
        for box in photograph.boxes:
            for _ in range(places):
                crop = photograph.image.crop(box)
                area = float(rng.uniform(SMALLEST, LARGEST)) * SIDE**2
                scale = min((area / (crop.width * crop.height)) ** 0.5, SIDE / max(crop.size))
                width, height = max(1, int(crop.width * scale)), max(1, int(crop.height * scale))
                x, y = int(rng.integers(SIDE - width + 1)), int(rng.integers(SIDE - height + 1))
                scene = background(others[int(rng.integers(len(others)))], rng)
                scene.paste(crop.resize((width, height), Image.Resampling.BILINEAR), (x, y))
                pictures.append(np.asarray(scene))
                labels.append(RACCOON)
                boxes.append((x, y, x + width, y + height))
                pictures.append(np.asarray(background(others[int(rng.integers(len(others)))], rng)))
                labels.append(0)
                boxes.append((0, 0, 0, 0))
    return np.stack(pictures), np.array(labels), np.array(boxes)


def inside(points_N2: np.ndarray, boxes_N4: np.ndarray) -> np.ndarray:
    """(N,) whether each point, row and column in pixels, lies in its box."""
    row, column = (points_N2[:, at] + 0.5 for at in (0, 1))
    return (
        (column >= boxes_N4[:, 0])
        & (row >= boxes_N4[:, 1])
        & (column <= boxes_N4[:, 2])
        & (row <= boxes_N4[:, 3])
    )


def hits(model: Any, pictures: np.ndarray, boxes: np.ndarray, layer: str | None, method: str) -> np.ndarray:
    way = settle(model, method=method, layer=layer)
    targets = np.full((len(pictures), 1), model.classes.index("raccoon"))
    return inside(peaks(picture_maps(model, pictures, targets, way)[:, 0]), boxes)


def pointing(folder: Path, seed: int, validation: bool) -> None:
    parts = divided(seed)
    made = {
        part: game(parts[part], PLACES[part], seed + at) for at, part in enumerate(("train", "validation"))
    }
    names = np.array(["background", "raccoon"])
    source = {part: (pictures, names[labels]) for part, (pictures, labels, _) in made.items()}
    # What `train` measures at its end is made of the validation photographs too: the test part is for the last figure.
    ends = game(parts["validation"], 1, seed + 7)
    source["test"] = (ends[0], names[ends[1]])
    began = time.perf_counter()
    run = vistazo.train(source, recipe="transfer", seed=seed, out=str(folder / "run"), quiet=True)
    seconds = time.perf_counter() - began
    model = vistazo.load(run.model)
    if validation:
        pictures, labels, boxes = made["validation"]
    else:
        pictures, labels, boxes = game(parts["test"], PLACES["test"], seed + 9)
    accuracy = float(
        (names[labels] == np.array(model.classes)[model.probabilities(pictures).argmax(1)]).mean()
    )
    with_one = labels == RACCOON
    pictures, boxes = pictures[with_one], boxes[with_one]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / SIDE**2
    centre = float(inside(np.full((len(boxes), 2), (SIDE - 1) / 2), boxes).mean())
    told = "validation" if validation else "test"
    print(
        f"{len(source['train'][0])} pictures learnt from, {seconds:.0f} s; accuracy on {told} {100 * accuracy:.1f} %; "
        f"boxes {100 * areas.mean():.1f} % of the area on average, {100 * areas.max():.1f} % at most",
        flush=True,
    )
    wanted: list[tuple[str, str | None]] = [("gradcam++", None), ("gradcam", None)]
    if validation:
        wanted += [("gradcam++", one.name) for one in layers_of(model.network, 3, SIDE, SIDE)[-20:]]
    for method, layer in wanted:
        hit = hits(model, pictures, boxes, layer, method)
        low, high = wilson_interval(int(hit.sum()), len(hit))
        way = settle(model, method=method, layer=layer)
        say(
            "pointing",
            f"{told}, {method} at {way.layer}: {100 * hit.mean():.1f} % of {len(hit)} peaks inside the box "
            f"({100 * low:.1f} to {100 * high:.1f}); the centre {100 * centre:.1f} %",
            part=told, method=method, layer=str(way.layer), share=float(hit.mean()), pictures=len(hit), centre=centre,
            accuracy=accuracy, area=float(areas.mean()), seconds=seconds, seed=seed,
        )  # fmt: skip


# ---------------------------------------------------------------- CIFAR-10
def cifar() -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """The pictures and class numbers of each part, and the names of the classes."""
    from vistazo.pictures import decoding, sources

    found = sources.read_source(SOURCE, classes_file=None)
    parts = {}
    for part in ("train", "test"):
        rows = found.index.rows(part)
        loaded = decoding.load(found.store, rows, height=32, width=32, channels=3, threads=2)
        parts[part] = (loaded.pixels[np.arange(len(loaded.rows))], found.index.label[loaded.rows])
    return parts, np.array(found.index.classes)


def learnt(parts: dict[str, tuple[np.ndarray, np.ndarray]], names: np.ndarray, place: Path, seed: int) -> Any:
    source = {part: (pictures, names[labels]) for part, (pictures, labels) in parts.items()}
    run = vistazo.train(source, recipe="quick", seed=seed, out=str(place), quiet=True)
    print(f"quick on CIFAR-10: {100 * run.metrics['test']['accuracy']:.1f} %", flush=True)
    return vistazo.load(run.model)


def sample(parts: dict[str, tuple[np.ndarray, np.ndarray]], most: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(len(parts["test"][0]))[:most]


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's, of two maps; nan where one of them is flat."""
    if one.std() < 1e-12 or other.std() < 1e-12:
        return float("nan")
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def randomised(folder: Path, seed: int, validation: bool) -> None:
    import torch
    from scipy.stats import rankdata

    from vistazo.classification.models import create

    parts, names = cifar()
    model = learnt(parts, names, folder / "run", seed)
    pictures = parts["test"][0][sample(parts, 500, seed)]
    targets = model.probabilities(pictures).argmax(1)[:, None]
    maps = {}
    for method in ("gradcam++", "gradcam", "gradients"):
        way = settle(model, method=method, layer=None)
        maps[method] = picture_maps(model, pictures, targets, way)[:, 0]
    trained = model.network.state_dict()
    for draw in range(3):
        torch.manual_seed(seed + draw)
        model.network.load_state_dict(create(model.model, model.arguments).state_dict())
        for method, before in maps.items():
            after = picture_maps(model, pictures, targets, settle(model, method=method, layer=None))[:, 0]
            pairs = list(zip(before, after, strict=True))
            pearson = np.array([correlation(one, other) for one, other in pairs])
            spearman = np.array([correlation(rankdata(one), rankdata(other)) for one, other in pairs])
            say(
                "randomised",
                f"{method}, draw {draw}: Pearson {np.nanmean(pearson):.3f}, Spearman {np.nanmean(spearman):.3f} on "
                f"average of {len(pairs)} pictures ({int(np.isnan(pearson).sum())} flat maps left out)",
                method=method, draw=draw, pearson=float(np.nanmean(pearson)), spearman=float(np.nanmean(spearman)),
                pictures=len(pairs), flat=int(np.isnan(pearson).sum()), seed=seed,
            )  # fmt: skip
    model.network.load_state_dict(trained)


def areas_under(
    model: Any, picture: np.ndarray, order: np.ndarray, at: int, fill: np.ndarray
) -> tuple[float, float]:
    """Mean probability of class `at` while pixels are taken away in that order, and while they are put back."""
    steps = np.linspace(0, order.size, 33).astype(int)
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size)
    gone = (rank[None] < steps[:, None]).reshape(-1, *picture.shape[:2], 1)
    deleted, inserted = np.where(gone, fill, picture), np.where(gone, picture, fill)
    values = model.probabilities(np.concatenate((deleted, inserted)))[:, at]
    return float(values[: len(steps)].mean()), float(values[len(steps) :].mean())


def deletion(folder: Path, seed: int, validation: bool) -> None:
    import torch
    from scipy.stats import ttest_rel, wilcoxon

    parts, names = cifar()
    model = learnt(parts, names, folder / "run", seed)
    pictures = parts["test"][0][sample(parts, 300, seed)]
    targets = model.probabilities(pictures).argmax(1)
    way = settle(model, method="gradcam++", layer=None)
    maps = picture_maps(model, pictures, targets[:, None], way)[:, 0]
    # A random map as coarse as ours, brought to the picture's size in the same way: single pixels would be unlike it.
    noise = torch.rand(
        len(maps), way.layer.height, way.layer.width, generator=torch.Generator().manual_seed(seed)
    )
    random = resized(noise, height=32, width=32).numpy()
    fill = np.broadcast_to(parts["train"][0].mean((0, 1, 2)).round().astype(np.uint8), (32, 32, 3))
    found = np.array(
        [
            [
                areas_under(model, picture, np.argsort(-one.ravel(), kind="stable"), at, fill)
                for one in (ours, theirs)
            ]
            for picture, ours, theirs, at in zip(pictures, maps, random, targets.tolist(), strict=True)
        ]
    )
    for column, what in enumerate(("deletion", "insertion")):
        ours, theirs = found[:, 0, column], found[:, 1, column]
        better = "less" if what == "deletion" else "greater"
        by_ranks = float(wilcoxon(ours, theirs, alternative=better).pvalue)
        by_means = float(ttest_rel(ours, theirs, alternative=better).pvalue)
        say(
            what,
            f"Grad-CAM++ {ours.mean():.4f}, random {theirs.mean():.4f} on {len(ours)} pictures; Wilcoxon p = "
            f"{by_ranks:.2g}, paired t p = {by_means:.2g}",
            ours=float(ours.mean()), random=float(theirs.mean()), pictures=len(ours), wilcoxon=by_ranks, t=by_means,
            seed=seed,
        )  # fmt: skip


# ---------------------------------------------------------------- bias
def planted(pictures: np.ndarray, labels: np.ndarray, at: int, corner: str, seed: int) -> np.ndarray:
    """A coloured square of 6 x 6 pixels in a corner of 90 % of one class's pictures."""
    chosen = np.flatnonzero(labels == at)
    chosen = chosen[np.random.default_rng(seed).random(len(chosen)) < 0.9]
    rows = slice(0, 6) if "top" in corner else slice(-6, None)
    columns = slice(0, 6) if "left" in corner else slice(-6, None)
    changed = pictures.copy()
    changed[chosen, rows, columns] = (230, 30, 200)
    return changed


def bias(folder: Path, seed: int, validation: bool) -> None:
    parts, names = cifar()
    cases = [(None, ""), ("truck", "top left corner"), ("cat", "bottom right corner")]
    for number, (name, corner) in enumerate(cases):
        marked = parts
        if name:
            at = names.tolist().index(name)
            marked = {
                part: (planted(pictures, labels, at, corner, seed + turn), labels)
                for turn, (part, (pictures, labels)) in enumerate(parts.items())
            }
        model = learnt(marked, names, folder / f"run{number}", seed)
        pictures, labels = marked["test"]
        began = time.perf_counter()
        found = find_bias(
            model, pictures, np.array([model.classes.index(one) for one in names])[labels], seed=seed
        )
        seconds = time.perf_counter() - began
        first = found.classes[0]
        right = first.found and (first.name, first.place) == (name, corner) and len(found.findings) == 1
        if name is None:
            right = not found.findings
        sentences = " ".join(one.sentence() for one in found.findings) or "nothing is called a finding"
        say(
            "bias",
            f"{name or 'nothing'} planted: {sentences} {'RIGHT' if right else 'WRONG'}; first {first.name}, suspicion "
            f"{first.suspicion:.2f}, next {found.classes[1].name} {found.classes[1].suspicion:.2f}; {seconds:.0f} s",
            planted=name, corner=corner, right=bool(right), seconds=seconds, seed=seed, found=found.to_json(),
        )  # fmt: skip


def main() -> None:
    asked = {"pointing": pointing, "randomised": randomised, "deletion": deletion, "bias": bias}
    words = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    words.add_argument("what", nargs="*", help=", ".join(asked))
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--validation", action="store_true")
    given = words.parse_args()
    for word in given.what or list(asked):
        if word not in asked:
            raise SystemExit(f"there is no '{word}'; there are {', '.join(asked)}")
        with tempfile.TemporaryDirectory() as folder:
            asked[word](Path(folder), given.seed, given.validation)


if __name__ == "__main__":
    main()
