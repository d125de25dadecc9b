"""Similar pictures and identity, from the verbs to the pages; the runs behind them are as small as can be."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vistazo
from vistazo.classification.similar import features, index_file, indexing, reading, searching
from vistazo.classification.similar.index_file import VectorIndex
from vistazo.errors import ConfigError, SourceError, UsageError


@pytest.fixture(scope="module")
def pictures(folder_of_pictures, tmp_path_factory):
    return folder_of_pictures(tmp_path_factory.mktemp("search") / "pictures", "rojo", "verde", "año", each=8)


@pytest.fixture(scope="module")
def model(trained):
    return vistazo.load(trained)


@pytest.fixture
def own(pictures, tmp_path):
    """A copy of the source that a test may change."""
    return Path(shutil.copytree(pictures, tmp_path / "own"))


@pytest.fixture
def place(tmp_path):
    return tmp_path / "index"


@pytest.fixture
def looked(monkeypatch):
    """How many pictures the network looked at, call by call."""
    counted = []
    real = features.look

    def look(model, pixels):
        counted.append(len(pixels))
        return real(model, pixels)

    monkeypatch.setattr(reading, "look", look)
    return counted


def found(told, at=0):
    return [Path(one["file"]).name for one in told["results"][at]["neighbours"]]


# ---------------------------------------------------------------- similar pictures
def test_the_nearest_are_those_with_the_largest_cosine(model, pictures, place):
    files = sorted(pictures.rglob("*.png"))
    vectors = features.unit(model.features(files))
    told = model.search(pictures, [files[3]], index=place, top=5, itself=True)
    order = np.argsort(-(vectors @ vectors[3]), kind="stable")[:5]
    neighbours = told["results"][0]["neighbours"]
    assert [one["file"] for one in neighbours] == [str(files[at]) for at in order]
    np.testing.assert_allclose(
        [one["distance"] for one in neighbours], 1 - (vectors @ vectors[3])[order], atol=2e-6
    )
    assert [one["label"] for one in neighbours] == [files[at].parent.name for at in order]
    assert told["recall"] is None


def test_a_picture_is_not_its_own_neighbour_unless_asked(model, own, place):
    file = own / "rojo" / "a0x.png"
    shutil.copy(file, own / "verde" / "copy.png")
    assert found(model.search(own, [file], index=place))[0] == "copy.png"  # another file is another picture
    assert "a0x.png" not in [
        Path(one["file"]).name
        for one in model.search(own, [file], index=place)["results"][0]["neighbours"]
        if Path(one["file"]).parent.name == "rojo"
    ]
    both = model.search(own, [file], index=place, itself=True)["results"][0]["neighbours"][:2]
    assert {Path(one["file"]).name for one in both} == {"a0x.png", "copy.png"}
    assert [one["distance"] for one in both] == [0, 0]


def test_a_second_search_computes_nothing_again(model, own, place, looked):
    file = own / "rojo" / "a0x.png"
    first = model.search(own, [file], index=place)
    assert first["changed"] == {"kept": 0, "added": 24, "removed": 0, "left_out": 0}
    before = {path.name: path.stat().st_mtime_ns for path in place.iterdir()}
    looked.clear()
    second = model.search(own, [file], index=place)
    assert looked == [1]  # the picture that is asked about
    assert second["changed"]["kept"] == 24 and second["results"] == first["results"]
    assert {path.name: path.stat().st_mtime_ns for path in place.iterdir()} == before


def test_touched_renamed_and_copied_files_are_known_by_their_content(model, own, place, looked):
    model.search(own, index=place)
    looked.clear()
    file = own / "rojo" / "a0x.png"
    file.write_bytes(file.read_bytes())  # another time of change
    (own / "rojo" / "a1x.png").rename(own / "verde" / "new.png")
    told = model.search(own, index=place)
    assert sum(looked) == 0
    assert told["pictures"] == 24 and told["changed"]["added"] == 2 and told["changed"]["removed"] == 2
    labels = {
        Path(one["file"]).name: one["label"]
        for one in model.search(own, [file], index=place, top=50)["results"][0]["neighbours"]
    }
    assert labels["new.png"] == "verde"


def test_new_changed_and_deleted_pictures_are_followed(model, own, place, looked):
    model.search(own, index=place)
    (own / "rojo" / "a0x.png").unlink()
    Image.fromarray(np.full((20, 24, 3), 77, np.uint8)).save(own / "rojo" / "a1x.png")
    Image.fromarray(np.full((20, 24, 3), 99, np.uint8)).save(own / "verde" / "more.png")
    looked.clear()
    told = model.search(own, [own / "rojo" / "a1x.png"], index=place, top=50)
    assert told["changed"] == {"kept": 22, "added": 2, "removed": 2, "left_out": 0}
    assert sum(looked) == 2 + 1
    assert told["pictures"] == 24 and "a0x.png" not in [
        Path(one["file"]).name
        for one in told["results"][0]["neighbours"]
        if Path(one["file"]).parent.name == "rojo"
    ]


def test_pictures_taken_out_stay_out_until_they_are_added_again(model, own, place):
    model.search(own, index=place)
    told = model.search(index=place, remove=["rojo/a0x.png", str(own / "verde" / "a1x.png")])
    assert told["pictures"] == 22 and told["changed"]["removed"] == 2
    told = model.search(own, index=place)
    assert told["pictures"] == 22 and told["changed"]["left_out"] == 2
    told = model.search(add=own, index=place)
    assert told["pictures"] == 24 and told["changed"]["added"] == 2


def test_removing_what_is_not_there_names_what_is_near_and_removes_nothing(model, own, place):
    model.search(own, index=place)
    with pytest.raises(UsageError, match=r"rojo/a0y\.png is not in the index.*Did you mean rojo/a0x\.png\?"):
        model.search(index=place, remove=["verde/a0x.png", "rojo/a0y.png"])
    assert model.search(own, index=place)["pictures"] == 24
    with pytest.raises(UsageError, match="There is no index in .* yet"):
        model.search(index=place / "other", remove=["a"])


def test_sources_are_added_beside_one_another_and_searched_alone_or_together(
    model, own, folder_of_pictures, tmp_path, place
):
    other = folder_of_pictures(tmp_path / "other", "azul", "negro", each=6)
    model.search(own, index=place)
    told = model.search(add=other, index=place)
    assert told["pictures"] == 36
    file = next(other.rglob("*.png"))
    alone = model.search(own, [file], index=place, top=50)["results"][0]["neighbours"]
    assert len(alone) == 24 and all(one["file"].startswith(str(own)) for one in alone)
    assert len(model.search(None, [file], index=place, top=50)["results"][0]["neighbours"]) == 35


def test_an_index_of_another_model_is_refused_with_the_reason(model, own, place):
    from dataclasses import replace

    model.search(own, index=place)
    other = replace(model, views=((0, 0, False),) * (len(model.views) + 1))
    for asked in (lambda: other.search(own, index=place), lambda: other.enrol("a", [own], index=place)):
        with pytest.raises(ConfigError, match=r"was made with another model \(.*run.*\).*--index"):
            asked()
    assert model.search(own, index=place)["changed"]["kept"] == 24


def test_what_is_no_picture_is_named(model, own, place, tmp_path):
    (own / "rojo" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    told = model.search(own, [own / "rojo" / "a0x.png", tmp_path / "none.png"], index=place)
    assert told["pictures"] == 24
    assert {Path(one["file"]).name for one in told["unreadable"]} == {"broken.png", "none.png"}
    with pytest.raises(SourceError, match="cannot be searched for"):
        model.search(own, [own / "rojo" / "broken.png"], index=place)
    with pytest.raises(UsageError, match="Name what to search for"):
        model.search(index=place)
    (tmp_path / "empty" / "a").mkdir(parents=True)
    with pytest.raises(SourceError):
        model.search(tmp_path / "empty", index=place)


def test_arrays_are_a_source_too(model, place):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
    source = (pixels, np.arange(12) % 2)
    told = model.search(source, pixels[:2], index=place, top=3)
    assert told["pictures"] == 12 and len(told["results"]) == 2
    assert all(one["distance"] > 0 for one in told["results"][0]["neighbours"])
    again = model.search(source, pixels[:2], index=place, top=3)
    assert again["changed"]["kept"] == 12 and again["results"] == told["results"]


def test_a_piece_is_written_now_and_then(model, own, place, monkeypatch):
    monkeypatch.setattr(indexing, "_PIECE", 5)
    monkeypatch.setattr(reading, "_BLOCK", 5 * 28 * 28)
    assert model.search(own, index=place)["pictures"] == 24
    assert len(VectorIndex.open(place).pieces) == 5


def test_what_a_killed_change_left_beside_its_successor_goes(model, own, place, monkeypatch):
    model.search(own, index=place)
    Image.fromarray(np.full((20, 24, 3), 77, np.uint8)).save(own / "rojo" / "a1x.png")
    with monkeypatch.context() as patch:  # dies between the new picture and taking out the old one
        patch.setattr(indexing, "_PIECE", 1)
        patch.setattr(indexing._Syncing, "_drop_the_rest", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            model.search(own, index=place)
    assert VectorIndex.open(place).count("pictures") == 25
    assert model.search(own, index=place)["pictures"] == 24


# ---------------------------------------------------------------- identity
def test_somebody_enrolled_is_known_and_a_stranger_is_not(model, pictures, place):
    for name in ("rojo", "año"):
        told = model.enrol(name, sorted((pictures / name).glob("*.png"))[:6], index=place)
    assert (told["names"], told["pictures"], told["added"]) == (2, 6, 6)
    asked = sorted((pictures / "rojo").glob("*.png"))[6:]
    told = model.identify(asked, false_accept="25%", index=place)
    assert told["threshold"]["by"] == "other-names" and told["threshold"]["rests_on"] == 12
    assert told["threshold"]["kept"] and told["threshold"]["rate"] == 0.25
    assert [one["nearest"][0][0] for one in told["identified"]] == ["rojo", "rojo"]
    strict = model.identify(asked, false_accept=0.001, index=place)
    assert not strict["threshold"]["kept"] and strict["threshold"]["least"] == pytest.approx(2 / 13)


def test_the_threshold_can_come_from_strangers(model, pictures, place, tmp_path):
    model.enrol("rojo", [pictures / "rojo"], index=place)
    model.enrol("verde", [pictures / "verde"], index=place)
    told = model.identify([pictures / "año"], strangers=pictures, false_accept="15 %", index=place)
    assert told["threshold"]["by"] == "strangers"
    assert told["threshold"]["rests_on"] == 8  # those of the source that nobody enrolled
    assert sum(one["name"] is not None for one in told["identified"]) == told["threshold"]["accepted"] <= 1


def test_one_name_alone_says_what_its_threshold_is(model, pictures, place):
    model.enrol("rojo", [pictures / "rojo" / "a0x.png"], index=place)
    assert model.identify([pictures / "rojo"], index=place)["threshold"]["by"] == "nothing"
    model.enrol("rojo", [pictures / "rojo"], index=place)
    told = model.identify([pictures / "rojo"], index=place)
    assert told["threshold"]["by"] == "own-pictures" and not told["threshold"]["kept"]
    assert all(one["name"] == "rojo" for one in told["identified"])


def test_enrolling_twice_adds_and_repeats_nothing(model, pictures, place):
    files = sorted((pictures / "rojo").glob("*.png"))
    model.enrol("Ana", files[:3], index=place)
    told = model.enrol(" Ana", files[:5], index=place)
    assert (told["added"], told["known"], told["pictures"], told["names"]) == (2, 3, 5, 1)
    with pytest.raises(ConfigError, match="is enrolled as Ana already"):
        model.enrol("Eva", files[4:6], index=place)


def test_who_is_forgotten_is_not_found_again_and_the_pictures_stay(model, pictures, place):
    model.search(pictures, index=place)
    model.enrol("Ana", [pictures / "rojo"], index=place)
    model.enrol("Eva", [pictures / "verde"], index=place)
    with pytest.raises(UsageError, match=r"Nobody is enrolled as Anna\. Did you mean Ana\?"):
        model.forget("Anna", index=place)
    assert model.forget("Ana", index=place) == {"index": str(place), "name": "Ana", "removed": 8, "names": 1}
    assert model.search(pictures, index=place)["pictures"] == 24
    told = model.identify([pictures / "rojo"], index=place)
    assert all(one["name"] in (None, "Eva") for one in told["identified"])


def test_enrolled_pictures_are_not_among_the_neighbours(model, pictures, place, tmp_path):
    file = tmp_path / "ana.png"
    Image.fromarray(np.full((20, 24, 3), 90, np.uint8)).save(file)
    model.search(pictures, index=place)
    model.enrol("Ana", [file], index=place)
    told = model.search(pictures, [file], index=place, itself=True)
    assert told["pictures"] == 24 and "ana.png" not in found(told)


@pytest.mark.parametrize("rate", ["0", "1", "100%", "many", -0.1])
def test_a_false_accept_rate_that_is_none_is_refused(model, pictures, place, rate):
    with pytest.raises(ConfigError, match="--false-accept is a share"):
        model.identify([pictures / "rojo"], false_accept=rate, index=place)


def test_nobody_enrolled_says_how_to_begin(model, pictures, place):
    with pytest.raises(UsageError, match="Nobody is enrolled in .* yet. Begin with"):
        model.identify([pictures / "rojo"], index=place)
    with pytest.raises(UsageError, match="Nobody is enrolled as Ana"):
        model.forget("Ana", index=place)
    with pytest.raises(SourceError, match="None of the pictures of Ana can be read"):
        model.enrol("Ana", [pictures / "none.png"], index=place)
    with pytest.raises(UsageError, match="Name the pictures of Ana"):
        model.enrol("Ana", [], index=place)


def test_a_wrong_name_of_a_file_is_told_before_anything_is_looked_at(model, pictures, place, looked):
    with pytest.raises(SourceError, match=r"none\.png cannot be searched for \(the file does not exist\)"):
        model.search(pictures, [pictures / "none.png"], index=place)
    model.enrol("Ana", [pictures / "rojo"], index=place)
    looked.clear()
    with pytest.raises(SourceError, match=r"none\.png cannot be identified \(the file does not exist\)"):
        model.identify([pictures / "none.png"], strangers=pictures, index=place)
    assert not looked


def test_forgetting_makes_no_folder(model, place):
    with pytest.raises(UsageError, match="Nobody is enrolled as Ana"):
        model.forget("Ana", index=place)
    assert not place.exists()


def test_a_picture_is_itself_however_its_path_is_written(model, own, place, monkeypatch):
    (own.parent / "beside").mkdir()
    monkeypatch.chdir(own.parent / "beside")
    told = model.search(own, ["../own/rojo/a0x.png"], index=place, top=50)
    assert len(found(told)) == 23
    assert model.search(index=place, remove=["../own/rojo/a0x.png"])["pictures"] == 23


def test_a_change_by_another_process_during_a_search_is_no_damage(model, own, place, monkeypatch):
    model.search(own, index=place)
    file, real, done = own / "rojo" / "a0x.png", searching.graph.nearest, []

    def then(index, pieces, queries, count):
        if not done:
            done.append(1)
            other = VectorIndex.open(place)
            (piece,) = other.pieces
            values, told = np.array(other.values(piece)), other.columns(piece)
            other.remove(piece.number, np.arange(piece.rows))
            other.add(piece.group, piece.source, values, told)
            other.commit()
        return real(index, pieces, queries, count)

    monkeypatch.setattr(searching.graph, "nearest", then)
    assert len(model.search(None, [file], index=place, top=50)["results"][0]["neighbours"]) == 23
    assert done


def test_small_pieces_become_one_only_after_a_change_is_whole(
    model, own, folder_of_pictures, place, monkeypatch
):
    monkeypatch.setattr(index_file, "MANY", 3)
    model.search(own, index=place)
    (own / "rojo" / "a0x.png").replace(own / "rojo" / "b.png")
    model.search(own, index=place)
    monkeypatch.setattr(indexing, "_PIECE", 4)
    monkeypatch.setattr(reading, "_BLOCK", 4 * int(np.prod(model.size)))
    folder_of_pictures(own, "azul", "negro", each=6)
    (own / "verde" / "a1x.png").unlink()
    told = model.search(own, index=place)
    assert (told["pictures"], told["changed"]["added"], told["changed"]["removed"]) == (35, 12, 1)


# ---------------------------------------------------------------- the command line
def test_an_empty_name_is_not_enrolled(verb, trained, pictures, place):
    told = verb("search", trained, "--enrol", "", pictures / "rojo" / "a0x.png", "--index", place)
    assert told.code == 2 and "--enrol needs a name" in told.err
    assert not place.exists()


def test_search_from_the_command_line(verb, trained, pictures, place):
    file = pictures / "rojo" / "a0x.png"
    told = verb("search", trained, pictures, file, "--index", place, "--top", 3, "--out", "page", "--json")
    assert told.code == 0
    assert len(told.json["results"][0]["neighbours"]) == 3
    page = Path("page/search.html").read_text(encoding="utf-8")
    assert page.count("<img") == 4 and "<script" not in page and "año" in page + "año"
    told = verb("buscar", trained, file, "--indice", place, "--mejores", 2)
    assert told.code == 0
    assert re.search(r"\n  0\.\d{4}  ", told.out) and "24 pictures" in told.out
    assert verb("search", trained, "--add", pictures, "--index", place).code == 0
    told = verb("search", trained, "--remove", "rojo/a0x.png", "--index", place)
    assert "taken out 1" in told.out and "23 pictures" in told.out


def test_the_index_is_in_the_run_unless_named(verb, earlier_run, pictures):
    assert verb("search", earlier_run, pictures).code == 0
    assert (earlier_run / "search" / "index.json").exists()
    assert verb("evaluate", earlier_run, pictures).code != 4


@pytest.fixture
def earlier_run(trained, in_tmp):
    return Path(shutil.copytree(trained, in_tmp / "run"))


def test_identity_from_the_command_line(verb, trained, pictures, place):
    for name in ("rojo", "verde"):
        told = verb("search", trained, "--enrol", name, pictures / name, "--index", place)
        assert told.code == 0 and f"{name}: 8 new pictures" in told.out
    told = verb("search", trained, "--identify", pictures / "año" / "a0x.png", "--index", place)
    assert told.code == 0
    assert "too few for a false-accept rate of 1.00%" in told.out and "a0x.png: unknown" in told.out
    words = ("--identificar", pictures / "rojo", "--falsa-aceptacion", "30%", "--indice", place, "--json")
    told = verb("search", trained, *words)
    assert {one["name"] for one in told.json["identified"]} <= {"rojo", None, "verde"}
    assert verb("search", trained, "--forget", "rojo", "--index", place).code == 0
    told = verb("search", trained, "--enrol", "a", "--forget", "b", "--index", place)
    assert told.code == 2 and "Only one of" in told.err
    told = verb("search", trained, pictures, "--strangers", pictures, "--index", place)
    assert told.code == 2 and "belong to --identify" in told.err


def test_embed_from_the_command_line(verb, trained, pictures, monkeypatch):
    pytest.importorskip("sklearn")
    from pyarrow import parquet

    told = verb("embed", trained, pictures, "--out", "seen", "--json")
    assert told.code == 0
    table = parquet.read_table("seen/features.parquet")
    assert table.column_names == ["file", "label", "answer", "probability", "features"]
    model = vistazo.load(trained)
    names = table["file"].to_pylist()
    expected = model.features([pictures / name for name in names])
    np.testing.assert_array_equal(np.array(table["features"].to_pylist(), np.float32), expected)
    answers = list(model.predict([str(pictures / name) for name in names]))
    assert table["answer"].to_pylist() == [one["class"] for one in answers]
    np.testing.assert_allclose(
        table["probability"].to_pylist(), [one["probability"] for one in answers], atol=1e-6
    )
    assert set(told.json["files"]) == {"features", "pca", "tsne", "page"}
    assert told.json["classes"] == ["año", "rojo", "verde"] and len(told.json["pairs"]) == 3
    page = Path("seen/embeddings.html").read_text(encoding="utf-8")
    assert page.count('<u style="background-position') >= 48 and "<script" not in page and "año" in page
    # on a narrow screen figures are not broken, and in the dark no colour is that of the ground
    assert "overflow-wrap: normal" in page and "dark) { .c9 { --k: #d0d6dc } }" in page
    for name in ("map-pca.png", "map-tsne.png"):
        with Image.open(Path("seen") / name) as drawn:
            assert drawn.size == (1600, 1200)
    before = {path.name: path.read_bytes() for path in Path("seen").iterdir()}
    assert verb("incrustar", trained, pictures, "--salida", "seen").code == 0
    assert {path.name: path.read_bytes() for path in Path("seen").iterdir()} == before


def test_without_scikit_learn_the_t_sne_map_is_left_out_and_said(verb, trained, pictures, monkeypatch):
    from vistazo.classification.similar import maps

    monkeypatch.setattr(maps, "sklearn_is_there", lambda: False)
    told = verb("embed", trained, pictures, "--out", "seen")
    assert told.code == 0 and "pip install 'vistazo[explain]'" in told.out
    assert not Path("seen/map-tsne.png").exists() and Path("seen/map-pca.png").exists()


def test_names_that_a_page_could_stumble_on_are_escaped(model, folder_of_pictures, tmp_path, place):
    source = folder_of_pictures(tmp_path / "odd", "<b>&'\"", "ñandú", each=6)
    told = model.embed(source, out=tmp_path / "out")
    page = Path(told["files"]["page"]).read_text(encoding="utf-8")
    assert "<b>&'" not in page and "&lt;b&gt;&amp;" in page and "ñandú" in page


def test_an_empty_or_unreadable_source_has_no_map(model, tmp_path, own):
    (tmp_path / "empty" / "a").mkdir(parents=True)
    with pytest.raises(SourceError):
        model.embed(tmp_path / "empty", out=tmp_path / "out")
    for file in own.rglob("*.png"):
        file.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(SourceError, match="Fewer than two pictures"):
        model.embed(own, out=tmp_path / "out")
    assert list(tmp_path.glob("out/*")) == []


def test_the_pretrained_network_needs_no_training(verb, pictures, place):
    told = verb(
        "search", "efficientnet_lite0", pictures, pictures / "rojo" / "a0x.png", "--index", place, "--json"
    )
    assert told.code == 0
    neighbours = told.json["results"][0]["neighbours"]
    assert [one["label"] for one in neighbours[:5]] == ["rojo"] * 5
    told = json.loads(json.dumps(verb("embed", "efficientnet_lite0", pictures, "--json").json))
    assert told["width"] == 1280 and told["classes"] == ["año", "rojo", "verde"]
