import math
import subprocess
import sys

import pytest

from vistazo.classification.config import ClassificationConfig
from vistazo.config import build, options
from vistazo.engine.settings import TrainingConfig
from vistazo.errors import ConfigError


def test_every_task_trains_with_these_settings():
    assert issubclass(ClassificationConfig, TrainingConfig)


def test_every_setting_has_a_spanish_name_and_one_line_of_help():
    for one in options(TrainingConfig):
        assert len(one.flags) == 2, one.name
        assert one.help
        assert "\n" not in one.help


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"epochs": 0}, "--epochs must be at least 1, not 0."),
        ({"batch": 1}, "--batch must be at least 2, not 1."),
        ({"rate": 0}, "--rate must be more than 0, not 0."),
        ({"rate": math.inf}, "--rate must be a number, not inf."),
        ({"clip": -1}, "--clip must be at least 0, not -1."),
        ({"accumulate": 0}, "--accumulate must be at least 1, not 0."),
        ({"patience": -1}, "--patience must be at least 0, not -1."),
        ({"seed": -1}, "--seed must be at least 0, not -1."),
        ({"threads": 0}, "--threads must be at least 1, not 0."),
        ({"checkpoint_seconds": -1}, "--checkpoint-seconds must be at least 0, not -1."),
        ({"device": "tpu"}, "--device must be one of 'auto', 'cpu', 'cuda' or 'mps', not 'tpu'."),
    ],
)
def test_a_setting_out_of_bounds_is_one_sentence(values, says):
    with pytest.raises(ConfigError, match=says.replace("(", r"\(")):
        build(TrainingConfig, values)


def test_how_often_a_checkpoint_is_written_makes_no_other_run():
    often, seldom = (build(TrainingConfig, {"checkpoint_seconds": one}) for one in (0, 60))
    assert often.identity() == seldom.identity()
    assert often.identity() != build(TrainingConfig, {"seed": 1}).identity()


def test_the_settings_need_no_torch():
    code = "import sys, vistazo.engine.settings; print({'torch', 'numpy'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
