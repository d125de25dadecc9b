"""`vistazo explain` as people type it: of pictures and of rows, in both languages."""

import csv

import numpy as np
import pytest

import vistazo


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """(a table, a model that learnt it)."""
    folder = tmp_path_factory.mktemp("rows")
    random = np.random.default_rng(0)
    with (folder / "t.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["area", "age", "kind"])
        for at in range(90):
            writer.writerow([round(at % 3 + random.normal(0, 0.2), 3), at, "abc"[at % 3]])
    run = vistazo.train(folder / "t.csv", target="kind", task="tabular", out=folder / "run", quiet=True, epochs=2,
                        threads=1, hidden="8")  # fmt: skip
    return folder / "t.csv", run.run


def test_pictures_are_explained_into_a_folder_and_the_rest_is_named(verb, trained, wardrobe, in_tmp):
    said = verb(
        "explain", trained, wardrobe / "t10k-images-idx3-ubyte", "nothing.png", "--most=3", "--out=why"
    )
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0].startswith(f"{wardrobe}/t10k-images-idx3-ubyte#0\t") and lines[0].count("%") == 2
    assert lines[-2:] == [
        "Only the first 3 pictures were explained; --most takes more.",
        "to look at: why/explanation.html",
    ]
    assert len(list((in_tmp / "why").glob("*.png"))) == 3 and not list((in_tmp / "why").glob("*.npz"))
    said = verb("explain", trained, "nothing.png")
    assert said.err.strip() == "nothing.png: the file does not exist"
    assert said.out.splitlines() == ["not explained: 1"]
    assert not (in_tmp / "explanation" / "explanation.html").exists()


def test_programs_are_told_the_files(verb, trained, wardrobe, in_tmp):
    told = verb("explain", trained, wardrobe / "t10k-images-idx3-ubyte", "--most=2", "--raw", "--method=gradcam",
                "--layer=groups.0", "--class=3", "--json").json  # fmt: skip
    assert (told["task"], told["method"], told["layer"]) == ("classification", "gradcam", "groups.0")
    assert [one["shown"][0]["class"] for one in told["pictures"]] == ["3", "3"]
    for one in told["pictures"]:
        assert (in_tmp / one["overlay"]).read_bytes().startswith(b"\x89PNG")
        with np.load(one["arrays"]) as arrays:
            assert arrays["maps"].shape[1:] == (28, 28)


def test_the_spanish_words_do_the_same(verb, trained, wardrobe, in_tmp):
    folder = in_tmp / "7"
    folder.mkdir()
    from PIL import Image

    Image.fromarray(np.full((28, 28), 90, np.uint8)).save(folder / "a.png")
    words = ["--metodo=occlusion", "--clase=verdadera", "--parche=7", "--paso=7", "--matrices", "--maximo=1"]
    told = verb("explicar", trained, folder, *words, "--salida=aqui", "--json").json
    assert (told["patch"], told["stride"]) == (7, 7)
    assert told["pictures"][0]["shown"][0]["class"] == "7"
    assert (in_tmp / "aqui" / "0001-a.npz").exists()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--class=99"], 2, "The model does not know the class '99'."),
        (["--layer=nope"], 2, "The network has no layer 'nope' with a map. Its parts: whitening (26 x 26)"),
        (["--method=lime"], 2, "There is no method 'lime'. Known: gradcam, gradcam++, gradients, occlusion."),
        (["--row=3"], 2, "This model does not take --row; leave it out."),
        (
            ["--method=occlusion", "--patch=40"],
            2,
            "A patch of 40 pixels does not fit into pictures of 28 x 28",
        ),
        (["--most=0"], 2, ""),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(
    verb, trained, wardrobe, in_tmp, words, code, sentence
):
    said = verb("explain", trained, wardrobe / "t10k-images-idx3-ubyte", *words)
    assert said.code == code, said.err
    assert sentence in said.err
    assert not (in_tmp / "explanation").exists()


def test_a_row_of_a_table_is_explained_as_ever(verb, rows, trained):
    table, model = rows
    said = verb("explain", model, table, "--row=5")
    assert said.code == 0, said.err
    assert said.out.startswith("row 5: ") and "age = " in said.out
    assert verb("explain", model, table, "--json").json["row"] == 2  # the first below the headings
    said = verb("explain", model, table, "--layer=groups.0")
    assert (said.code, said.err.strip()) == (2, "This model does not take --layer; leave it out.")
    said = verb("explain", model, table, "--class=a")
    assert (said.code, said.err.strip()) == (2, "This model does not take --class; leave it out.")
    assert verb("explain", model, table, table).code == 2
    said = verb("explain", model)
    assert (said.code, "Name what is to be explained" in said.err) == (2, True)
