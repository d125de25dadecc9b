import csv
import io

import pyarrow.parquet as pq
import pytest

from vistazo.engine import answers
from vistazo.errors import DiskError, UsageError

COLUMNS = {"file": str, "class": str, "probability": float}
ANSWERS = [
    {"file": "año/niño.png", "class": "ñandú", "probability": 0.1 + 0.2, "top": [["ñandú", 0.3]]},
    {"file": "torn.jpg", "reason": "cut after 12 bytes"},
    {"file": 'a, "quoted"\nname.png', "class": "猫", "probability": 1.0},
]
ROWS = [
    {"file": "año/niño.png", "class": "ñandú", "probability": 0.1 + 0.2, "reason": None},
    {"file": "torn.jpg", "class": None, "probability": None, "reason": "cut after 12 bytes"},
    {"file": 'a, "quoted"\nname.png', "class": "猫", "probability": 1.0, "reason": None},
]


def read_back(path):
    if path.suffix.lower() == ".parquet":
        return pq.read_table(path).to_pylist()
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")  # the mark by which spreadsheets know UTF-8
    lines = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    rows = [{name: value or None for name, value in line.items()} for line in lines]
    return [{**row, "probability": row["probability"] and float(row["probability"])} for row in rows]


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "OUT.CSV", "Ünïcode.PARQUET"])
def test_answers_come_back_with_their_accents_and_with_what_could_not_be_read(tmp_path, name):
    told = answers.write(iter(ANSWERS), tmp_path / name, columns=COLUMNS, pictures={})
    assert read_back(tmp_path / name) == ROWS
    assert told == {"file": str(tmp_path / name), "count": 2, "unreadable": [ANSWERS[1]]}
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_no_answers_make_a_file_with_its_columns_and_no_rows(tmp_path, name):
    assert answers.write(iter([]), tmp_path / name, columns=COLUMNS, pictures={})["count"] == 0
    assert read_back(tmp_path / name) == []
    header = pq.read_schema(tmp_path / name).names if name.endswith("parquet") else None
    assert header in (None, [*COLUMNS, "reason"])


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_answers_are_written_as_they_come_and_never_all_held(tmp_path, monkeypatch, name):
    monkeypatch.setattr(answers, "AT_ONCE", 10)
    alive, most = set(), [0]

    class Answer(dict):
        def __init__(self, number):
            super().__init__(file=str(number), probability=float(number))
            alive.add(number)
            most[0] = max(most[0], len(alive))
            self.number = number

        def __del__(self):
            alive.discard(self.number)

    told = answers.write(
        (Answer(number) for number in range(500)), tmp_path / name, columns=COLUMNS, pictures={}
    )
    assert told["count"] == len(read_back(tmp_path / name)) == 500
    assert most[0] <= 25


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt(), OSError("unreadable")])
def test_where_the_stream_breaks_no_partial_file_is_left_and_the_old_one_stays(tmp_path, name, error):
    answers.write(iter(ANSWERS), tmp_path / name, columns=COLUMNS, pictures={})

    def breaking():
        yield from ANSWERS
        raise error

    with pytest.raises(DiskError if isinstance(error, OSError) else type(error)):
        answers.write(breaking(), tmp_path / name, columns=COLUMNS, pictures={})
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert read_back(tmp_path / name) == ROWS


def test_a_value_of_the_wrong_kind_leaves_nothing_behind(tmp_path):
    with pytest.raises(Exception, match=r"(?i)convert|double|float"):
        answers.write(
            iter([{"file": "a", "probability": "much"}]),
            tmp_path / "out.parquet",
            columns=COLUMNS,
            pictures={},
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.txt", "out", "out.csv.gz", "parquet"])
def test_another_kind_of_file_is_refused_before_any_answer_is_asked_for(tmp_path, name):
    def never():
        raise AssertionError("asked")
        yield

    with pytest.raises(UsageError, match=rf"must end in one of .csv, .parquet, not '{name}'") as refused:
        answers.write(never(), tmp_path / name, columns=COLUMNS, pictures={})
    assert refused.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_folder_that_is_not_there_is_a_disk_error_with_the_path(tmp_path, name):
    with pytest.raises(DiskError, match=rf"{name} could not be written"):
        answers.write(iter(ANSWERS), tmp_path / "none" / name, columns=COLUMNS, pictures={})
