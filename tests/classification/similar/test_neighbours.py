"""The nearest vectors, exactly and by a graph."""

import numpy as np
import pytest

from vistazo.classification.similar import graph, neighbours
from vistazo.classification.similar.features import unit
from vistazo.classification.similar.index_file import PICTURES, Columns, VectorIndex
from vistazo.classification.similar.neighbours import NOWHERE, Block, at, exact, place


def drawn(count, seed=0, width=16):
    return unit(np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32))


def blocks(vectors, *sizes, dead=()):
    alive = np.ones(len(vectors), np.bool_)
    alive[list(dead)] = False
    edges = np.cumsum([0, *sizes])
    return [
        Block(number + 1, vectors[a:b], alive[a:b])
        for number, (a, b) in enumerate(zip(edges[:-1], edges[1:], strict=True))
    ]


@pytest.mark.parametrize("queries", [1, 7])
def test_the_nearest_are_those_that_sorting_all_cosines_finds(monkeypatch, queries):
    monkeypatch.setattr(neighbours, "_ROWS", 64)
    vectors, asked = drawn(300), drawn(queries, 1)
    found = exact(asked, blocks(vectors, 100, 200), 10)
    truth = np.argsort(-(asked @ vectors.T), axis=1, kind="stable")[:, :10]
    own = [
        [(row if number == 1 else row + 100) for number, row in map(at, line)]
        for line in found.place_QK.tolist()
    ]
    assert own == truth.tolist()
    np.testing.assert_allclose(
        found.cosine_QK, np.take_along_axis(asked @ vectors.T, truth, axis=1), atol=1e-6
    )


def test_scikit_learn_finds_the_same():
    sklearn = pytest.importorskip("sklearn.neighbors")
    vectors, asked = drawn(200), drawn(5, 1)
    distance, rows = sklearn.NearestNeighbors(n_neighbors=4, metric="cosine").fit(vectors).kneighbors(asked)
    found = exact(asked, blocks(vectors, 200), 4)
    assert [[at(one)[1] for one in line] for line in found.place_QK.tolist()] == rows.tolist()
    np.testing.assert_allclose(1 - found.cosine_QK, distance, atol=1e-6)


def test_rows_that_are_gone_are_never_found():
    vectors = drawn(20)
    found = exact(vectors[3:4], blocks(vectors, 12, 8, dead=[3, 15]), 20)
    assert sorted(found.place_QK[0].tolist())[:2] == [NOWHERE, NOWHERE]
    assert place(1, np.array([3]))[0] not in found.place_QK


def test_fewer_vectors_than_asked_for_leave_the_rest_nowhere():
    found = exact(drawn(1), blocks(drawn(2), 2), 4)
    assert (found.place_QK[0, 2:] == NOWHERE).all()
    assert np.isneginf(found.cosine_QK[0, 2:]).all()
    assert exact(drawn(0), blocks(drawn(2), 2), 4).place_QK.shape == (0, 4)


def test_of_equally_near_ones_the_first_is_told():
    twice = np.repeat(np.eye(16, dtype=np.float32)[:1], 5, axis=0)
    found = exact(twice[:1], blocks(twice, 3, 2), 3).place_QK[0].tolist()
    assert [at(one) for one in found] == [(1, 0), (1, 1), (1, 2)]


# ---------------------------------------------------------------- the graph
def filled(folder, count, monkeypatch):
    monkeypatch.setattr(graph, "EXACT", 500)
    monkeypatch.setattr(graph, "NEW", 300)
    index = VectorIndex.create(folder, fingerprint="f", model="m", width=16)
    add(index, count, 0)
    return index


def add(index, count, seed):
    names = [f"{seed}-{row}" for row in range(count)]
    told = Columns(names, [None] * count, np.array(["0" * 32] * count, "S32"), np.zeros(count, "S8"))
    index.add(PICTURES, "/s", drawn(count, seed), told)


def test_without_usearch_a_large_index_is_searched_exactly_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "usearch_is_there", lambda: False)
    index, said = filled(tmp_path, 1000, monkeypatch), []
    graph.extend(index, said.append)
    index.commit()
    assert "pip install 'vistazo[explain]'" in said[0]
    found, recall = graph.nearest(index, index.pieces, drawn(2, 5), 3)
    assert recall is None
    truth = exact(drawn(2, 5), neighbours.blocks_of(index, index.pieces), 3)
    np.testing.assert_array_equal(found.place_QK, truth.place_QK)


@pytest.mark.parametrize("harm", ["no usearch", "gone", "damaged"])
def test_an_index_whose_graph_cannot_be_read_is_searched_exactly(tmp_path, monkeypatch, harm):
    index = filled(tmp_path, 1000, monkeypatch)
    index.facts["graph"] = {"file": "graph-1.usearch", "pieces": [1], "reach": 64, "recall": 1.0}
    if harm == "no usearch":
        monkeypatch.setattr(graph, "usearch_is_there", lambda: False)
    else:
        pytest.importorskip("usearch")
    if harm == "damaged":
        (tmp_path / "graph-1.usearch").write_bytes(b"no graph at all" * 50)
    found, recall = graph.nearest(index, index.pieces, drawn(1), 3)
    assert recall is None
    truth = exact(drawn(1), neighbours.blocks_of(index, index.pieces), 3)
    np.testing.assert_array_equal(found.place_QK, truth.place_QK)
    if harm == "damaged":  # and the next large change makes it anew, with all pictures
        add(index, 400, 2)
        graph.extend(index, lambda line: None)
        index.commit()
        assert graph.nearest(index, index.pieces, drawn(1), 3)[1] is not None
        assert len(graph._opened(index)) == 1400


def test_the_graph_finds_nearly_all_grows_and_forgets(tmp_path, monkeypatch):
    pytest.importorskip("usearch")
    index = filled(tmp_path, 2000, monkeypatch)
    graph.extend(index, lambda line: None)
    index.commit()
    first = index.facts["graph"]
    assert first["recall"] >= 0.95 and first["pieces"] == [1]
    add(index, 100, 1)  # too few for the graph: searched exactly beside it
    graph.extend(index, lambda line: None)
    index.commit()
    index = VectorIndex.open(tmp_path)
    assert index.facts["graph"] == first
    own = index.values(index.pieces[1])[7:8]
    found, recall = graph.nearest(index, index.pieces, np.asarray(own), 5)
    assert recall == first["recall"] and at(int(found.place_QK[0, 0])) == (index.pieces[1].number, 7)
    add(index, 400, 2)
    graph.extend(index, lambda line: None)
    index.commit()
    assert index.facts["graph"]["pieces"] == [one.number for one in index.pieces] and len(index.pieces) == 3
    assert len(list(tmp_path.glob("graph-*"))) == 1
    tenth = np.asarray(index.values(index.pieces[0])[9:10])
    assert at(int(graph.nearest(index, index.pieces, tenth, 5)[0].place_QK[0, 0])) == (1, 9)
    index.remove(1, np.arange(2000)[np.arange(2000) % 10 != 1])  # nearly all
    index.commit()
    found, _ = graph.nearest(index, index.pieces, np.asarray(own), 5)
    assert (1, 9) not in [at(one) for one in found.place_QK[0].tolist()]
    assert (found.place_QK >= 0).all()
