import subprocess
import sys

import pytest

from vistazo.config import build, options
from vistazo.engine.settings import TrainingConfig
from vistazo.errors import ConfigError
from vistazo.forecasting.config import ForecastingConfig
from vistazo.tables.config import TableConfig, names_in


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, []),
        ("", []),
        (" , ,", []),
        ("units", ["units"]),
        (" promo , holiday,unit price ", ["promo", "holiday", "unit price"]),
    ],
)
def test_names_are_parted_by_commas_and_trimmed(text, names):
    assert names_in(text) == names


def test_a_run_has_the_settings_of_training_and_of_tables_and_its_own():
    assert (
        TrainingConfig.model_fields.keys() | TableConfig.model_fields.keys()
        < ForecastingConfig.model_fields.keys()
    )


def test_every_option_has_an_english_and_a_spanish_name_and_they_are_all_different():
    flags = [flag for one in options(ForecastingConfig) for flag in one.flags]
    assert len(flags) == len(set(flags))
    own = (
        ForecastingConfig.model_fields.keys()
        - TrainingConfig.model_fields.keys()
        - TableConfig.model_fields.keys()
    )
    assert {one.name for one in options(ForecastingConfig) if len(one.flags) == 2} >= own - {"series"}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"window": 0}, "--window must be at least 1, not 0."),
        ({"window": 1001}, "--window must be at most 1000, not 1001."),
        ({"horizon": 0}, "--horizon must be at least 1, not 0."),
        ({"horizon": "x"}, "--horizon must be a whole number, not 'x'."),
        ({"test": -1}, "--test must be at least 0, not -1."),
        ({"origins": 0}, "--origins must be at least 1, not 0."),
        ({"origins": 21}, "--origins must be at most 20, not 21."),
        ({"missing": "ignore"}, "--missing must be one of 'zero', 'closed' or 'unknown', not 'ignore'."),
        ({"step": "year"}, "--step must be one of 'hour', 'day', 'week' or 'month', not 'year'."),
        ({"aggregate": "max"}, "--aggregate must be one of 'sum' or 'mean', not 'max'."),
        ({"windo": 7}, "Did you mean 'window'?"),
    ],
)
def test_a_setting_out_of_bounds_is_one_sentence(values, says):
    with pytest.raises(ConfigError) as told:
        build(ForecastingConfig, values)
    assert says in str(told.value)


def test_the_settings_need_no_torch():
    code = "import sys, vistazo.forecasting.config; print({'torch', 'numpy'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
