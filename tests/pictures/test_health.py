"""A folder with one of everything that goes wrong: each is named, and nothing else is."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from vistazo.pictures import health, looking
from vistazo.pictures.health import KINDS, examine
from vistazo.pictures.index import Broken
from vistazo.pictures.sources import read_source


def found_in(source, *, foreign=()):
    found = read_source(source, classes_file=None)
    looks = looking.look(found.store, size=looking.sight(found.store), threads=2)
    return examine(found.index, looks, found.broken, foreign)


def named(findings, kind):
    return [one.path for one in findings if one.kind == kind]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory, photographs, encoded):
    """60 photographs in two classes, none of which has anything wrong."""
    root = tmp_path_factory.mktemp("healthy") / "photos"
    for at, pixels in enumerate(photographs(60)):
        folder = root / ("mar", "monte")[at % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{at:02}.jpg").write_bytes(encoded(pixels, quality=90))
    return root


@pytest.fixture
def source(healthy, tmp_path):
    return Path(shutil.copytree(healthy, tmp_path / "photos"))


def picture(source, at):
    return Image.open(source / ("mar", "monte")[at % 2] / f"{at:02}.jpg").convert("RGB")


def test_nothing_is_found_where_nothing_is_wrong(healthy):
    assert found_in(healthy) == []


# ---------------------------------------------------------------- single pictures
PLANTED = {
    "blank": lambda image: Image.new("RGB", image.size, (180, 40, 40)),
    "dark": lambda image: image.point(lambda value: value * 0.1),
    "over-exposed": lambda image: image.point(lambda value: 210 + value * 0.3),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(5)),
    "tiny": lambda image: image.resize((24, 18)),
    "odd-shape": lambda image: image.resize((400, 100)),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_an_odd_picture_is_named_and_no_other(source, photographs, kind):
    image = PLANTED[kind](Image.fromarray(photographs(1, seed=99)[0]))
    image.save(source / "mar" / "rara.png")
    findings = found_in(source)
    assert [(one.kind, one.path, one.suggestion) for one in findings] == [(kind, "mar/rara.png", "exclude")]
    assert findings[0].detail
    assert set(findings[0].to_json()) == {"kind", "path", "detail", "suggestion"}


def test_among_small_pictures_none_is_tiny_and_among_drawings_none_is_white(tmp_path, photographs):
    for at, pixels in enumerate(photographs(30, height=20, width=20)):
        folder = tmp_path / "ab"[at % 2]
        folder.mkdir(exist_ok=True)
        paper = np.full((20, 20, 3), 255, np.uint8)
        paper[6:14, 8:10] = pixels[6:14, 8:10] // 3
        paper[at % 12 + 2, 3:17] = 0
        Image.fromarray(paper).save(folder / f"{at}.png")
    assert {one.kind for one in found_in(tmp_path)} <= {"near-duplicate", "conflict"}


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("empty.jpg", b"", "empty"),
        ("page.jpg", b"<!doctype html><title>404</title>", "not-a-picture"),
        ("cut.png", b"\x89PNG\r\n\x1a\n\0\0\0", "broken"),
        ("zeros.jpg", bytes(5000), "broken"),
        ("document.png", b"%PDF-1.7 ...", "not-a-picture"),
    ],
)
def test_a_file_that_is_no_picture_is_told_by_what_it_is(source, name, data, kind):
    (source / "mar" / name).write_bytes(data)
    findings = found_in(source)
    assert [(one.kind, one.path) for one in findings] == [(kind, f"mar/{name}")]


def test_a_photograph_cut_short_is_broken(source):
    data = (source / "mar" / "00.jpg").read_bytes()
    (source / "mar" / "00.jpg").write_bytes(data[: len(data) // 8])
    assert [(one.kind, one.path) for one in found_in(source)] == [("broken", "mar/00.jpg")]


def test_foreign_files_and_what_never_became_a_row_are_findings_too(source):
    found = read_source(source, classes_file=None)
    looks = looking.look(found.store, size=(96, 128, 3), threads=1)
    findings = examine(found.index, looks, (Broken(-1, "x\\xff.jpg", "its name"),), ("mar/notes.txt",))
    assert [(one.kind, one.path, one.suggestion) for one in findings] == [
        ("broken", "x\\xff.jpg", "exclude"),
        ("not-a-picture", "mar/notes.txt", "keep"),
    ]


# ---------------------------------------------------------------- copies
def test_identical_and_near_copies_name_the_one_that_is_kept(source):
    shutil.copy(source / "mar" / "02.jpg", source / "mar" / "zz.jpg")
    picture(source, 4).save(source / "mar" / "otra.jpg", quality=50)
    image = picture(source, 5)
    image.resize((64, 48)).save(source / "monte" / "half.png")
    findings = found_in(source)
    told = {(one.kind, one.path): one.detail for one in findings}
    assert told == {
        ("duplicate", "mar/zz.jpg"): "the same as mar/02.jpg",
        ("near-duplicate", "mar/otra.jpg"): "a near copy of mar/04.jpg",
        ("near-duplicate", "monte/half.png"): "a near copy of monte/05.jpg",
    }
    assert all(one.beside >= 0 for one in findings)


def test_of_two_identical_ones_the_copy_is_the_one_that_is_named_like_one(source):
    shutil.copy(source / "mar" / "00.jpg", source / "mar" / "00 (copy).jpg")  # ' ' sorts before '.'
    assert [(one.path, one.detail) for one in found_in(source)] == [
        ("mar/00 (copy).jpg", "the same as mar/00.jpg")
    ]


def test_the_larger_of_two_copies_is_kept(source):
    picture(source, 4).resize((256, 192)).save(source / "mar" / "zz.png")
    assert named(found_in(source), "near-duplicate") == ["mar/04.jpg"]


def test_the_same_picture_under_two_classes_contradicts_itself(source):
    shutil.copy(source / "mar" / "02.jpg", source / "monte" / "02.jpg")
    findings = found_in(source)
    assert {(one.kind, one.path, one.suggestion) for one in findings} == {
        ("conflict", "mar/02.jpg", "exclude"),
        ("conflict", "monte/02.jpg", "exclude"),
    }
    assert findings[0].detail == "it is of class mar, and a copy of it, monte/02.jpg, of class monte"


def test_where_most_copies_agree_the_other_one_is_to_be_relabelled(source):
    shutil.copy(source / "mar" / "02.jpg", source / "monte" / "02.jpg")
    picture(source, 2).save(source / "mar" / "02b.jpg", quality=80)
    findings = found_in(source)
    assert {(one.kind, one.path, one.suggestion) for one in findings} == {
        ("conflict", "monte/02.jpg", "relabel:mar"),
        ("near-duplicate", "mar/02b.jpg", "exclude"),
    }


def test_copies_across_official_parts_leak_and_the_one_learnt_from_is_named(source, tmp_path):
    parts = tmp_path / "parts"
    for part in ("train", "test"):
        for name in ("mar", "monte"):
            (parts / part / name).mkdir(parents=True)
    for path in sorted(source.rglob("*.jpg")):
        part = "test" if int(path.stem) % 10 < 2 else "train"
        shutil.copy(path, parts / part / path.parent.name / path.name)
    shutil.copy(source / "mar" / "00.jpg", parts / "train" / "mar" / "same.jpg")
    picture(source, 11).save(parts / "train" / "monte" / "near.jpg", quality=60)
    findings = found_in(parts)
    assert {(one.kind, one.path): one.detail for one in findings} == {
        ("leak", "train/mar/same.jpg"): "an identical copy of it, test/mar/00.jpg, is in the test part",
        ("leak", "train/monte/near.jpg"): "a near copy of it, test/monte/11.jpg, is in the test part",
    }


def test_five_hundred_identical_pictures_are_told_once_each(source):
    data = (source / "mar" / "02.jpg").read_bytes()
    for at in range(500):
        (source / "mar" / f"c{at:03}.jpg").write_bytes(data)
    findings = found_in(source)
    assert len(named(findings, "duplicate")) == 500
    assert {one.detail for one in findings if one.kind != "imbalance"} == {"the same as mar/02.jpg"}


# ---------------------------------------------------------------- classes and the whole
def test_a_rare_class_is_told_with_the_counts(source):
    for path in list((source / "monte").iterdir())[5:]:
        path.unlink()
    findings = found_in(source)
    assert [(one.kind, one.path, one.detail) for one in findings] == [
        ("imbalance", "monte", "5 pictures; the most common class, mar, has 30")
    ]


def test_findings_come_in_the_order_of_their_kinds(source):
    Image.new("RGB", (90, 90), "red").save(source / "mar" / "aa.png")
    (source / "mar" / "ab.jpg").write_bytes(b"")
    shutil.copy(source / "mar" / "02.jpg", source / "mar" / "ac.jpg")
    kinds = [one.kind for one in found_in(source)]
    assert kinds == ["empty", "duplicate", "blank"] == sorted(kinds, key=list(KINDS).index)


@pytest.mark.parametrize("how", ["zip", "manifest"])
def test_archives_and_manifests_are_looked_at_alike(source, tmp_path, how):
    shutil.copy(source / "mar" / "02.jpg", source / "mar" / "zz.jpg")
    if how == "zip":
        place = tmp_path / "p.zip"
        with zipfile.ZipFile(place, "w") as archive:
            for path in sorted(source.rglob("*.jpg")):
                archive.write(path, path.relative_to(source).as_posix())
    else:
        place = source / "list.csv"
        lines = [
            f"{path.relative_to(source).as_posix()},{path.parent.name}" for path in source.rglob("*.jpg")
        ]
        place.write_text("path,label\n" + "\n".join(sorted(lines)), encoding="utf-8")
    assert [(one.kind, one.path) for one in found_in(place)] == [("duplicate", "mar/zz.jpg")]


def test_arrays_without_faults_have_no_findings(wardrobe):
    assert [one for one in found_in(wardrobe) if one.kind not in ("near-duplicate", "leak", "dark")] == []


def test_a_source_whose_every_picture_is_broken_is_told_too(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for at in range(3):
            (tmp_path / name / f"{at}.jpg").write_bytes(b"")
    assert [one.kind for one in found_in(tmp_path)] == ["empty"] * 6


def test_kinds_have_names_in_both_languages():
    assert [health.named(kind) for kind in KINDS] == list(KINDS.values())


# ---------------------------------------------------------------- one pass, bounded
def test_every_row_has_its_numbers_whatever_the_threads(healthy):
    found = read_source(healthy, classes_file=None)
    one, four = (looking.look(found.store, size=(96, 128, 3), threads=threads) for threads in (1, 4))
    for name in (
        "good",
        "hash",
        "height",
        "width",
        "small",
        "light",
        "low",
        "high",
        "spread",
        "burnt",
        "sharp",
    ):
        assert np.array_equal(getattr(one, name), getattr(four, name)), name
    assert (one.height == 96).all() and (one.width == 128).all() and one.good.all()


def test_more_than_fits_is_kept_in_a_file(healthy, monkeypatch):
    found = read_source(healthy, classes_file=None)
    whole = looking.look(found.store, size=(96, 128, 3), threads=1)
    monkeypatch.setattr(looking, "IN_MEMORY", 1000)
    mapped = looking.look(found.store, size=(96, 128, 3), threads=2)
    assert isinstance(mapped.small, np.memmap)
    assert np.array_equal(mapped.small, whole.small)


def test_pictures_are_looked_at_in_their_own_proportion_and_no_larger_than_needed(healthy, wardrobe):
    assert looking.sight(read_source(healthy, classes_file=None).store) == (96, 128, 3)
    assert looking.sight(read_source(wardrobe, classes_file=None).store) == (28, 28, 1)


def test_who_waits_for_many_pictures_is_told_how_far_it_is(wardrobe, monkeypatch):
    monkeypatch.setattr(looking, "TOLD", -1.0)
    store, said = read_source(wardrobe, classes_file=None).store, []
    looking.look(store, size=(28, 28, 1), threads=1, say=said.append)
    assert said[-1] == "looked at 400 of 400 pictures"
