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
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vistazo.errors import SourceError
from vistazo.language import speaking
from vistazo.pictures import sources
from vistazo.pictures.crops import cropped
from vistazo.pictures.decoding import UndecodablePicture, decode, load, survey
from vistazo.pictures.index import read_index

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of resources are POSIX's")

PICTURES = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF", "HEIF")
CONTAINERS = ("zip", "tar", "tar.gz", "idx", "idx.gz", "npy", "csv", "parquet", "index")
FORMATS = ("ndjson", "bin", "cifar", "encoded", "webdataset", "shards", "voc", "coco", "yolo")
SECONDS = 5  # a group
MEMORY = 6 << 30  # addresses, of which torch-free readers use 2 GB; what a lying header would reserve is more
GROWTH = 500 << 20


# ---------------------------------------------------------------- the inputs
def noise(seed: int, *, side: int = 40, form: str = "PNG") -> bytes:
    if form == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
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
def limit_resources(files: int = 64 << 20) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (files, files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read_group(group: str, root: Path, seed: int = 1) -> tuple[int, int, int]:
    """(inputs, those that were read, those that ended in a named error); any other error is raised."""
    inputs = read = refused = 0
    if group in PICTURES:
        for data in malformed(noise(seed, form=group), seed):
            inputs += 1
            try:
                decode(data, height=10, width=12, channels=3)
                read += 1
                assert whole(data), "pixels of a picture that is damaged"
            except UndecodablePicture as error:
                refused += bool(str(error))
                assert not whole(data), error
        return inputs, read, refused
    source, files = folder_of(root, group)
    for file in files:
        good = file.read_bytes()
        for data in malformed(good, seed):
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


def whole(data: bytes) -> bool:
    """Whether Pillow alone reads the picture to its end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data)) as image:
                image.load()
        except Exception:
            return False
        return True


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


def run_fuzz(root: Path, seeds: list[str]) -> None:
    limit_resources()
    inputs = 0
    for seed in map(int, seeds):
        for group in (*PICTURES, *CONTAINERS, *FORMATS):
            print(json.dumps({"began": [group, seed]}), flush=True)
            place = root / f"{group}-{seed}"
            place.mkdir()
            signal.alarm(4 * SECONDS)
            inputs += read_group(group, place, seed)[0]
            signal.alarm(0)
            shutil.rmtree(place)
    print(json.dumps({"inputs": inputs}), flush=True)


def peak() -> int:
    """The most memory so far. ru_maxrss begins with the parent's where Linux started this process by vfork."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) << 10
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


def run_bombs(root: Path, names: list[str]) -> None:
    limit_resources(files=300 << 20)
    decode(noise(0), height=8, width=8, channels=3)  # what is imported lazily is not the bomb's
    decode(noise(0, form="JPEG"), height=8, width=8, channels=3)
    import pyarrow.parquet  # noqa: F401

    for name in names:
        print(json.dumps({"began": name}), flush=True)
        before, start, reason = peak(), time.perf_counter(), ""
        signal.alarm(SECONDS)
        try:
            if (root / name).is_dir() or name.endswith((".zip", ".tar.gz", ".csv", ".parquet", ".json")):
                found = cropped(sources.read_source(root / name, classes_file=None))
                rows = np.arange(len(found.index))
                loaded = load(found.store, rows, height=8, width=8, channels=3, threads=1)
                reason = "; ".join(fault.reason for fault in (*found.broken, *loaded.broken))
            else:
                decode((root / name).read_bytes(), height=64, width=64, channels=3)
        except SourceError as error:
            reason = str(error)
        signal.alarm(0)
        seconds, grown = time.perf_counter() - start, peak() - before
        print(json.dumps({"name": name, "reason": reason, "seconds": seconds, "grown": grown}), flush=True)


def child(root: Path, what: str, names: tuple[str, ...]) -> list[dict]:
    """What the child printed, once it has ended as it should."""
    done = subprocess.run(
        [sys.executable, __file__, what, str(root), *names],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=280,
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


def mutants(root: Path) -> list[str]:
    """Write over 400 damaged pictures of every format into the class folders below `root`; their names."""
    names = []
    for form in PICTURES:
        for at, data in enumerate(malformed(noise(1, form=form), seed=3)):
            names.append(f"{'ab'[at % 2]}/{form}-{at:02d}.{'jpg' if form == 'JPEG' else form.lower()}")
            (root / names[-1]).write_bytes(data)
    return names


@pytest.mark.slow
def test_other_damage_every_time_is_read_or_named_too(tmp_path):
    first = int(time.time())
    lines = child(tmp_path, "fuzz", tuple(map(str, range(first, first + 8))))
    assert lines[-1]["inputs"] > 10_000


def damaged_folder(root: Path) -> tuple[set[str], set[str]]:
    """Add `mutants` to two class folders: (names of those that hold no picture, names of all others)."""
    names = mutants(root)
    assert len(names) >= 300
    every = {f"{path.parent.name}/{path.name}" for path in root.rglob("*.*")}
    bad = {name for name in names if not whole((root / name).read_bytes())}
    return bad, every - bad


def test_training_names_every_damaged_picture_and_learns_from_the_others(
    launch, folder_of_pictures, tiny, tmp_path
):
    bad, good = damaged_folder(root := folder_of_pictures(tmp_path / "d", "a", "b", each=40))
    process = launch(
        "train", root, *tiny, "--epochs=1", "--size=16", "--out=run", "--max-broken=0.9", "--quiet"
    )
    _, err = process.communicate(timeout=250)
    assert (process.returncode, err) == (0, b"")
    told = json.loads((tmp_path / "run/metrics.json").read_text())["broken"]
    assert {one["file"] for one in told} == bad
    assert len(told) == len(bad)
    assert all(one["reason"] for one in told)
    assert set(read_index(tmp_path / "run/index.parquet").where) == good
    page = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert all(name in page for name in bad)


def test_answering_names_every_damaged_picture_and_answers_for_the_others(
    launch, trained, folder_of_pictures, tmp_path
):
    bad, good = damaged_folder(root := folder_of_pictures(tmp_path / "d", "a", "b", each=4))
    process = launch("predict", trained, root, "--json")
    out, err = process.communicate(timeout=250)
    assert (process.returncode, err) == (0, b"")
    told = json.loads(out)
    assert {one["file"] for one in told["unreadable"]} == {str(root / name) for name in bad}
    assert {one["file"] for one in told["predictions"]} == {str(root / name) for name in good}


def png_bomb() -> bytes:
    """1.3 GB of text beside a picture of one pixel."""
    sink = io.BytesIO()
    info = PngInfo()
    info.add_text("a", "x" * (40 << 20), zip=True)
    Image.new("L", (1, 1)).save(sink, "PNG", pnginfo=info)
    data = sink.getvalue()
    at = data.index(b"zTXt") - 4
    length = int.from_bytes(data[at : at + 4], "big") + 12
    return data[:at] + data[at : at + length] * 32 + data[at + length :]


def packed_zeros(count: int) -> bytes:
    """So many zero bytes as gzip, made of equal members, which is quick to write."""
    return gzip.compress(bytes(16 << 20), 9) * (count // (16 << 20))


def zip_of(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def overlapping(path: Path) -> None:
    """A zip whose 60,000 members are all the same 16 MB of zeros: 960 GB. Source: Fifield, WOOT 2019."""
    zip_of(path, {"a/00000.png": bytes(16 << 20)})
    data = path.read_bytes()
    first = data.index(b"PK\x01\x02")
    entry = data[first : first + 46]
    count = 60_000
    entries = b"".join(entry + f"{'ab'[at % 2]}/{at:05d}.png".encode() for at in range(count))
    end = b"PK\x05\x06" + bytes(4) + count.to_bytes(2, "little") * 2
    end += len(entries).to_bytes(4, "little") + first.to_bytes(4, "little") + bytes(2)
    path.write_bytes(data[:first] + entries + end)


def write_bombs(root: Path) -> dict[str, str]:
    """Small files that ask for far more: {name: what the reason says}."""
    import pyarrow as pa
    from pyarrow import parquet

    Image.new("L", (9000, 9000)).save(root / "pixels.png", compress_level=1)
    Image.new("L", (9000, 9000)).save(root / "pixels.jpg")
    (root / "canvas.gif").write_bytes(
        noise(0, form="GIF")[:6] + b"\xff\xff\xff\xff" + noise(0, form="GIF")[10:]
    )
    (root / "text.png").write_bytes(png_bomb())
    said = dict.fromkeys(("pixels.png", "pixels.jpg"), "it has too many pixels (9000 × 9000)")
    said |= {"canvas.gif": "it has too many pixels", "text.png": "it is damaged or cut short"}

    zip_of(root / "ratio.zip", {f"{name}/1.png": bytes(50 << 20) for name in "ab"})
    overlapping(root / "overlapping.zip")
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a/1.png", noise(0))
    zip_of(root / "nested.zip", {f"{name}/{at}.zip": inner.getvalue() for name in "ab" for at in range(9)})
    (root / "zeros.tar.gz").write_bytes(packed_zeros(4 << 30))
    head = tarfile.TarInfo("a/1.png")
    head.size = 240 << 20
    (root / "large.tar.gz").write_bytes(gzip.compress(head.tobuf()) + packed_zeros(240 << 20))
    said |= dict.fromkeys(
        ("ratio.zip", "overlapping.zip", "large.tar.gz"), "it unpacks to far more than its own"
    )
    said |= {"nested.zip": "has no pictures (.zip: 18)", "zeros.tar.gz": "it is no archive"}

    for name, pack in (("idx", bytes), ("idxgz", gzip.compress)):
        (root / name).mkdir()
        ending = ".gz" if name == "idxgz" else ""
        size = b"".join(n.to_bytes(4, "big") for n in (60_000, 60_000, 60_000))
        (root / name / f"train-images-idx3-ubyte{ending}").write_bytes(
            pack(b"\0\0\x08\x03" + size + bytes(99))
        )
        (root / name / f"train-labels-idx1-ubyte{ending}").write_bytes(pack(b"\0\0\x08\x01" + size[:4]))
    (root / "idxgz/train-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(b"\0\0\x08\x03" + size) + packed_zeros(4 << 30)
    )
    (root / "npy").mkdir()
    for name in "ab":
        with open(root / f"npy/{name}.npy", "wb") as file:
            shape = {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**4, 10**4)}
            np.lib.format.write_array_header_1_0(file, shape)
    said |= {
        "idx": "bytes instead of",
        "idxgz": "far more than its own size",
        "npy": "is damaged or cut short",
    }

    entities = "".join(f'<!ENTITY e{at} "{f"&e{at - 1};" * 10 if at else "lol" * 10}">' for at in range(12))
    xml = f"<!DOCTYPE a [{entities}]><annotation><object><name>&e11;</name></object></annotation>"
    deep = "<annotation>" + "<object>" * 800_000
    coco = '{"images": [{"id": 1, "file_name": "a.png", "x": ' + "[" * 4_000_000
    for name, file, text in (
        ("entities", "Annotations/1.xml", xml),
        ("deep", "Annotations/1.xml", deep),
        ("coco", "annotations/instances_train.json", coco),
        ("yaml", "data.yaml", "names: [" + "[" * 1_000_000),
        ("yolo", "labels/1.txt", "0 " + "9" * 7_000_000 + " .5 .5 .5\n"),
    ):
        (root / name / file).parent.mkdir(parents=True)
        (root / name / file).write_text(text)
        (root / name / "images").mkdir()
        (root / name / "images/1.png").write_bytes(noise(1))
        if name == "yaml":
            (root / name / "labels").mkdir()
            (root / name / "labels/1.txt").write_text("0 .5 .5 .2 .2\n")
    said |= {"entities": "a document type or entities", "deep": "it is no Pascal VOC annotation"}
    said |= {"coco": "it is nested too deeply", "yaml": "is not understood", "yolo": "a line that is no box"}

    (root / "a.png").write_bytes(noise(1))
    (root / "wide.csv").write_text("path,label" + "," * 400_000 + "\n" + "a.png,x\n" * 400_000)
    for name, cell in (("rows.parquet", "a.png"), ("cells.parquet", "a" * 1_000_000)):
        count = 300_000_000 // len(cell) if name == "rows.parquet" else 10_000
        codes = pa.array(np.zeros(count, np.int8))
        column = pa.DictionaryArray.from_arrays(codes, [cell])
        parquet.write_table(pa.table({"path": column, "label": column}), root / name, compression="zstd")
    said |= {
        "wide.csv": "400002 columns and most of its 400000 rows have far fewer",
        "rows.parquet": "far more than its own size",
        "cells.parquet": "far more than its own size",
    }
    return said


def test_bombs_end_in_a_named_error_soon_and_in_little_memory(tmp_path):
    said = write_bombs(tmp_path)
    told = {line["name"]: line for line in child(tmp_path, "bombs", tuple(said)) if "name" in line}
    reasons = {name: told[name]["reason"] for name in said}
    assert {name: reason for name, reason in reasons.items() if said[name] not in reason or not reason} == {}
    assert {name: one["seconds"] for name, one in told.items() if one["seconds"] >= 1} == {}
    assert (
        sum(one["grown"] for one in told.values()) < GROWTH
    )  # of the most so far, hence all of them together


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
        {"groups": run_groups, "bombs": run_bombs, "fuzz": run_fuzz}[what](Path(where), chosen)
