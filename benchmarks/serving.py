"""The service: what was asked of it, measured on real processes. Linux; two cores that the load generator shares.

    python benchmarks/serving.py bound      a PNG of 28 x 28: >= 70 % of the bound HTTP + decoding + batched model, each
                                            measured in the same run; p99 <= 10 x p50 at 70 % of the load it can bear
    python benchmarks/serving.py twice      twice that load for 300 s at a fixed rate: only 200, 429 and 503 (with
                                            Retry-After), p99 of what was accepted <= 2 x unloaded, well again in < 5 s,
                                            memory flat
    python benchmarks/serving.py hostile    2,000 malformed uploads, 500 slow, half-closed and reset connections: no
                                            fault of the server's, no hang, a good request in between answers the same,
                                            a healthy client's p99 < 1 s
    python benchmarks/serving.py cold       from the start of the process to the first answer: <= 4 s
    python benchmarks/serving.py warm       one picture in a warm process: <= 1.5 x (network + decoding)
    python benchmarks/serving.py hour       60 minutes of mixed load: memory, descriptors, temporary files flat
    python benchmarks/serving.py all        all but `hour`, which is what it does without a word too

    --seconds N (twice), --uploads N (hostile), --minutes N (hour), --rounds N (bound, cold), --model FILE (else one is
    trained on MNIST by the recipe `quick`; an .onnx file will do), --serve WORDS (as in --serve='--queue 64').

The generator plans every request for a moment and counts its latency from there, whatever the server does meanwhile.
It is tests/serving/trust/load.py; the uploads are those of tests/serving/trust/uploads.py.
"""

import argparse
import gzip
import io
import itertools
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, ROOT, per_call, told, vistazo
from PIL import Image

sys.path.insert(0, str(ROOT / "tests" / "serving"))
from trust import contract, load, raw, service, slow, uploads

PNG = {"Content-Type": "image/png"}
_CALM = (
    30  # seconds of a tenth of the load, before and after: the machine's speed drifts by half within minutes
)
_PATIENCE = 35  # seconds for a head (10) and a body (20) to come, and some
CLIENTS = 24  # connections that find out how much the service can bear: fewer than its queue has places for


# ---------------------------------------------------------------- a model, pictures, servers
def trained(folder: Path) -> Path:
    """A model of MNIST by the recipe `quick`."""
    began = time.perf_counter()
    vistazo("train", str(DATA / "mnist"), "--recipe", "quick", "--out", str(folder / "run"), cwd=folder)
    print(f"trained on MNIST in {time.perf_counter() - began:.0f} s", flush=True)
    return folder / "run" / "model.vistazo"


