import json

from vistazo.engine.history import curves, read, seconds, to_lines

EPOCHS = [
    {"epoch": 1, "train": {"loss": 0.1 + 0.2}, "validation": {"loss": 2.0, "accuracy": 0.25}},
    {"epoch": 2, "train": {"loss": 1e-17}},
    {"epoch": 3, "train": {"loss": 0.5}, "validation": {"loss": 1.0, "accuracy": None}},
]


def test_lines_are_json_objects_that_come_back_to_the_last_bit(tmp_path):
    (tmp_path / "history.jsonl").write_text(to_lines(EPOCHS))
    assert read(tmp_path / "history.jsonl") == EPOCHS
    assert [json.loads(line) for line in to_lines(EPOCHS).splitlines()] == EPOCHS


def test_equal_histories_are_equal_bytes_whatever_the_order_of_their_names():
    turned = [dict(reversed(epoch.items())) for epoch in EPOCHS]
    assert to_lines(turned) == to_lines(EPOCHS)


def test_a_line_cut_by_a_kill_is_left_out(tmp_path):
    (tmp_path / "history.jsonl").write_text(to_lines(EPOCHS)[:-9])
    assert read(tmp_path / "history.jsonl") == EPOCHS[:2]


def test_lines_that_are_no_epochs_are_left_out(tmp_path):
    (tmp_path / "history.jsonl").write_text('\n[1]\n3\n{"epoch": 1}\n{oops\n')
    assert read(tmp_path / "history.jsonl") == [{"epoch": 1}]


def test_no_file_and_no_text_are_no_epochs(tmp_path):
    assert read(tmp_path / "none.jsonl") == []
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    assert read(tmp_path / "bytes.jsonl") == []


def test_the_seconds_of_a_run_count_each_epoch_once_and_get_over_a_line_cut_by_a_kill(tmp_path):
    """Epoch 2 was done, lost with its checkpoint and done again; the kill cut what came after it."""
    lines = ['{"epoch": 1, "seconds": 2.0}', '{"epoch": 2, "seconds": 3.0}', '{"epoch": 3, "sec',
             '{"epoch": 2, "seconds": 2.5}', '{"epoch": 3, "seconds": 4.0}', "[1]", '{"epoch": 4}']  # fmt: skip
    (tmp_path / "times.jsonl").write_text("\n".join(lines) + "\n")
    assert seconds(tmp_path) == 9.0
    assert seconds(tmp_path / "nowhere") == 0.0


def test_curves_have_a_point_for_each_epoch_that_has_the_metric():
    assert curves(EPOCHS, "loss") == {
        "train": [(1.0, 0.1 + 0.2), (2.0, 1e-17), (3.0, 0.5)],
        "validation": [(1.0, 2.0), (3.0, 1.0)],
    }
    assert curves(EPOCHS, "accuracy") == {"validation": [(1.0, 0.25)]}
    assert curves([], "loss") == {}
