"""Answers for pictures without Vistazo: its model file, Pillow, NumPy and PyTorch.

    python examples/standalone/predict.py MODEL PICTURE... [--json]

The rule by which a picture becomes the network's input stands in docs/decoding.md; `picture` below is all of it.
Reads models of the network airbench, which the recipes quick, balanced and best train.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

ALIKE = 1.1  # proportions closer than this are stretched
TYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64}


# ---------------------------------------------------------------- a picture
def picture(file: Path, height: int, width: int, channels: int, background: str = "white") -> np.ndarray:
    """A picture's file as uint8 (height, width, channels), by the rule of docs/decoding.md."""
    with Image.open(file) as image:
        turn = 1 if image.format == "TIFF" else image.getexif().get(0x0112, 1)  # Pillow turns a TIFF itself
        turn = turn if turn in range(1, 9) else 1
        wanted = (height, width) if turn > 4 else (width, height)  # as it is stored: (width, height)
        image.draft("L" if channels == 1 and image.mode == "L" else None, wanted)
        if image.mode.startswith("I"):  # 16 bits of grey
            plain = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
        elif image.has_transparency_data:
            plain = image.convert("RGBA")
        else:
            plain = image.convert("L" if channels == 1 or image.mode in ("1", "L") else "RGB")
    if plain.size != wanted:
        plain = scaled(plain, wanted)
    if plain.mode == "RGBA":
        plain = Image.alpha_composite(Image.new("RGBA", plain.size, background), plain)
    pixels = np.asarray(plain.convert("L" if channels == 1 else "RGB")).reshape(*plain.size[::-1], channels)
    if turn > 4:
        pixels = pixels.transpose(1, 0, 2)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def scaled(image: Image.Image, wanted: tuple[int, int]) -> Image.Image:
    """The picture at that (width, height): first down, then across."""
    left, top, right, bottom = window(image.size, wanted)
    mode = image.mode
    if mode == "RGBA":
        image = image.convert("RGBa")
    low = (image.width, wanted[1])
    image = image.resize(low, Image.Resampling.BILINEAR, box=(0, top, image.width, bottom))
    image = image.resize(wanted, Image.Resampling.BILINEAR, box=(left, 0, right, wanted[1]))
    return image.convert(mode) if mode == "RGBA" else image


def window(there: tuple[int, int], wanted: tuple[int, int]) -> tuple[float, float, float, float]:
    """The part of a picture that is shown: left, top, right, bottom. Sizes are (width, height)."""
    width, height = there
    ratio = (width * wanted[1]) / (height * wanted[0])
    if 1 / ALIKE < ratio < ALIKE:
        return 0, 0, width, height
    shown_width, shown_height = (width / ratio, height) if ratio > 1 else (width, height * ratio)
    left, top = (width - shown_width) / 2, (height - shown_height) / 2
    return left, top, left + shown_width, top + shown_height


# ---------------------------------------------------------------- a model
def read_model(file: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """The tensors and the facts of a model file: safetensors, whose metadata hold one entry, `vistazo`, of JSON."""
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + size])
    facts = json.loads(head.pop("__metadata__")["vistazo"])["facts"]
    body, tensors = memoryview(data)[8 + size :], {}
    for name, told in head.items():
        first, last = told["data_offsets"]
        values = np.frombuffer(body[first:last], TYPES[told["dtype"]]).reshape(told["shape"])
        tensors[name] = torch.from_numpy(values.copy())
    return tensors, facts


def airbench(tensors: dict[str, torch.Tensor], arguments: dict, pictures: torch.Tensor) -> torch.Tensor:
    """Scores (N, classes) of normalised pictures (N, channels, height, width)."""
    activated = F.silu if arguments.get("activation") == "silu" else F.relu
    quarter = arguments.get("entry") == "quarter"

    def convolved(name: str, values: torch.Tensor) -> torch.Tensor:
        return F.conv2d(values, tensors[f"{name}.weight"], padding=1)

    def normed(name: str, values: torch.Tensor) -> torch.Tensor:
        mean, variance, bias = (tensors[f"{name}.{one}"] for one in ("mean", "variance", "bias"))
        return F.batch_norm(values, mean, variance, torch.ones_like(mean), bias, eps=1e-5)

    values = F.conv2d(
        pictures, tensors["whitening.filters"], stride=2 if quarter else 1, padding=1 if quarter else 0
    )
    values = activated(values)
    for at in range(len(arguments["filters"])):
        halved = F.max_pool2d(convolved(f"groups.{at}.first", values), 2)
        halved = activated(normed(f"groups.{at}.first_norm", halved))
        values = activated(normed(f"groups.{at}.second_norm", convolved(f"groups.{at}.second", halved)))
        if f"groups.{at}.third.weight" in tensors:
            third = normed(f"groups.{at}.third_norm", convolved(f"groups.{at}.third", values))
            values = activated(third + halved)
    return values.amax((2, 3)) @ tensors["head.weight"].T / 9


def moved(pictures: torch.Tensor, down: int, right: int, mirrored: bool) -> torch.Tensor:
    """Pictures mirrored left to right, then moved by whole pixels, the border reflected."""
    pictures = pictures.flip(3) if mirrored else pictures
    reach = max(abs(down), abs(right))
    if not reach:
        return pictures
    height, width = pictures.shape[2:]
    padded = F.pad(pictures, (reach,) * 4, mode="reflect")
    return padded[:, :, reach - down : reach - down + height, reach - right : reach - right + width]


@torch.no_grad()
def answers(model: Path, files: Sequence[Path]) -> Iterator[tuple[Path, str, float]]:
    """(file, class, probability) of each picture."""
    tensors, facts = read_model(model)
    if facts["model"] != "airbench" or facts["facts"]["objective"] != "cross_entropy":
        raise SystemExit(f"{model} holds the network {facts['model']}; this program knows airbench alone.")
    told, classes = facts["preprocessing"], facts["facts"]["classes"]
    mean, std = (torch.tensor(told[name])[:, None, None] for name in ("mean", "std"))
    for file in files:
        pixels = picture(
            file, told["height"], told["width"], told["channels"], told.get("background", "white")
        )
        tensor = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32))[None]
        views = [
            airbench(tensors, facts["arguments"], moved((tensor - mean) / std, *view))
            for view in facts["facts"]["views"]
        ]
        scores = torch.stack(views).mean(0) / facts["facts"].get("temperature", 1.0)
        probabilities = scores.softmax(1)[0]
        best = int(probabilities.argmax())
        yield file, classes[best], float(probabilities[best])


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("model", type=Path)
    asked.add_argument("files", type=Path, nargs="*", help="pictures; without any, one path a line is read")
    asked.add_argument("--json", action="store_true", help="one JSON object a line")
    given = asked.parse_args()
    torch.set_num_threads(1)  # one picture at a time is too little work to share
    for file, name, probability in answers(
        given.model, given.files or [Path(one.strip()) for one in sys.stdin]
    ):
        if given.json:
            print(json.dumps({"file": str(file), "class": name, "probability": round(probability, 6)}))
        else:
            print(f"{file}: {name} ({probability:.1%})")


if __name__ == "__main__":
    main()