def digits(count: int = 64) -> list[bytes]:
    """PNGs of MNIST's test pictures."""
    with gzip.open(DATA / "mnist" / "t10k-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(16 + count * 784)[16:], np.uint8).reshape(-1, 28, 28)
    found = []
    for one in pixels:
        sink = io.BytesIO()
        Image.fromarray(one).save(sink, "PNG")
        found.append(sink.getvalue())
    return found


def asking(port: int, pictures: list[bytes]) -> list[bytes]:
    return [raw.request("POST", "/v1/models/digits/predict", one, PNG, port=port) for one in pictures]


@contextmanager
def serving(model: Path, folder: Path, words: list[str]) -> Iterator[service.Service]:
    place = Path(tempfile.mkdtemp(dir=folder))
    one = service.start([f"digits={model}"], *words, folder=place)
    try:
        yield one
    finally:
        one.end()


@contextmanager
def bare(folder: Path, answer: bytes) -> Iterator[int]:
    """The port of a server that only reads and answers those bytes."""
    port, file = service.free_port(), folder / "answer"
    file.write_bytes(answer)
    program = ROOT / "tests" / "serving" / "trust" / "bare.py"
    process = subprocess.Popen([sys.executable, str(program), str(port), str(file)])
    try:
        for _ in range(200):
            time.sleep(0.05)
            try:
                raw.ask(port, "GET", "/")
                break
            except OSError:
                continue
        yield port
    finally:
        process.kill()
        process.wait()


def warn(found: load.Load) -> None:
    if found.warning():
        print(f"  note: {found.warning()}", flush=True)


def verdict(label: str, reached: str, good: bool) -> None:
    print(f"{'reached' if good else 'MISSED '} | {label} | {reached}", flush=True)


# ---------------------------------------------------------------- bound
def pieces(model: Path, pictures: list[bytes]) -> dict[str, float]:
    """Seconds a picture of decoding and of the network, by the batch that is best; as one thread does them.

    The other core is the generator's. What two threads would give to the network alone is told beside.
    """
    import vistazo
    from vistazo.pictures import decoding

    opened: Any = vistazo.load(model)
    height, width, channels = opened.size
    turn = itertools.cycle(pictures)
    decode = per_call(lambda: decoding.decode(next(turn), height=height, width=width, channels=channels))
    pixels = np.stack(
        [decoding.decode(one, height=height, width=width, channels=channels) for one in pictures]
    )
    found = {"decode": decode}
    for threads in (1, 2):
        computing = with_threads(opened, threads)
        costs = {
            size: per_call(lambda size=size: computing.probabilities(pixels[:size]), seconds=0.4) / size
            for size in (1, 8, 16, 32, 64)
        }
        best = min(costs, key=lambda size: costs[size])
        found |= {f"network{threads}": costs[best], f"batch{threads}": best, f"single{threads}": costs[1]}
    return found


def with_threads(opened: Any, threads: int) -> Any:
    """The model as so many threads compute it: of torch, which sets them at any time, or of onnxruntime."""
    if opened.path.suffix == ".onnx":
        from vistazo.engine.onnx_file import session_of

        return replace(opened, session=session_of(opened.path.read_bytes(), opened.path, threads=threads))
    import torch

    torch.set_num_threads(threads)
    return opened


def bound(model: Path, folder: Path, asked: argparse.Namespace) -> None:
    pictures, shares, capacities = digits(), [], []
    with serving(model, folder, asked.serve) as one:
        equal(one, model, pictures)
        answer = raw.ask(one.port, "POST", "/v1/models/digits/predict", pictures[0], PNG).body
        with bare(folder, answer) as port:
            for _ in range(asked.rounds):
                found = pieces(model, pictures)
                http = load.run(port, asking(port, pictures), seconds=3, connections=CLIENTS)
                whole = load.run(one.port, asking(one.port, pictures), seconds=4, connections=CLIENTS)
                capacities.append(whole.rate())
                line = f"  HTTP alone {http.rate():,.0f} a second ({1e6 / http.rate():.0f} us)"
                line += (
                    f", service {whole.rate():,.0f}, generator {whole.work / len(whole.status) * 1e6:.0f} us"
                )
                seconds = 1 / http.rate() + found["decode"] + found["network1"]
                shares.append(100 * whole.rate() * seconds)
                line += (
                    f"; decoding {found['decode'] * 1e6:.0f} us, network {found['network1'] * 1e6:.0f} us"
                    f" in batches of {found['batch1']:.0f} ({found['network2'] * 1e6:.0f} with two threads):"
                    f" bound {1 / seconds:,.0f}"
                )
                print(f"{line}; {whole.statuses}", flush=True)
        reached = told("share of the bound", shares, "%")
        verdict("throughput, asked >= 70 % of the bound", reached, statistics.median(shares) >= 70)
        ratios, rate = [], 0.7 * statistics.median(capacities)
        for _ in range(3):
            found_load = load.run(one.port, asking(one.port, pictures), seconds=10, rate=rate)
            p50, p99 = (found_load.percentile(share) * 1e3 for share in (50, 99))
            print(
                f"  {rate:,.0f} a second: p50 {p50:.2f} ms, p99 {p99:.2f} ms, {found_load.statuses}",
                flush=True,
            )
            warn(found_load)
            ratios.append(p99 / p50)
        reached = told("p99 / p50 at 70 %", ratios, "x")
        verdict("p99 <= 10 x p50 at 70 % of the load", reached, statistics.median(ratios) <= 10)


def equal(one: service.Service, model: Path, pictures: list[bytes]) -> None:
    """The service answers as `vistazo predict` does, or the rest means nothing."""
    import vistazo

    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name) / f"{at}.png" for at in range(len(pictures))]
        for path, data in zip(paths, pictures, strict=True):
            path.write_bytes(data)
        opened: Any = vistazo.load(model)
        for wanted, data in zip(opened.predict(paths), pictures, strict=True):
            (given,) = raw.ask(one.port, "POST", "/v1/models/digits/predict", data, PNG).json()["predictions"]
            if given["class"] != wanted["class"] or abs(given["probability"] - wanted["probability"]) > 1e-4:
                raise SystemExit(f"the service answers {given}, vistazo predict {wanted}")


