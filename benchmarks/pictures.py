"""Pictures as they come: what was asked of reading them, measured.

    python benchmarks/pictures.py decode     10,000 JPEGs of 500 x 400 and more, at 64 pixels: >= 90 % of a bare loop of
                                             simplejpeg on both cores at the same scale, >= 2 x Pillow's full decoding
    python benchmarks/pictures.py epoch      an epoch through the map beside the same in memory: <= 1.10 x
    python benchmarks/pictures.py million    1,000,000 pictures of 32 x 32 with 1.5 GB of memory (a control group, for
                                             which one must be root): one epoch, memory flat, index <= 60 s once cached
    python benchmarks/pictures.py index      the index of that million by itself, once decoded: <= 60 s
    python benchmarks/pictures.py ten        ten times the pictures: <= 11 x the time, the same memory

Pictures are CIFAR-10's, enlarged or repeated; `million` writes 3 GB of arrays and 4 GB of files to VISTAZO_SCRATCH, or
to the folder for temporary files.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import simplejpeg
from common import DATA, told
from PIL import Image

SOURCE = DATA / "cifar10-jpeg.zip"
SIDE, ROUNDS = 64, 5


def scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=os.environ.get("VISTAZO_SCRATCH"))


# ---------------------------------------------------------------- decoding
def photographs(folder: Path, count: int, *, told_apart: bool = False) -> list[Path]:
    """JPEGs of 500 x 400 to 1,000 x 800, made of nine pictures each, so that they have detail, in ten folders.

    told_apart: the middle one covers most of the others, and its class is the folder.
    """
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(SOURCE) as source:
        names = [name for name in source.namelist() if name.startswith("train/") and name.endswith(".jpg")]
        names = names[:: max(1, len(names) // (count if told_apart else 900))]
        small = [Image.open(io.BytesIO(source.read(name))).convert("RGB") for name in names]

    def write(at: int) -> Path:
        tiles = Image.new("RGB", (96, 96))
        for place in range(9):
            tiles.paste(small[(at * 9 + place) % len(small)], (place % 3 * 32, place // 3 * 32))
        label = f"{at % 10}"
        if told_apart:
            tiles.paste(small[at % len(small)].resize((72, 72), Image.Resampling.BICUBIC), (12, 12))
            label = names[at % len(small)].split("/")[1]
        scale = 1 + at % 5 / 4
        size = (round(500 * scale), round(400 * scale))
        path = folder / label / f"{at:05d}.jpg"
        path.parent.mkdir(exist_ok=True)
        tiles.resize(size, Image.Resampling.BICUBIC).save(path, quality=85 + int(rng.integers(10)))
        return path

    return [write(at) for at in range(count)]


def decode() -> None:
    from vistazo import platform
    from vistazo.pictures import decoding
    from vistazo.pictures.stores import Files

    threads = platform.physical_cores()
    with scratch() as name:
        paths = photographs(Path(name), 10_000)

        def ours() -> None:
            store = Files(Path(name), tuple(str(path.relative_to(name)) for path in paths))
            found = decoding.load(
                store, np.arange(len(paths)), height=SIDE, width=SIDE, channels=3, threads=threads
            )
            assert len(found.rows) == len(paths)

        def bare() -> None:
            def one(path: Path) -> None:
                simplejpeg.decode_jpeg(path.read_bytes(), "RGB", min_height=SIDE, min_width=SIDE)

            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(one, paths))

        def pillow() -> None:
            def one(path: Path) -> None:
                np.asarray(Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))

            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(one, paths[:1000]))

        for way in (ours, bare, pillow):  # the files come into memory
            way()
        shares, times = [], []
        for _ in range(ROUNDS):
            one, other, third = seconds(ours), seconds(bare), 10 * seconds(pillow)
            shares.append(100 * other / one)
            times.append(third / one)
            print(f"  ours {one:.2f} s, bare {other:.2f} s, Pillow {third:.1f} s", flush=True)
        print(told("share of the bare loop", shares, "%"))
        print(told("times as fast as Pillow's full decoding", times, "x"))


def seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


# ---------------------------------------------------------------- through the map
EPOCH = """
import sys, time
import numpy as np, torch
from vistazo import platform
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.models import create
from vistazo.classification.recipe import Given
from vistazo.classification.recipes import decide
from vistazo.classification.training import Program
from vistazo.config import build
from vistazo.engine.device import Compute
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.loading import Normaliser, PictureBatches

