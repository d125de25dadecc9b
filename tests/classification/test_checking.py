"""`vistazo check` of pictures, as people and programs meet it."""

import csv
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from vistazo import tasks
from vistazo.pictures.health import KINDS
from vistazo.tables.config import TableConfig


@pytest.fixture
def animals(folder_of_pictures, in_tmp):
    folder = folder_of_pictures(in_tmp / "animals", "cat", "ñu", each=5)
    shutil.copy(folder / "cat" / "a0x.png", folder / "cat" / "zz.png")
    Image.new("RGB", (20, 24), (9, 200, 9)).save(folder / "ñu" / "=green.png")
    (folder / "ñu" / "empty.jpg").write_bytes(b"")
    (folder / "ñu" / "notes.txt").write_text("x")
    (folder / "README.md").write_text("not among pictures")
    return folder


def review(path="out/review.csv"):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


# ---------------------------------------------------------------- told
def test_it_tells_the_classes_and_what_was_found_kind_by_kind(verb, animals):
    said = verb("check", "animals")
    assert said.code == 0
    assert said.out.splitlines() == [
        "pictures: 13, classes: 2",
        "Files that are not pictures, not used: .md (1), .txt (1).",
        "  cat: 6",
        "  ñu: 7",
        "empty files (empty): 1",
        "  ñu/empty.jpg: the file is empty",
        "not pictures (not-a-picture): 1",
        "  ñu/notes.txt: it is not named like a picture",
        "identical copies (duplicate): 1",
        "  cat/zz.png: the same as cat/a0x.png",
        "blank: 1",
        "  ñu/=green.png: it is of one colour throughout",
        "next:   vistazo check animals --out FOLDER (a page with pictures, and review.csv)",
        "next:   vistazo train animals",
    ]


def test_as_json_it_keeps_its_contract(verb, animals):
    told = verb("check", "animals", "--json").json
    assert {"findings", "counts", "source", "found"} <= set(told)
    assert told["counts"] == {"cat": 6, "ñu": 7}
    assert told["found"] == {"empty": 1, "not-a-picture": 1, "duplicate": 1, "blank": 1}
    for one in told["findings"]:
        assert list(one) == ["kind", "path", "detail", "suggestion"]
        assert one["kind"] in KINDS
    assert told["findings"][2] == {
        "kind": "duplicate", "path": "cat/zz.png", "detail": "the same as cat/a0x.png", "suggestion": "exclude",
    }  # fmt: skip


def test_many_findings_of_a_kind_are_counted_and_a_few_named(verb, animals):
    for at in range(9):
        (animals / "cat" / f"e{at}.jpg").write_bytes(b"")
    out = verb("check", "animals").out
    assert "empty files (empty): 10" in out
    assert "  ... and 7 more" in out


def test_strict_ends_with_1_where_anything_is_found_and_tells_the_same(
    verb, animals, folder_of_pictures, in_tmp
):
    plain, strict = verb("check", "animals"), verb("check", "animals", "--strict")
    assert (plain.code, strict.code) == (0, 1)
    assert plain.out == strict.out
    assert verb("check", "animals", "--strict", "--json").code == 1
    folder_of_pictures(in_tmp / "well", "a", "b", each=3)
    said = verb("revisar", "well", "--estricto")
    assert said.code == 0
    assert "Nothing was found that needs a look." in said.out
    assert verb("check", "well", "--strict", "--json").json["findings"] == []


def test_strict_judges_tables_too(verb, in_tmp):
    (in_tmp / "t.csv").write_text(
        "a,b\n" + "".join(f"{at},{at % 3}\n" for at in range(20)) + "x,1\n", encoding="utf-8"
    )
    assert verb("check", "t.csv").code == 0
    assert verb("check", "t.csv", "--strict").code == 1


# ---------------------------------------------------------------- written
def test_out_writes_a_page_and_the_review(verb, animals):
    told = verb("check", "animals", "--out", "out", "--json").json
    assert told["files"] == {"page": str(Path("out/check.html")), "review": str(Path("out/review.csv"))}
    assert [(row["path"], row["finding"], row["suggestion"], row["action"]) for row in review()] == [
        ("ñu/empty.jpg", "empty", "exclude", "keep"),
        ("ñu/notes.txt", "not-a-picture", "keep", "keep"),
        ("cat/zz.png", "duplicate", "exclude", "keep"),
        ("ñu/=green.png", "blank", "exclude", "keep"),
    ]
    assert "Pictures of animals, checked" in Path("out/check.html").read_text(encoding="utf-8")
    said = verb("check", "animals", "--out", "out")
    assert "next:   vistazo train animals --corrections out/review.csv" in said.out
    assert sorted(path.name for path in Path("out").iterdir()) == ["check.html", "review.csv"]