# ---------------------------------------------------------------- twice the capacity
class Memory(threading.Thread):
    """Resident MB of a server, every half second: (seconds, MB)."""

    def __init__(self, one: service.Service) -> None:
        super().__init__(daemon=True)
        self.one, self.seen, self.ended = one, list[tuple[float, float]](), threading.Event()

    def run(self) -> None:
        began = time.perf_counter()
        while not self.ended.wait(0.5):
            self.seen.append((time.perf_counter() - began, self.one.memory()))


def twice(model: Path, folder: Path, asked: argparse.Namespace) -> None:
    pictures = digits()
    with serving(model, folder, asked.serve) as one:
        requests = asking(one.port, pictures)
        load.run(one.port, requests, seconds=3, connections=CLIENTS)
        capacity = statistics.median(
            load.run(one.port, requests, seconds=4, connections=CLIENTS).rate() for _ in range(3)
        )
        calm = load.run(one.port, requests, seconds=_CALM, rate=0.1 * capacity)
        warn(calm)
        watch = Memory(one)
        watch.start()
        found = load.run(one.port, requests, seconds=asked.seconds, rate=2 * capacity, connections=256)
        after = load.run(one.port, requests, seconds=8, rate=0.1 * capacity)
        watch.ended.set()
        calmer = load.run(one.port, requests, seconds=_CALM, rate=0.1 * capacity)
        unloaded = float(np.percentile(np.concatenate([calm.latency, calmer.latency]), 99))
        print(f"  it bears {capacity:,.0f} a second; at a tenth p50 {calm.percentile(50) * 1e3:.2f} ms, p99 "
              f"{calm.percentile(99) * 1e3:.2f} before and {calmer.percentile(99) * 1e3:.2f} after: "
              f"{unloaded * 1e3:.2f}", flush=True)  # fmt: skip
        accepted = found.percentile(99)
        line = f"  {2 * capacity:,.0f} a second for {asked.seconds:.0f} s: {found.statuses}, answered"
        line += f" {found.rate():,.0f} a second, p50 {found.percentile(50) * 1e3:.2f} ms, p99 {accepted * 1e3:.2f} ms"
        print(f"{line}, {found.connections} connections", flush=True)
        warn(found)
        only = set(found.statuses) <= {200, 429, 503} and not found.unasked
        said = f"{found.statuses}, {found.unasked} without Retry-After"
        verdict("only 200, 429 and 503 with Retry-After", said, only)
        ratio = accepted / unloaded
        verdict("p99 of what was accepted <= 2 x unloaded", f"{ratio:.2f} x", ratio <= 2)
        well = recovery(after, unloaded)
        verdict("well again in < 5 s", f"{well:.1f} s", well < 5)
        tail = [size for moment, size in watch.seen if moment > min(10, asked.seconds / 4)]
        grown = statistics.median(tail[-6:]) - statistics.median(tail[:6])
        said = f"{grown:+.1f} MB from {tail[0]:.0f} MB"
        verdict("memory flat (< 5 % after the first 10 s)", said, grown < 0.05 * tail[0])


def recovery(after: load.Load, unloaded: float) -> float:
    """Seconds until half a second passes in which all is answered, none slower than twice the unloaded p99."""
    slow_ones = (after.status != 200) | (after.latency > 2 * unloaded)
    last = after.planned.max() if len(after.planned) else 0.0
    for start in np.arange(0, max(0.5, last), 0.5):
        inside = (after.planned >= start) & (after.planned < start + 0.5)
        if inside.any() and slow_ones[inside].mean() <= 0.01:
            return float(start)
    return float("inf")


