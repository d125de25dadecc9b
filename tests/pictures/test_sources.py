import gzip
import io
import os
import struct
import tarfile
import threading
import time
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vistazo.errors import SourceDamaged, SourceError, SourceMissing, TooFewExamples, UsageError
from vistazo.pictures.index import write_index
from vistazo.pictures.sources import iterate_files, read_source


def picture(
    seed: int = 0, *, size: tuple[int, int] = (12, 10), mode: str = "RGB", form: str = "PNG"
) -> bytes:
    """An encoded picture of noise; size is (width, height)."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(sink, form)
    return sink.getvalue()


def write(root: Path, *names: str) -> Path:
    """Write a different picture under each of the names."""
    for seed, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(seed, form="JPEG" if name.endswith("jpg") else "PNG"))
    return root


def read(source, classes_file=None):
    return read_source(source, classes_file=classes_file)


def table(source):
    """{where: (class, split)}"""
    index = source.index
    names = [*index.classes, None]
    return {where: (names[index.label[row]], str(index.split[row])) for row, where in enumerate(index.where)}


# ---------------------------------------------------------------- folders
def test_a_folder_for_each_class(tmp_path):
    source = read(
        write(tmp_path, "gato/1.png", "gato/b/c/2.jpg", "perro/1.PNG", "perro/.oculto.png", "gato/Thumbs.db")
    )
    assert table(source) == {
        "gato/1.png": ("gato", ""),
        "gato/b/c/2.jpg": ("gato", ""),
        "perro/1.PNG": ("perro", ""),
    }
    assert source.index.kind == "folder"
    assert source.index.source == str(tmp_path)
    assert source.notes == ()
    assert source.store.read(0) == (tmp_path / "gato/1.png").read_bytes()


@pytest.mark.parametrize(
    "parts",
    [("train", "val", "test"), ("Training", "valid", "Testing"), ("ENTRENAMIENTO", "Validación", "prueba")],
)
def test_folders_named_like_parts_are_parts(tmp_path, parts):
    source = read(write(tmp_path, *(f"{part}/{name}/1.png" for part in parts for name in "ab")))
    assert source.index.classes == ("a", "b")
    assert sorted(set(table(source).values())) == [
        (n, p) for n in "ab" for p in ("test", "train", "validation")
    ]


def test_a_class_may_be_called_train(tmp_path):
    assert read(write(tmp_path, "train/1.png", "bus/1.png")).index.classes == ("bus", "train")


def test_wrapping_folders_are_descended(tmp_path):
    source = read(
        write(tmp_path, "datos/v2/a/1.png", "datos/v2/b/1.png", "datos/__MACOSX/a/1.png", "léeme.txt")
    )
    assert source.index.classes == ("a", "b")
    assert source.index.where[0] == "datos/v2/a/1.png"
    assert source.notes == ("Files that are not pictures, not used: .txt (1).",)


def test_both_spellings_of_an_accent_are_one_class_and_numbers_sort_as_numbers(tmp_path):
    nfd = unicodedata.normalize("NFD", "año")
    source = read(write(tmp_path, "año/1 ñ.png", f"{nfd}/2.png", "10/1.png", "9/1.png"))
    assert source.index.classes == ("9", "10", "año")
    assert (source.index.label == 2).sum() == 2
    assert all(source.store.read(row) for row in range(4))


def test_links_in_a_circle_end(tmp_path):
    write(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a/again").symlink_to(tmp_path, target_is_directory=True)
    assert len(read(tmp_path).index) == 2


def test_a_name_that_is_no_text_is_listed(tmp_path):
    write(tmp_path, "a/1.png", "b/1.png")
    try:
        (tmp_path / os.fsdecode(b"a/\xff.png")).write_bytes(picture())
    except OSError:
        pytest.skip("this file system takes no such names")
    assert [(fault.where, fault.reason) for fault in read(tmp_path).broken] == [
        (r"a/\xff.png", "its name is not valid text; rename it")
    ]


def test_classes_that_only_the_test_part_has_are_left_out(tmp_path):
    source = read(write(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", "test/c/1.png"))
    assert source.index.classes == ("a", "b")
    assert table(source)["test/c/1.png"] == (None, "out")
    assert source.notes == ("Left out: 1 test pictures of classes without any training picture (c).",)


@pytest.mark.parametrize(
    ("names", "folders", "message"),
    [
        pytest.param([], [], r"has no pictures \(empty\)", id="empty"),
        pytest.param(
            ["a/x.heic", "b/y.txt"], [], r"has no pictures \(\.heic: 1, \.txt: 1\)", id="no pictures"
        ),
        pytest.param(["1.png", "2.png"], [], "has 2 pictures and no class folders", id="no classes"),
        pytest.param(
            ["a/1.png", "b/1.png"],
            ["vacía"],
            "The class folder 'vacía' in .* has no pictures",
            id="empty class",
        ),
    ],
)
def test_a_folder_that_cannot_be_learnt_from_says_why(tmp_path, names, folders, message):
    write(tmp_path, *names)
    for folder in folders:
        (tmp_path / folder).mkdir()
    with pytest.raises(TooFewExamples, match=message):
        read(tmp_path)


def test_what_is_missing_or_of_no_known_format_says_so(tmp_path):
    with pytest.raises(SourceMissing, match=r"There is nothing at .*nada"):
        read(tmp_path / "nada")
    (tmp_path / "a.docx").write_bytes(b"hello")
    with pytest.raises(SourceError, match=r"a\.docx is in no format that Vistazo reads\. Give a folder"):
        read(tmp_path / "a.docx")
    write(tmp_path, "a.png")
    with pytest.raises(SourceError, match=r"a\.png is one picture\. Give the folder"):
        read(tmp_path / "a.png")


# ---------------------------------------------------------------- archives
def zip_of(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def tar_of(path, members, mode):
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


MEMBERS = {f"raíz/{name}/{at}.png": picture(at) for name in "ab" for at in range(4)}
KINDS = [
    pytest.param("d.zip", zipfile.ZIP_STORED, id="zip stored"),
    pytest.param("d.zip", zipfile.ZIP_DEFLATED, id="zip deflated"),
    pytest.param("d.zip", zipfile.ZIP_BZIP2, id="zip bzip2"),
    pytest.param("d.tar", "w", id="tar"),
    pytest.param("d.tar.gz", "w:gz", id="tar.gz"),
    pytest.param("d.tar.xz", "w:xz", id="tar.xz"),
    pytest.param("d.tbz2", "w:bz2", id="tar.bz2"),
]


def archive_of(path, members, how):
    return zip_of(path, members, how) if isinstance(how, int) else tar_of(path, members, how)


@pytest.mark.parametrize(("name", "how"), KINDS)
def test_an_archive_is_read_in_place(tmp_path, name, how):
    path = archive_of(
        tmp_path / name, {**MEMBERS, "__MACOSX/raíz/a/._0.png": b"x", "raíz/.DS_Store": b"x"}, how
    )
    source = read(path)
    assert source.index.classes == ("a", "b")
    assert source.index.where == tuple(sorted(MEMBERS))
    assert [source.store.read(row) for row in range(8)] == [MEMBERS[where] for where in source.index.where]
    assert source.store.take(np.array([3, 5])).read(1) == MEMBERS[source.index.where[5]]
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(("name", "how"), KINDS[1:5])
def test_an_archive_is_read_by_several_threads(tmp_path, name, how):
    store = read(archive_of(tmp_path / name, MEMBERS, how)).store
    wrong = []

    def work():
        wrong.extend(
            row for _ in range(50) for row in range(8) if store.read(row) != MEMBERS[store.name(row)]
        )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("name", ["../../a.png", "/etc/a.png", r"a\..\..\b.png", "C:/a.png", "a/../../b.png"])
@pytest.mark.parametrize(("file", "how"), [KINDS[1], KINDS[3], KINDS[4]])
def test_an_archive_that_leads_outside_is_refused(tmp_path, name, file, how):
    path = archive_of(tmp_path / file, {**MEMBERS, name: b"x"}, how)
    with pytest.raises(SourceDamaged, match=r"leads outside it\. Nothing was read"):
        read(path)
    assert [type(content) for _, content in iterate_files([path])][-1] is str


def test_links_in_archives_are_refused(tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
        with tarfile.open(tmp_path / "l.tar", "w") as archive:
            info = tarfile.TarInfo("a/passwd.png")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        with pytest.raises(SourceDamaged, match=r"'a/passwd\.png' is a link"):
            read(tmp_path / "l.tar")
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as archive:
        link = zipfile.ZipInfo("a/passwd.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(SourceDamaged, match=r"'a/passwd\.png' is a link"):
        read(tmp_path / "l.zip")


def test_an_encrypted_zip_is_named(tmp_path):
    data = bytearray(zip_of(tmp_path / "e.zip", MEMBERS).read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    (tmp_path / "e.zip").write_bytes(data)
    with pytest.raises(SourceDamaged, match="encrypted; unpack it with its password first"):
        read(tmp_path / "e.zip")


@pytest.mark.parametrize(("name", "how"), [KINDS[1], KINDS[4], KINDS[5], KINDS[6]])
def test_bombs_end_in_a_named_error(tmp_path, name, how):
    path = archive_of(tmp_path / name, {"a/1.png": bytes(200 << 20)}, how)
    start = time.perf_counter()
    with pytest.raises(SourceDamaged, match="it unpacks to far more than its own size"):
        read(path)
    assert time.perf_counter() - start < 1


def test_a_member_that_lies_about_its_size_is_not_unpacked_whole(tmp_path):
    path = zip_of(tmp_path / "d.zip", {"a/1.png": bytes(50 << 20), "b/1.png": b"x"})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 1000)
    path.write_bytes(data)
    with pytest.raises(SourceDamaged, match="the archive is damaged here"):
        read(path).store.read(0)


@pytest.mark.parametrize(("name", "how"), KINDS)
def test_any_damaged_archive_is_read_or_named(tmp_path, name, how):
    good = archive_of(tmp_path / name, MEMBERS, how).read_bytes()
    rng = np.random.default_rng(0)
    reasons = []
    for at in range(80):
        data = bytearray(good[: rng.integers(1, len(good))] if at % 3 == 0 else good)
        for place in rng.integers(0, len(data), 5):
            data[place] = rng.integers(256)
        (tmp_path / name).write_bytes(data)
        try:
            store = read(tmp_path / name).store
        except SourceError as error:
            reasons.append(str(error))
            continue
        for row in range(len(store)):
            try:
                store.read(row)
            except SourceDamaged as error:
                reasons.append(str(error))
    assert all(reasons)


# ---------------------------------------------------------------- IDX and arrays
def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def idx_folder(root, parts=(("train", 6), ("t10k", 4)), size=(3, 2), form="{}-{}-idx{}-ubyte", pack=False):
    root.mkdir(exist_ok=True)
    for part, n in parts:
        pictures = np.arange(n * np.prod(size), dtype=np.uint8).reshape(n, *size)
        for what, array in (("images", pictures), ("labels", (np.arange(n) % 2).astype(np.uint8))):
            name = form.format(part, what, array.ndim)
            (root / (name + ".gz" * pack)).write_bytes(gzip.compress(idx(array)) if pack else idx(array))
    return root


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize(
    "form", ["{}-{}-idx{}-ubyte", "{}-{}.idx{}-ubyte", "emnist-digits-{}-{}-idx{}-ubyte"]
)
def test_idx_pairs_are_parts(tmp_path, form, pack):
    source = read(idx_folder(tmp_path / "m", form=form, pack=pack))
    assert source.index.classes == ("0", "1")
    assert source.index.kind == "idx"
    assert source.index.split.tolist() == ["train"] * 6 + ["test"] * 4
    assert source.index.where[7].endswith("-ubyte#1")
    assert source.store.read(7).tolist() == [[6, 7], [8, 9], [10, 11]]


def test_a_file_of_names_names_the_numbers(tmp_path):
    folder = idx_folder(tmp_path / "m")
    (tmp_path / "names.txt").write_text("zapato\ncamisón\n", encoding="cp1252")
    assert read(folder, tmp_path / "names.txt").index.classes == ("camisón", "zapato")
    assert table(read(folder, tmp_path / "names.txt"))["train-images-idx3-ubyte#0"] == ("zapato", "train")
    (tmp_path / "names.txt").write_text("zapato\n")
    with pytest.raises(UsageError, match="go from 0 to 1, and the file of class names has 1 lines"):
        read(folder, tmp_path / "names.txt")
    with pytest.raises(UsageError, match="names its classes itself"):
        read(write(tmp_path / "f", "a/1.png", "b/1.png"), tmp_path / "names.txt")


def test_idx_files_that_do_not_fit_are_named(tmp_path):
    folder = idx_folder(tmp_path / "m")
    pictures, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    good = pictures.read_bytes()
    for data, message in (
        (good[:-1], "51 bytes instead of 52"),
        (good[:9], "no IDX file of bytes"),
        (b"\0\0\x0d" + good[3:], "it starts with 00 00 0d 03"),
        (good[:4] + b"\xff" * 12, "instead of"),
        (idx(np.zeros((6, 5, 5), np.uint8)), r"are 5×5 and those of t10k-images-idx3-ubyte are 3×2"),
        (idx(np.zeros((6, 3, 2, 3), np.uint8)), r"are 3×2×3 and those of"),
        (idx(np.zeros((5, 3, 2), np.uint8)), "has 5 pictures and 6 labels"),
    ):
        pictures.write_bytes(data)
        with pytest.raises(SourceDamaged, match=message):
            read(folder)
    pictures.write_bytes(good)
    labels.unlink()
    with pytest.raises(SourceMissing, match="has train-images-idx3-ubyte and not its labels"):
        read(folder)


def test_a_damaged_gzip_is_named(tmp_path):
    folder = idx_folder(tmp_path / "m", pack=True)
    file = folder / "train-images-idx3-ubyte.gz"
    good = file.read_bytes()
    file.write_bytes(good[:-12])
    with pytest.raises(SourceDamaged, match=r"train-images-idx3-ubyte\.gz is damaged or cut short"):
        read(folder)
    header = b"\0\0\x08\x03" + struct.pack(">3I", 1 << 31, 28, 28)
    file.write_bytes(gzip.compress(header + bytes(100)))
    with pytest.raises(SourceDamaged, match="damaged or cut short"):
        read(folder)


def test_a_folder_of_npy_files_has_one_class_a_file(tmp_path):
    for name in ("gato", "pez"):
        np.save(tmp_path / f"{name}.npy", np.arange(32, dtype=np.uint8).reshape(2, 16))
    source = read(tmp_path)
    assert table(source) == {f"{name}.npy#{at}": (name, "") for name in ("gato", "pez") for at in (0, 1)}
    assert source.store.read(3).tolist() == np.arange(16, 32).reshape(4, 4).tolist()
    np.save(tmp_path / "pez.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(SourceDamaged, match=r"pez\.npy is damaged.*Python objects"):
        read(tmp_path)


def test_arrays_with_numbers_or_names(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), dtype=np.uint8)
    source = read(
        {"train": (pictures, ["b", "a", "b", "a"]), "test": (pictures / 255.0, np.array([["a"]] * 4))}
    )
    assert source.index.classes == ("a", "b")
    assert source.index.split.tolist() == ["train"] * 4 + ["test"] * 4
    np.testing.assert_array_equal(source.store.read(1), source.store.read(5))
    assert read((pictures[..., 0], [3, 11, 3, 11])).index.classes == ("3", "11")


@pytest.mark.parametrize(
    ("pictures", "labels", "message"),
    [
        (np.zeros((3, 4, 4)), [0, 1], "has 3 pictures and 2 labels"),
        (np.zeros((3, 5)), [0, 1, 2], r"has shape \(3, 5\)"),
        (np.full((2, 4, 4), 300), [0, 1], r"values from 300\.0 to 300\.0"),
        (np.full((2, 4, 4), np.nan), [0, 1], "values from nan"),
    ],
)
def test_arrays_that_are_no_pictures_are_named(pictures, labels, message):
    with pytest.raises(SourceDamaged, match=message):
        read((pictures, labels))


# ---------------------------------------------------------------- manifests
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_manifest_in_any_dialect(tmp_path, encoding, delimiter):
    write(tmp_path, "fotos/ñu 1.png", "fotos/2.png", "3.png", "fotos/4.png")
    rows = [
        "Ruta,Etiqueta,Parte,Grupo",
        "fotos/ñu 1.png,ñu,Entrenamiento,7",
        r"fotos\2.png,gato,prueba,10",
        "3.png,ñu,,",
    ]
    rows += ["fotos/4.png,gato,train,7", "falta.png,gato,,", "fotos/2.png,,,"]
    (tmp_path / "m.csv").write_text("\r\n".join(rows).replace(",", delimiter), encoding=encoding)
    source = read(tmp_path / "m.csv")
    assert table(source) == {
        "fotos/ñu 1.png": ("ñu", "train"),
        "fotos/2.png": ("gato", "test"),
        "3.png": ("ñu", ""),
        "fotos/4.png": ("gato", "train"),
    }
    assert source.index.group.tolist() == [0, 1, -1, 0]
    assert [(fault.where, fault.reason) for fault in source.broken] == [
        ("falta.png", "the file does not exist"),
        ("fotos/2.png", "it has no label"),
    ]
    assert source.store.read(2) == (tmp_path / "3.png").read_bytes()


def test_a_parquet_manifest_and_absolute_paths(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    write(tmp_path, "a/1.png", "b/1.png")
    columns = {"path": [str(tmp_path / "a/1.png"), str(tmp_path / "b/1.png")], "label": [1, 2]}
    (tmp_path / "m").mkdir()
    parquet.write_table(pa.table(columns), tmp_path / "m/m.parquet")
    assert read(tmp_path / "m/m.parquet").index.classes == ("1", "2")
    (tmp_path / "m/m.parquet").write_bytes(b"PAR1 and then nothing PAR1")
    with pytest.raises(SourceDamaged, match=r"m\.parquet is damaged or cut short"):
        read(tmp_path / "m/m.parquet")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", TooFewExamples, r"m\.csv is empty"),
        ("x,y\n1,2\n", SourceError, r"no column with paths of pictures that exist \(columns: x, y\)"),
        ("path,label\nno.png,a\n", SourceError, "no column with paths of pictures that exist"),
        ("path,name\na.png,a\n", SourceError, r"no column of labels \(columns: path, name\)"),
        (
            "path,labels\na.png,a|b\n",
            SourceError,
            "several labels to a picture, which this task does not support yet",
        ),
        (
            "path,label,split\na.png,a,fold1\n",
            SourceError,
            "names the parts fold1. Known: train, validation, test",
        ),
        ("path,label\na.png,\n", TooFewExamples, "no row with both a picture and a label"),
        ("path,label\n../m/a.png,a\n../b.png,a\n", SourceDamaged, r"'\.\./m/a\.png' leads out of"),
        ("path,label\na.png,a\nx/../../b.png,a\n", SourceDamaged, "leads out of"),
        ("path,label\na.png,a\n..\\b.png,a\n", SourceDamaged, "leads out of"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why(tmp_path, text, error, message):
    write(tmp_path, "m/a.png", "b.png")
    (tmp_path / "m/m.csv").write_text(text)
    with pytest.raises(error, match=message):
        read(tmp_path / "m/m.csv")


def test_a_column_of_paths_is_found_under_any_name(tmp_path):
    write(tmp_path, "a.png", "b.png")
    (tmp_path / "m.csv").write_text("id,foto,clase\n1,a.png,x\n2,b.png,y\n")
    assert read(tmp_path / "m.csv").index.where == ("a.png", "b.png")


# ---------------------------------------------------------------- the index of a run
@pytest.mark.parametrize("kind", ["folder", "archive", "idx"])
def test_the_index_of_a_run_is_a_source(tmp_path, kind):
    make = {
        "folder": lambda: write(tmp_path / "d", *MEMBERS),
        "archive": lambda: zip_of(tmp_path / "d.zip", MEMBERS),
        "idx": lambda: idx_folder(tmp_path / "d"),
    }
    first = read(make[kind]())
    split = np.where(np.arange(len(first.index)) < 2, "validation", first.index.split)
    index = first.index.replace(split=split, group=np.arange(len(split))).take(np.arange(len(split))[::-1])
    (tmp_path / "run").mkdir()
    write_index(index, tmp_path / "run/index.parquet")
    again = read(tmp_path / "run/index.parquet")
    assert again.index.where == index.where
    assert again.index.split.tolist() == index.split.tolist()
    assert again.index.group.tolist() == index.group.tolist()
    assert again.index.source == first.index.source
    np.testing.assert_array_equal(
        np.asarray(again.store.read(0)), np.asarray(first.store.read(len(split) - 1))
    )


def test_an_index_whose_pictures_are_gone_says_where_they_were(tmp_path):
    path = zip_of(tmp_path / "d.zip", MEMBERS)
    write_index(read(path).index, tmp_path / "index.parquet")
    path.unlink()
    with pytest.raises(SourceMissing, match=r"were in .*d\.zip, and nothing is there now"):
        read(tmp_path / "index.parquet")
    write_index(read((np.zeros((2, 4, 4)), [0, 1])).index, tmp_path / "index.parquet")
    with pytest.raises(SourceMissing, match="belongs to arrays in memory"):
        read(tmp_path / "index.parquet")


# ---------------------------------------------------------------- predict
def test_pictures_come_one_after_the_other_and_what_fails_gives_its_reason(tmp_path):
    write(tmp_path, "f/a/1.png", "f/2.png")
    zip_of(tmp_path / "z.zip", {"x/1.png": b"zip", "x/notes.txt": b""})
    tar_of(tmp_path / "t.tgz", {"1.png": b"tar"}, "w:gz")
    np.save(tmp_path / "n.npy", np.zeros((2, 25), np.uint8))
    (tmp_path / "raw").write_bytes(b"raw")
    given = [tmp_path / name for name in ("f", "z.zip", "t.tgz", "n.npy", "raw", "lost.png")]
    got = dict(iterate_files([*given, np.zeros((4, 5, 3)), np.zeros((2, 4, 5))]))
    shown = {name.removeprefix(f"{tmp_path}{os.sep}"): content for name, content in got.items()}
    assert list(shown) == [
        *("f/2.png", "f/a/1.png", "z.zip/x/1.png", "t.tgz/1.png", "n.npy#0", "n.npy#1", "raw", "lost.png"),
        *("array-6", "array-7#0", "array-7#1"),
    ]
    assert (shown["z.zip/x/1.png"], shown["t.tgz/1.png"], shown["raw"]) == (b"zip", b"tar", b"raw")
    assert shown["lost.png"] == "the file does not exist"
    assert shown["n.npy#0"].shape == (5, 5)
    assert shown["array-6"].shape == (4, 5, 3)


# ---------------------------------------------------------------- real data
def test_mnist_as_it_is_published(real):
    index = read(real("mnist")).index
    assert np.bincount(index.label[index.rows("train")]).tolist() == [
        *(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    ]
    assert len(index.rows("test")) == 10_000


def test_cifar_in_its_zip(real):
    source = read(real("cifar10-jpeg.zip"))
    assert len(source.index.classes) == 10
    assert len(source.index.rows("train")) == 50_000
    assert source.store.read(59_999)[:3] == b"\xff\xd8\xff"


def test_quick_draw_in_its_arrays(real):
    source = read(real("quickdraw"))
    assert source.index.classes == ("apple", "bicycle", "cat", "diamond", "eye", "fish")
    assert source.store.shape == (28, 28, 1)
    assert len(source.index) == 15_000