def test_fix_chooses_by_kind_and_training_takes_it_from_there(verb, animals, tiny):
    said = verb("check", "animals", "--out", "out", "--fix", "duplicate, blank,empty")
    assert said.code == 0
    assert {row["finding"]: row["action"] for row in review()} == {
        "empty": "exclude", "not-a-picture": "keep", "duplicate": "exclude", "blank": "exclude",
    }  # fmt: skip
    said = verb("train", "animals", "--corrections", "out/review.csv", *tiny, "--epochs", "1", "--out", "r")
    assert said.code == 0, said.err
    assert "Corrections of review.csv: pictures left out: 3, of another class: 0." in said.err
    assert json.loads(Path("r/metrics.json").read_text(encoding="utf-8"))["broken"] == []


def test_a_review_with_choices_in_it_is_kept_when_another_is_written(verb, animals):
    verb("check", "animals", "--out", "out", "--fix", "blank")
    before = Path("out/review.csv").read_bytes()
    verb("check", "animals", "--out", "out")
    assert Path("out/review-1.csv").read_bytes() == before
    verb("check", "animals", "--out", "out")
    assert not Path("out/review-2.csv").exists(), "nothing was chosen in that one"


def test_the_page_and_the_picture_of_augmentations_can_be_asked_for_together(verb, animals):
    told = verb("check", "animals", "--augmented", "--out", "out", "--json").json
    assert told["augmented"]["file"] == str(Path("out/augmented.png"))
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "augmented.png",
        "check.html",
        "review.csv",
    ]


def test_a_zip_is_checked_as_it_is(verb, animals, in_tmp):
    with zipfile.ZipFile(in_tmp / "a.zip", "w") as archive:
        for path in animals.rglob("*.*"):
            archive.write(path, f"top/{path.relative_to(animals).as_posix()}")
    told = verb("check", "a.zip", "--json").json
    assert {one["kind"]: one["path"] for one in told["findings"]} == {
        "empty": "top/ñu/empty.jpg",
        "not-a-picture": "top/ñu/notes.txt",
        "duplicate": "top/cat/zz.png",
        "blank": "top/ñu/=green.png",
    }


def test_numbered_pictures_are_checked_and_corrected_by_their_numbers(verb, clothes, write_idx, in_tmp, tiny):
    pictures, labels = clothes[0][:60].copy(), clothes[1][:60].copy()
    pictures[7], labels[7] = pictures[3], labels[3]
    pictures[9] = 40
    write_idx(in_tmp / "clothes", "train", pictures, labels)
    names = [f"kind {at}" for at in range(10)]
    (in_tmp / "names.txt").write_text("\n".join(names), encoding="utf-8")
    words = ("check", "clothes", "--classes", "names.txt", "--out", "out")
    told = verb(*words, "--fix", "duplicate,blank", "--json").json
    assert sorted(told["counts"]) == names
    found = {one["kind"]: one["path"] for one in told["findings"]}
    assert found["duplicate"] == "train-images-idx3-ubyte#7" and found["blank"] == "train-images-idx3-ubyte#9"
    page = Path("out/check.html").read_text(encoding="utf-8")
    assert "move the file" not in page and "--move" not in page
    with open("out/review.csv", "a", encoding="utf-8") as file:
        file.write("train-images-idx3-ubyte#5,,,relabel:kind 2\n")
    train = ("train", "clothes", "--classes", "names.txt", "--corrections", "out/review.csv", *tiny)
    said = verb(*train, "--epochs", "1", "--out", "r")
    assert said.code == 0, said.err
    assert "Corrections of review.csv: pictures left out: 2, of another class: 1." in said.err