# ---------------------------------------------------------------- hostile
def hostile(model: Path, folder: Path, asked: argparse.Namespace) -> None:
    good = digits(1)[0]
    path = "/v1/models/digits/predict"
    with serving(model, folder, asked.serve) as one:
        wanted = raw.ask(one.port, "POST", path, good, PNG).json()["predictions"]
        before = one.memory(), one.descriptors()
        healthy = load.start(one.port, asking(one.port, [good]), seconds=30, rate=50, connections=2)
        held: list[Any] = []
        statuses: dict[int, int] = {}
        faults: list[str] = []
        changed, longest = 0, 0.0
        for at, upload in enumerate(uploads.malformed(asked.uploads, seed=8)):
            if at % 400 == 0:  # the service lets go of slow ones after a while, so they come again
                slow.close(held)
                held = slow.clients(one.port, path, 500)
            began = time.perf_counter()
            target = path + (f"?{upload.query}" if upload.query else "")
            try:
                reply = raw.ask_patiently(one.port, target, upload.body, upload.headers)
            except (OSError, AssertionError) as error:
                faults.append(f"{at} {upload.kind}: {error!r}")
                continue
            longest = max(longest, time.perf_counter() - began)
            statuses[reply.status] = statuses.get(reply.status, 0) + 1
            faults += [f"{at} {upload.kind}: {fault}" for fault in contract.faults(reply)]
            if at % 20 == 0:
                again = raw.ask_patiently(one.port, path, good, PNG)
                changed += again.json().get("predictions") != wanted
                slow.drip(held)
        found = healthy.wait()
        slow.close(held)
        print(f"  answers {dict(sorted(statuses.items()))}, the slowest after {longest:.2f} s; healthy client "
              f"{found.statuses}", flush=True)  # fmt: skip
        warn(found)
        bad = sum(count for status, count in statuses.items() if status >= 500)
        said = f"{bad} of 5xx, {len(faults)} faults {faults[:3]}"
        verdict(
            f"{asked.uploads:,} malformed uploads: no fault of the server's", said, not bad and not faults
        )
        verdict(
            "a good request in between answers the same",
            f"{changed} of {-(-asked.uploads // 20)} changed",
            not changed,
        )
        worst = found.percentile(99)
        verdict("healthy client among 500 slow ones, p99 < 1 s", f"{worst * 1e3:.1f} ms, {found.statuses}",
                worst < 1 and set(found.statuses) == {200})  # fmt: skip
        held = slow.clients(one.port, path, 500)
        time.sleep(_PATIENCE)
        left = one.descriptors() - before[1]
        verdict(
            "slow clients are let go of", f"{left} of 500 connections left after {_PATIENCE} s", left <= 5
        )
        slow.close(held)
        time.sleep(1)
        print(f"  memory {before[0]:.0f} -> {one.memory():.0f} MB, descriptors {before[1]} -> {one.descriptors()}, "
              f"temporary files {one.temporary_files()}", flush=True)  # fmt: skip


# ---------------------------------------------------------------- cold, warm
def cold(model: Path, folder: Path, asked: argparse.Namespace) -> None:
    body, seconds = digits(1)[0], []
    for at in range(asked.rounds + 1):
        place = folder / f"cold-{at}"
        began = time.perf_counter()
        one = service.start([f"digits={model}"], *asked.serve, folder=place, ready=False)
        try:
            while True:
                try:
                    if raw.ask(one.port, "POST", "/v1/models/digits/predict", body, PNG).status == 200:
                        break
                except OSError:
                    pass
                time.sleep(0.005)
            if at:  # the first one filled the disk's cache
                seconds.append(time.perf_counter() - began)
        finally:
            one.end()
    verdict("start to first answer <= 4 s", told("cold start", seconds, "s"), statistics.median(seconds) <= 4)