path, count, mapped = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "map"
pixels = np.memmap(path, np.uint8, "r", shape=(count, 32, 32, 3))
if mapped:
    platform.free_memory = lambda: 0
platform.keep_freed_blocks()
config = build(ClassificationConfig, {"recipe": "quick"})
decided = decide(config, Given(count, 32, 32, 3), tuple("abcdefghij"))
compute = Compute("cpu", "bf16", "channels_last", platform.physical_cores())
compute.start()
torch.manual_seed(0)
network = compute.place(create(decided.model, decided.arguments))
program = Program(network, decided, config, Normaliser.unit(3), compute)
batches = PictureBatches(PictureArray(pixels), {"label": torch.arange(count) % 10}, np.arange(count),
                         size=decided.batch, reach=2, flip=True, seed=0, device="cpu")
def epoch(train):
    began = time.perf_counter()
    for step in range(batches.steps):
        batch = batches.draw(1, step)
        if train:
            for one in program.optimizers[0]:
                one.zero_grad(set_to_none=True)
            program.step(batch, 0).backward()
            for one in program.optimizers[0]:
                one.step()
    return time.perf_counter() - began
epoch(False)
print(epoch(False), epoch(True))
"""


def epoch() -> None:
    """An epoch of the recipe `quick`, the fastest there is, and the drawing of its batches alone."""
    count = 60_000
    with scratch() as name:
        path = Path(name) / "pixels"
        np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8).tofile(path)
        drawn, trained = [], []
        for _ in range(ROUNDS):
            found = {}
            for way in ("memory", "map"):
                answer = subprocess.run(
                    [sys.executable, "-c", EPOCH, str(path), str(count), way],
                    capture_output=True, text=True, check=True,
                ).stdout.split()  # fmt: skip
                found[way] = [float(one) for one in answer]
            drawn.append(found["map"][0] / found["memory"][0])
            trained.append(found["map"][1] / found["memory"][1])
            print(f"  {found}", flush=True)
        print(told("an epoch, the map beside memory", trained, "x"))
        print(told("drawing alone", drawn, "x"))


# ---------------------------------------------------------------- a million, and ten times as many
RUN = """
import json, resource, sys, threading, time
from pathlib import Path
from vistazo import cli

most = [0]
def watch():
    while True:
        status = Path("/proc/self/status").read_text()
        most[0] = max(most[0], int(status.split("RssAnon:")[1].split()[0]))
        time.sleep(0.2)