def test_a_manifest_is_checked_and_corrected_by_the_paths_it_names(verb, animals, in_tmp, tiny):
    lines = [
        f"animals/{path.relative_to(animals).as_posix()},{path.parent.name}"
        for path in animals.rglob("*.png")
    ]
    lines.append("animals/cat/nowhere.png,cat")
    (in_tmp / "list.csv").write_text("\n".join(["path,label", *sorted(lines)]) + "\n", encoding="utf-8")
    told = verb("check", "list.csv", "--out", "out", "--fix", "broken,duplicate,blank", "--json").json
    assert {one["kind"]: one["path"] for one in told["findings"]} == {
        "broken": "animals/cat/nowhere.png", "duplicate": "animals/cat/zz.png", "blank": "animals/ñu/=green.png",
    }  # fmt: skip
    said = verb("train", "list.csv", "--corrections", "out/review.csv", *tiny, "--epochs", "1", "--out", "r")
    assert said.code == 0, said.err
    assert "pictures left out: 3, of another class: 0." in said.err
    assert json.loads(Path("r/metrics.json").read_text(encoding="utf-8"))["broken"] == []


def test_a_task_of_tables_has_no_pictures_to_check(verb, animals):
    said = verb("check", "animals", "--task", "tabular")
    assert said.code == 2
    assert said.err == "--task tabular learns from tables, and animals has pictures; leave it out.\n"
    assert verb("check", "animals", "--task", "tabulr").code == 2


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        (["--fix", "blnk", "--out", "o"], "--fix: there is no kind 'blnk'. Did you mean 'blank'?", 2),
        (["--fix", "blank"], "--fix writes its choices into review.csv: say where, with --out FOLDER.", 2),
        (["--move", "a.csv", "--undo", "b"], "--move and --undo exclude one another: choose one.", 2),
        (["--move", "nowhere.csv"], "There is no file of corrections at nowhere.csv.", 1),
        (["--undo", "nowhere.jsonl"], "There is no log of moves at nowhere.jsonl.", 1),
        (["--out", "animals/README.md"], "animals/README.md could not be written", 1),
    ],
)
def test_what_cannot_be_is_one_sentence(verb, animals, words, says, code):
    said = verb("check", "animals", *words)
    assert said.err.startswith(says)
    assert (said.code, said.err.count("\n")) == (code, 1)


@pytest.mark.parametrize(
    "words", [["--fix", "blank"], ["--labels"], ["--move", "x.csv"], ["--undo", "x"], ["--out", "o"]]
)
def test_a_table_has_no_pictures_to_check(verb, in_tmp, words):
    (in_tmp / "t.csv").write_text("a,b\n1,2\n2,3\n", encoding="utf-8")
    said = verb("check", "t.csv", *words)
    assert (said.code, said.err) == (2, f"{words[0]} is for pictures, and t.csv is a table; leave it out.\n")


# ---------------------------------------------------------------- moved
def test_marked_files_are_moved_and_undone(verb, animals):
    before = {path: path.read_bytes() for path in animals.rglob("*") if path.is_file()}
    verb("check", "animals", "--out", "out")
    text = Path("out/review.csv").read_text(encoding="utf-8").replace("exclude,keep", "exclude,move")
    Path("out/review.csv").write_text(text, encoding="utf-8")
    told = verb("check", "animals", "--move", "out/review.csv", "--json").json
    assert told["moved"]["files"] == 3
    assert not (animals / "ñu" / "empty.jpg").exists()
    assert [one["kind"] for one in verb("check", "animals", "--json").json["findings"]] == ["not-a-picture"]
    assert (animals.parent / "animals-quarantine" / "1" / "ñu" / "=green.png").exists()
    said = verb("revisar", "animals", "--deshacer", told["moved"]["log"])
    assert said.code == 0 and "files brought back: 3" in said.out
    assert {path: path.read_bytes() for path in animals.rglob("*") if path.is_file()} == before


def test_a_review_without_moves_moves_nothing(verb, animals):
    verb("check", "animals", "--out", "out")
    said = verb("check", "animals", "--move", "out/review.csv")
    assert (said.code, "marks no file with the action move" in said.err) == (2, True)


def test_in_python_it_is_the_same(animals, in_tmp):
    told = tasks.check(animals, TableConfig(), out=in_tmp / "o", fix=["blank"])
    assert told["found"]["blank"] == 1
    assert [row["action"] for row in review(in_tmp / "o" / "review.csv")].count("exclude") == 1


def test_checking_imports_no_torch(animals):
    code = (
        "import sys; from vistazo.cli import main; main(['check', 'animals', '--out', 'o']); "
        "assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