def warm(model: Path, folder: Path, asked: argparse.Namespace) -> None:
    import vistazo
    from vistazo.pictures import decoding

    path = folder / "one.png"
    path.write_bytes(digits(1)[0])
    opened: Any = vistazo.load(model)
    height, width, channels = opened.size
    pixels = decoding.decode(path.read_bytes(), height=height, width=width, channels=channels)[None].copy()
    list(opened.predict([path]))
    ratios = []
    for _ in range(max(5, asked.rounds)):
        whole = per_call(lambda: list(opened.predict([path])), seconds=0.5)
        network = per_call(lambda: opened.probabilities(pixels), seconds=0.5)
        decode = per_call(
            lambda: decoding.decode(path.read_bytes(), height=height, width=width, channels=channels),
            seconds=0.5,
        )
        print(
            f"  predict {whole * 1e6:.0f} us, network {network * 1e6:.0f}, decoding {decode * 1e6:.0f}",
            flush=True,
        )
        ratios.append(whole / (network + decode))
    reached = told("one picture", ratios, "x")
    verdict("one picture <= 1.5 x (network + decoding)", reached, statistics.median(ratios) <= 1.5)


# ---------------------------------------------------------------- an hour
def hour(model: Path, folder: Path, asked: argparse.Namespace) -> None:
    """Mixed load at about a third of what the service bears, with broken uploads and vanishing clients in it."""
    pictures, path = digits(), "/v1/models/digits/predict"
    with serving(model, folder, asked.serve) as one:
        requests = asking(one.port, pictures)
        capacity = load.run(one.port, requests, seconds=4, connections=CLIENTS).rate()
        for upload in uploads.malformed(120, seed=4):
            if len(upload.body) < 4000 and len(upload.query) < 200:
                target = path + (f"?{upload.query}" if upload.query else "")
                requests.append(raw.request("POST", target, upload.body, upload.headers, port=one.port))
        running = load.start(one.port, requests, seconds=60 * asked.minutes, rate=capacity / 3)
        seen, end = [], time.perf_counter() + 60 * asked.minutes
        began = time.perf_counter()
        while time.perf_counter() < end:
            held = slow.clients(one.port, path, 20)
            time.sleep(4)
            slow.close(held)
            time.sleep(1)
            row = (time.perf_counter() - began, one.memory(), one.descriptors(), len(one.temporary_files()))
            seen.append(row)
            if len(seen) % 12 == 1:
                print(
                    f"  {row[0] / 60:5.1f} min: {row[1]:.1f} MB, {row[2]} descriptors, {row[3]} files",
                    flush=True,
                )
        found = running.wait()
        told_of = np.array(seen)[len(seen) // 5 :]  # the first fifth fills caches
        slope = [float(np.polyfit(told_of[:, 0] / 3600, told_of[:, at], 1)[0]) for at in (1, 2, 3)]
        size = float(np.median(told_of[:, 1]))
        print(f"  {len(found.status):,} requests, {found.statuses}, p99 {found.percentile(99) * 1e3:.1f} ms")
        warn(found)
        said = f"{slope[0]:+.2f} MB an hour of {size:.0f} MB"
        verdict("memory flat (slope < 2 % an hour)", said, slope[0] < 0.02 * size)
        verdict("descriptors flat", f"{slope[1]:+.2f} an hour", abs(slope[1]) < 5)
        verdict("no temporary file", f"{int(told_of[:, 3].max())} at most", told_of[:, 3].max() == 0)


def main() -> None:
    every = {"bound": bound, "twice": twice, "hostile": hostile, "cold": cold, "warm": warm, "hour": hour}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", default=["all"], help=f"{', '.join(every)} or all")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--uploads", type=int, default=2000)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--serve", type=shlex.split, default=[])
    asked = parser.parse_args()
    words = [one for word in asked.what for one in (list(every)[:-1] if word == "all" else [word])]
    for word in words:
        if word not in every:
            raise SystemExit(f"there is no '{word}'; there are {', '.join(every)} and all")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with tempfile.TemporaryDirectory(dir=os.environ.get("VISTAZO_SCRATCH")) as name:
        os.environ.setdefault("VISTAZO_CACHE", str(Path(name) / "cache"))
        model = asked.model or trained(Path(name))
        for word in words:
            print(f"{word}:", flush=True)
            every[word](model.resolve(), Path(name), asked)


if __name__ == "__main__":
    main()