threading.Thread(target=watch, daemon=True).start()
code = cli.main(["train", *sys.argv[1:], "--json"])
print(json.dumps({"anonymous": most[0] * 1024}))
sys.exit(code)
"""


def files(folder: Path, count: int) -> Path:
    """So many small JPEGs in ten class folders, each with bytes of its own."""
    with zipfile.ZipFile(SOURCE) as source:
        names = [name for name in source.namelist() if name.startswith("train/") and name.endswith(".jpg")]
        data = [(name.split("/")[1], source.read(name)) for name in names]
    root = folder / f"files-{count}"
    for label in {label for label, _ in data}:
        (root / label).mkdir(parents=True)
    for at in range(count):
        label, content = data[at * 7919 % len(data)]  # classes in turn
        # a comment after the end of the picture: other bytes, the same pixels
        (root / label / f"{at:07d}.jpg").write_bytes(content + str(at).encode())
    return root


def train(source: Path, folder: Path, name: str, limit: int | None) -> tuple[float, float, str]:
    """Seconds, anonymous memory in MB, and the last line of a run."""
    command = [sys.executable, "-c", RUN, str(source), "--recipe", "quick", "--epochs", "1", "--filters", "16,32,32",
               "--group-by", "none", "--out", str(folder / name)]  # fmt: skip
    environment = {**os.environ, "VISTAZO_CACHE": str(folder / "cache")}
    began = time.perf_counter()
    with limited(limit) as enter:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, preexec_fn=enter, check=False
        )
    spent = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    for line in done.stderr.splitlines():
        print("   ", line)
    memory = json.loads(done.stdout.splitlines()[-1])["anonymous"] / 1e6
    return spent, memory, done.stderr.splitlines()[-1]


@contextlib.contextmanager
def limited(most: int | None) -> Iterator[Callable[[], object] | None]:
    """What a child process calls to be held to so many bytes, the files it has in memory counted; None for no limit."""
    if most is None:
        yield None
        return
    version1 = Path("/sys/fs/cgroup/memory")
    group = (version1 if version1.is_dir() else Path("/sys/fs/cgroup")) / f"vistazo-{os.getpid()}"
    group.mkdir()
    try:
        (group / ("memory.limit_in_bytes" if version1.is_dir() else "memory.max")).write_text(str(most))
        yield lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
    finally:
        group.rmdir()


def million(count: int = 1_000_000) -> None:
    with scratch() as name:
        source = files(Path(name), count)
        for again in ("first", "cached"):
            spent, memory, last = train(source, Path(name), again, 1_500_000_000)
            print(
                f"{count:,} pictures, {again}: {spent:.0f} s, anonymous memory {memory:,.0f} MB; {last}",
                flush=True,
            )


INDEX = """
import sys, time
import numpy as np
from vistazo import platform
from vistazo.classification import leaks
from vistazo.pictures import cache, sources

began = time.perf_counter()
found = sources.read_source(sys.argv[1], classes_file=None)
listed = time.perf_counter()
loaded = cache.load(found.store, np.arange(len(found.index)), height=32, width=32, channels=3,
                    threads=platform.physical_cores(), source=found.index.source)
index = found.index.replace(hash=loaded.hashes)
known = time.perf_counter()
leaks.group_copies(index, loaded.pixels)
print(listed - began, known - listed, time.perf_counter() - known)
"""


def index(count: int = 1_000_000) -> None:
    """The files listed and found in the cache; and, told apart, near copies grouped, which is no part of the index."""
    with scratch() as name:
        source = files(Path(name), count)
        environment = {**os.environ, "VISTAZO_CACHE": str(Path(name) / "cache")}
        for again in ("first", *["cached"] * 3):
            with limited(1_500_000_000) as enter:
                listed, known, grouped = subprocess.run(
                    [sys.executable, "-c", INDEX, str(source)],
                    capture_output=True, text=True, check=True, env=environment, preexec_fn=enter,
                ).stdout.split()  # fmt: skip
            print(
                f"{count:,} files, {again}: {float(listed) + float(known):.1f} s ({float(listed):.1f} to list, "
                f"{float(known):.1f} to find in the cache); near copies grouped in {float(grouped):.1f} s",
                flush=True,
            )


def ten() -> None:
    with scratch() as name:
        found = []
        for count in (10_000, 100_000):
            source = files(Path(name), count)
            found.append(train(source, Path(name), f"run-{count}", None))
            print(
                f"{count:,} pictures: {found[-1][0]:.1f} s, anonymous memory {found[-1][1]:,.0f} MB",
                flush=True,
            )
        print(
            f"times: {found[1][0] / found[0][0]:.1f} x the time, {found[1][1] / found[0][1]:.2f} x the memory"
        )


def main() -> None:
    asked = {"decode": decode, "epoch": epoch, "million": million, "index": index, "ten": ten}
    for word in sys.argv[1:] or list(asked):
        if word not in asked:
            raise SystemExit(f"there is no '{word}'; there are {', '.join(asked)}")
        print(f"{word}:")
        asked[word]()


if __name__ == "__main__":
    main()
