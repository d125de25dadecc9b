"""Digits as MNIST has them, drawn by the test: white on black, 20 of 28 pixels, centred by their mass."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

NAMES = ("0", "1", "7")
# Corners on paper 256 units wide: what a hand would draw.
SHAPES = {
    "0": [(128 + 55 * np.sin(turn), 128 - 85 * np.cos(turn)) for turn in np.linspace(0, 2 * np.pi, 24)],
    "1": [(128, 40), (128, 216)],
    "7": [(70, 50), (190, 50), (110, 216)],
}


def digit(name: str, chance: np.random.Generator) -> np.ndarray:
    """One digit as (28, 28) uint8, slanted and bent a little."""
    corners = np.array(SHAPES[name]) + chance.normal(0, 6, (len(SHAPES[name]), 2))
    corners[:, 0] += chance.uniform(-0.25, 0.25) * (corners[:, 1] - 128)
    low, high = corners.min(0), corners.max(0)
    corners = (corners - (low + high) / 2) * (17.5 / (high - low).max()) * 8 + 112
    sheet = Image.new("L", (224, 224))
    pen = ImageDraw.Draw(sheet)
    pen.line([tuple(one) for one in corners], fill=255, width=20, joint="curve")
    for x, y in corners:
        pen.ellipse((x - 10, y - 10, x + 10, y + 10), fill=255)
    rows, columns = np.indices((224, 224))
    ink = np.asarray(sheet) / 255
    moved = [round(112 - (ink * one).sum() / ink.sum()) for one in (rows, columns)]
    small = Image.fromarray(np.roll(np.asarray(sheet), moved, (0, 1))).reduce(8)
    return np.asarray(small)


def write_digits(folder: Path, count: int = 50) -> Path:
    """`count` PNG files of each digit, in a folder of its name."""
    chance = np.random.default_rng(0)
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        for one in range(count):
            Image.fromarray(digit(name, chance)).save(folder / name / f"{one}.png")
    return folder


def write_sales(file: Path, days: int = 200) -> Path:
    """A CSV of sales a day: a week's rhythm, written as a spreadsheet in Spanish would."""
    chance = np.random.default_rng(1)
    start = np.datetime64("2024-01-01")
    week = np.array([100, 90, 95, 110, 150, 220, 180])
    lines = ["fecha;ventas"]
    for day in range(days):
        date = str(start + day)
        value = week[day % 7] + chance.normal(0, 5)
        lines.append(f"{date[8:]}/{date[5:7]}/{date[:4]};{value:.1f}".replace(".", ","))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def write_flats(file: Path, rows: int = 200) -> Path:
    """A CSV of flats; a district has HTML in its name."""
    chance = np.random.default_rng(2)
    lines = ["district,rooms,area,price"]
    for _ in range(rows):
        district = chance.choice(["north", "south", "<b>centre</b>"])
        rooms = int(chance.integers(1, 6))
        area = rooms * 22 + chance.normal(0, 5)
        price = area * (3 if "centre" in district else 2) + chance.normal(0, 5)
        lines.append(f"{district},{rooms},{area:.1f},{price:.1f}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
