"""Whatever bytes are given, the readers end in a decode or in a named error, soon and in little memory.

Everything is read in a child process, so that a crash, a hang or a flood of memory is a failed test. This file is
its script too.
"""

import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vistazo.errors import SourceError
from vistazo.language import speaking
from vistazo.pictures import sources
from vistazo.pictures.crops import cropped
from vistazo.pictures.decoding import UndecodablePicture, decode, load, survey

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of resources are POSIX's")

PICTURES = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
CONTAINERS = ("zip", "tar", "tar.gz", "idx", "idx.gz", "npy", "csv", "parquet", "index")
FORMATS = ("ndjson", "bin", "cifar", "encoded", "webdataset", "shards", "voc", "coco", "yolo")
SECONDS = 5  # a group
MEMORY = 6 << 30  # addresses, of which torch-free readers use 2 GB; what a lying header would reserve is more
GROWTH = 500 << 20


# ---------------------------------------------------------------- the inputs
def noise(seed: int, *, side: int = 40, form: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, form)
    return sink.getvalue()


def malformed(good: bytes, seed: int) -> Iterator[bytes]:
    """Empty, cut, with flipped bits (in its first 300 bytes, and anywhere), random, and half random."""
    rng = np.random.default_rng(seed)
    yield from (b"", good[:1], good + good, good[len(good) // 2 :])
    yield from (good[:at] for at in (4, 8, 16, 30, *rng.integers(1, len(good), 10).tolist(), len(good) - 1))
    for reach in (300, len(good)):
        for _ in range(15):
            data = np.frombuffer(good, np.uint8).copy()
            places = rng.integers(0, min(reach, len(data)), rng.integers(1, 9))
            data[places] ^= (1 << rng.integers(0, 8, len(places))).astype(np.uint8)
            yield data.tobytes()
    for size in (1, 100, 5000):
        yield rng.bytes(size)
        yield good[:40] + rng.bytes(size)


def folder_of(root: Path, container: str) -> tuple[Path, list[Path]]:
    """A good source of that kind, and its files that are to be damaged."""
    members = {f"{name}/{at}.png": noise(at) for name in "ab" for at in range(3)}
    if container == "zip":
        with zipfile.ZipFile(root / "d.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            for name, data in members.items():
                packed.writestr(name, data)
        return root / "d.zip", [root / "d.zip"]
    if container.startswith("tar"):
        path = root / f"d.{container}"
        with tarfile.open(path, "w:gz" if container == "tar.gz" else "w") as archive:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return path, [path]
    if container.startswith("idx"):
        pack: Callable[[bytes], bytes] = gzip.compress if container == "idx.gz" else bytes
        ending = ".gz" if container == "idx.gz" else ""
        pictures = root / f"train-images-idx3-ubyte{ending}"
        labels = root / f"train-labels-idx1-ubyte{ending}"
        size = b"".join(n.to_bytes(4, "big") for n in (20, 6, 5))
        pictures.write_bytes(pack(b"\0\0\x08\x03" + size + bytes(range(200)) * 3))
        labels.write_bytes(pack(b"\0\0\x08\x01" + size[:4] + bytes(range(2)) * 10))
        return root, [pictures, labels]
    if container in FORMATS:
        return folder_of_format(root, container)
    if container == "npy":
        for name in "ab":
            np.save(root / f"{name}.npy", np.arange(500, dtype=np.uint8).reshape(20, 5, 5))
        return root, [root / "a.npy"]
    for name, data in members.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(data)
    path = root / ("m.csv" if container == "csv" else "m.parquet")
    if container == "csv":
        path.write_text("path,label\n" + "".join(f"{name},{name[0]}\n" for name in members))
    elif container == "parquet":
        import pyarrow as pa
        from pyarrow import parquet

        table = pa.table({"path": list(members), "label": [name[0] for name in members]})
        parquet.write_table(table, path)
    else:
        from vistazo.pictures.index import write_index

        write_index(sources.read_source(root, classes_file=None).index, path)
    return path, [path]


def folder_of_format(root: Path, form: str) -> tuple[Path, list[Path]]:
    """The same for formats that are recognised by what a source holds; those of boxes as they are packed in a zip."""
    if form in ("ndjson", "bin", "cifar"):
        path = root / {"ndjson": "cat.ndjson", "bin": "cat.bin", "cifar": "data_batch_1.bin"}[form]
        line = b'{"word":"cat","countrycode":"ES","drawing":[[[0,5,99],[3,4,255]],[[7],[8]]]}\n'
        record = bytes(8) + b"ES\1" + bytes(4) + b"\2\0" + b"\3\0" + b"\0\5\x63\3\4\xff" + b"\1\0\7\x08"
        path.write_bytes({"ndjson": line * 6, "bin": record * 6, "cifar": (b"\3" + bytes(3072)) * 6}[form])
        return (path if form == "ndjson" else root), [path]
    if form == "encoded":
        import pyarrow as pa
        from pyarrow import parquet

        images = [{"bytes": noise(at), "path": f"{at}.png"} for at in range(6)]
        parquet.write_table(
            pa.table({"image": images, "label": list("ababab")}), root / "t.parquet", row_group_size=2
        )
        return root, [root / "t.parquet"]
    if form in ("webdataset", "shards"):
        with tarfile.open(root / "d.tar", "w") as archive:
            for at in range(6):
                for name, data in ((f"{at}.png", noise(at)), (f"{at}.cls", b"ab"[at % 2 :][:1])):
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
        return (root if form == "shards" else root / "d.tar"), [root / "d.tar"]
    texts = {
        "voc": {
            f"annotations/{at}.xml": "<annotation><object><name>a</name><bndbox><xmin>1</xmin><ymin>2</ymin>"
            "<xmax>30</xmax><ymax>20</ymax></bndbox></object></annotation>"
            for at in range(6)
        },
        "coco": {
            "annotations/instances_train.json": json.dumps(
                {
                    "images": [{"id": at, "file_name": f"{at}.png"} for at in range(6)],
                    "annotations": [
                        {"image_id": at, "category_id": 1, "bbox": [1, 2, 9, 9]} for at in range(6)
                    ],
                    "categories": [{"id": 1, "name": "a"}],
                }
            )
        },
        "yolo": {f"labels/{at}.txt": "0 .5 .5 .2 .2\n" for at in range(6)} | {"data.yaml": "names: [a]"},
    }[form]
    with zipfile.ZipFile(root / "d.zip", "w") as packed:
        for name, text in texts.items():
            packed.writestr(name, text)
        for at in range(6):
            packed.writestr(f"images/{at}.png", noise(at))
    return root / "d.zip", [root / "d.zip"]


# ---------------------------------------------------------------- the child
def limit_resources() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read_group(group: str, root: Path) -> tuple[int, int, int]:
    """(inputs, those that were read, those that ended in a named error); any other error is raised."""
    inputs = read = refused = 0
    if group in PICTURES:
        for data in malformed(noise(1, form=group), seed=1):
            inputs += 1
            try:
                decode(data, height=10, width=12, channels=3)
                read += 1
            except UndecodablePicture as error:
                refused += bool(str(error))
        return inputs, read, refused
    source, files = folder_of(root, group)
    for file in files:
        good = file.read_bytes()
        for data in malformed(good, seed=2):
            inputs += 1
            file.write_bytes(data)
            assert "" not in [c for _, c in sources.iterate_files([source, file]) if isinstance(c, str)]
            try:
                found = cropped(sources.read_source(source, classes_file=None))
                rows = np.arange(len(found.index))
                loaded = load(found.store, rows, height=8, width=8, channels=3, threads=1)
                survey(found.store, rows, most=3, seed=0)
                assert all(fault.reason for fault in (*found.broken, *loaded.broken))
                read += 1
            except SourceError as error:
                refused += bool(str(error))
        file.write_bytes(good)
    return inputs, read, refused


def run_groups(root: Path, groups: list[str]) -> None:
    limit_resources()
    for group in groups:
        print(json.dumps({"began": group}), flush=True)
        place = root / group
        place.mkdir()
        signal.alarm(SECONDS)  # whose default is to end the process, inside C code too
        inputs, read, refused = read_group(group, place)
        signal.alarm(0)
        print(json.dumps({"group": group, "inputs": inputs, "read": read, "refused": refused}), flush=True)


def peak() -> int:
    """The most memory so far. ru_maxrss begins with the parent's where Linux started this process by vfork."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) << 10
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


def run_bombs(root: Path, names: list[str]) -> None:
    decode(noise(0), height=8, width=8, channels=3)  # what is imported lazily is not the bomb's
    decode(noise(0, form="JPEG"), height=8, width=8, channels=3)
    for name in names:
        before, start, reason = peak(), time.perf_counter(), ""
        try:
            if name.endswith(".zip"):
                sources.read_source(root / name, classes_file=None)
            else:
                decode((root / name).read_bytes(), height=64, width=64, channels=3)
        except SourceError as error:
            reason = str(error)
        seconds, grown = time.perf_counter() - start, peak() - before
        print(json.dumps({"name": name, "reason": reason, "seconds": seconds, "grown": grown}), flush=True)


def child(root: Path, what: str, names: tuple[str, ...]) -> list[dict]:
    """What the child printed, once it has ended as it should."""
    done = subprocess.run(
        [sys.executable, __file__, what, str(root), *names],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (
        f"ended with {done.returncode} after {done.stdout[-300:]}\n{done.stderr[-3000:]}"
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


# ---------------------------------------------------------------- the tests
@pytest.mark.parametrize("groups", [PICTURES, CONTAINERS, FORMATS], ids=["pictures", "containers", "formats"])
def test_malformed_bytes_are_read_or_named_and_never_crash_or_hang(tmp_path, groups):
    told = {line["group"]: line for line in child(tmp_path, "groups", groups) if "group" in line}
    assert tuple(told) == groups
    assert all(
        line["refused"] > 5 and line["read"] + line["refused"] == line["inputs"] for line in told.values()
    )


def test_bombs_end_in_a_named_error_soon_and_in_little_memory(tmp_path):
    Image.new("L", (9000, 9000)).save(tmp_path / "bomb.png", compress_level=1)
    Image.new("L", (9000, 9000)).save(tmp_path / "bomb.jpg")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in "ab":
            with archive.open(f"{name}/1.png", "w") as member:
                for _ in range(50):
                    member.write(bytes(1 << 20))
    names = ("bomb.png", "bomb.jpg", "bomb.zip")
    told = {line["name"]: line for line in child(tmp_path, "bombs", names)}
    assert told["bomb.png"]["reason"] == told["bomb.jpg"]["reason"] == "it has too many pixels (9000 × 9000)"
    assert "it unpacks to far more than its own size" in told["bomb.zip"]["reason"]
    assert max(line["seconds"] for line in told.values()) < 1
    assert max(line["grown"] for line in told.values()) < GROWTH


@pytest.mark.skipif(shutil.which("mkfifo") is None, reason="no pipes here")
def test_a_pipe_is_named_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "f").mkdir()
    (tmp_path / "f/link.png").symlink_to(tmp_path / "pipe.png")
    with pytest.raises(SourceError, match="neither a folder nor an ordinary file"):
        sources.read_source(tmp_path / "pipe.png", classes_file=None)
    told = [content for _, content in sources.iterate_files([tmp_path / "pipe.png", tmp_path / "f"])]
    assert told == ["it is not an ordinary file"] * 2


if __name__ == "__main__":
    what, where, *chosen = sys.argv[1:]
    with speaking("en"):
        {"groups": run_groups, "bombs": run_bombs}[what](Path(where), chosen)
