"""Every error a user can meet, as one tree.

    VistazoError                  a mistake told in one sentence; the command line exits with 1
    ├── UsageError                a word of the call is wrong; exits with 2
    │   ├── UnknownName           no such model, recipe, task, ...
    │   └── ConfigError           a setting is unknown, out of bounds or of the wrong type
    │       └── ReadTwoWays       a table's cells have two meanings, and no setting says which
    ├── SourceError               the data cannot be used
    │   ├── SourceMissing         nothing is there
    │   ├── SourceDamaged         it is there and cannot be read
    │   ├── TooFewExamples        empty, one class, or a class too small to be split
    │   │   └── WithoutLabels     there are pictures, and nothing says what they show
    │   └── TooManyBroken         more than `max_broken` of the examples cannot be read
    ├── BundleError               a model file
    │   ├── BundleDamaged         cut or altered
    │   └── BundleTooNew          written by a newer Vistazo
    ├── RunError                  a run folder
    │   ├── RunBusy               another process is working in it
    │   └── RunDiffers            it belongs to another configuration or to other data
    ├── WeightsError              published weights are missing or altered
    ├── NotFiniteLoss             training met NaN or infinity
    ├── DiskError                 full, read-only or failing
    └── MissingExtra              an optional part is not installed
    Stopped                       a signal or the control file asked for it; resumable; exits with 3

Sentences say what is wrong, where, and how to mend it, in the user's language
(`vistazo.language.tr`). Whatever else escapes is our own fault and exits with 4.
"""

__all__ = [
    "BundleDamaged",
    "BundleError",
    "BundleTooNew",
    "ConfigError",
    "DiskError",
    "MissingExtra",
    "NotFiniteLoss",
    "ReadTwoWays",
    "RunBusy",
    "RunDiffers",
    "RunError",
    "SourceDamaged",
    "SourceError",
    "SourceMissing",
    "Stopped",
    "TooFewExamples",
    "TooManyBroken",
    "UnknownName",
    "UsageError",
    "VistazoError",
    "WeightsError",
    "WithoutLabels",
]


class VistazoError(Exception):
    """A user's mistake, told in one sentence."""

    exit_code = 1


class UsageError(VistazoError):
    """A word of the call is wrong."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that is not registered."""


class ConfigError(UsageError):
    """A setting is unknown, out of bounds or of the wrong type."""


class ReadTwoWays(ConfigError):
    """A table's cells have two meanings, and no setting says which.

    setting: the one that would. answering: the sentence for a model that answers, which no setting can be given.
    """

    def __init__(self, sentence: str, setting: str = "", answering: str = "") -> None:
        super().__init__(sentence)
        self.setting = setting
        self.answering = answering or sentence


class SourceError(VistazoError):
    """The data cannot be used."""


class SourceMissing(SourceError):
    """Nothing is at that path."""


class SourceDamaged(SourceError):
    """The source is there and cannot be read."""


class TooFewExamples(SourceError):
    """The source is empty, has one class, or a class too small to be split."""


class WithoutLabels(TooFewExamples):
    """There are pictures, and nothing says what they show. files: their paths, where a table names them."""

    def __init__(self, sentence: str, files: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.files = files


class TooManyBroken(SourceError):
    """More than `max_broken` of the examples cannot be read."""


class BundleError(VistazoError):
    """A model file cannot be used."""


class BundleDamaged(BundleError):
    """The model file was cut or altered."""


class BundleTooNew(BundleError):
    """The model file was written by a newer Vistazo."""


class RunError(VistazoError):
    """A run folder cannot be used."""


class RunBusy(RunError):
    """Another process is working in the run folder."""


class RunDiffers(RunError):
    """The run folder belongs to another configuration or to other data."""


class WeightsError(VistazoError):
    """The published weights of a pretrained network are missing or altered."""


class NotFiniteLoss(VistazoError):
    """Training met NaN or infinity; the last good checkpoint stays."""


class DiskError(VistazoError):
    """The disk is full, read-only or failing."""


class MissingExtra(VistazoError):
    """An optional part is not installed."""


class Stopped(VistazoError):
    """A signal or the control file asked the run to stop; it can be resumed."""

    exit_code = 3
