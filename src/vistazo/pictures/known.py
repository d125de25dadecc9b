"""Data sets that tutorials use: where they are, what proves them, and under which licence they stand.

Every file has a checksum that somebody published: the SHA-256 in the tables of TensorFlow Datasets, the MD5 on the
sets' own pages or in torchvision. A set without one is not listed. `unpacked` is the SHA-256 of what is inside a .gz:
some copies were packed again, and hold the same pictures.
"""

import os
import re
from dataclasses import dataclass, field

from vistazo.errors import ConfigError
from vistazo.language import mark, tr
from vistazo.registry import Registry
from vistazo.remote.fetching import Wanted

__all__ = ["File", "Known", "known", "known_as"]

MIRROR = "VISTAZO_DATA_URL"  # environment: ask SET/FILE below this address, and nowhere else
_GOOGLE = "https://storage.googleapis.com"


@dataclass(frozen=True)
class File:
    """One published file. size: bytes, None where nobody published it. mirrors: addresses it is at, or folders of it.

    into: for an archive that is unpacked: the folder its class folders are put in ('' for the set's own);
    None keeps it as it is.
    """

    name: str
    size: int | None
    mirrors: tuple[str, ...]
    sha256: str = ""
    md5: str = ""
    unpacked: str = ""
    into: str | None = None

    def wanted(self, name_of_set: str) -> Wanted:
        """Where to fetch it. Raises ConfigError where the mirror in the environment is no web address."""
        base = os.environ.get(MIRROR)
        if base and not base.lower().startswith(("http://", "https://")):
            raise ConfigError(tr("{name} must begin with https:// or http://.", name=MIRROR))
        if base:
            urls: tuple[str, ...] = (f"{base.rstrip('/')}/{name_of_set}/{self.name}",)
        else:
            urls = tuple(one + self.name if one.endswith("/") else one for one in self.mirrors)
        return Wanted(urls, self.size, self.sha256, self.md5)


@dataclass(frozen=True)
class Known:
    """A set. what: its pictures in a line. train: what in its folder to train on. classes: names by language."""

    what: str
    licence: str
    page: str
    files: tuple[File, ...]
    train: str = ""
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes to fetch, as far as they are known."""
        return sum(one.size or 0 for one in self.files)


def known_as(name: str) -> str | None:
    """The set that a person means who types its name where a path belongs: 'CIFAR-10' is cifar10; None for others."""

    def plain(text: str) -> str:
        return re.sub(r"[-_ ]", "", text.casefold())

    return next((one for one in known if plain(one) == plain(name)), None)


# ---------------------------------------------------------------- the sets
known: Registry[Known] = Registry(mark("data set"))

_DIGITS = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz",
           "t10k-labels-idx1-ubyte.gz")  # fmt: skip


def _idx(mirrors: tuple[str, ...], *facts: tuple[int, str, str, str]) -> tuple[File, ...]:
    """The four files of an IDX set; facts: size, SHA-256, MD5 and the SHA-256 of what is inside."""
    return tuple(
        File(name, size, mirrors, sha256, md5, unpacked)
        for name, (size, sha256, md5, unpacked) in zip(_DIGITS, facts, strict=True)
    )


known.register("mnist")(
    Known(
        what=mark("handwritten digits: 60,000 to train on and 10,000 to test with, 28 x 28, grey"),
        licence=mark("none stated by its authors, LeCun, Cortes and Burges; often given as CC BY-SA 3.0"),
        page="http://yann.lecun.com/exdb/mnist/",
        files=_idx(
            ("https://ossci-datasets.s3.amazonaws.com/mnist/", f"{_GOOGLE}/cvdf-datasets/mnist/"),
            (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
             "f68b3c2dcbeaaa9fbdd348bbdeb94873", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
            (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
             "d53e105ee54ea40749a09fcbcd1e9432", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
            (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
             "9fb629c4189551a2d022fa330f9573f3", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
            (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
             "ec29112dd5afa0611ce80d1b7f02629c", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        ),
    )
)  # fmt: skip

known.register("fashion-mnist")(
    Known(
        what=mark("clothes in ten classes: 60,000 to train on and 10,000 to test with, 28 x 28, grey"),
        licence=mark("MIT, Zalando SE"),
        page="https://github.com/zalandoresearch/fashion-mnist",
        files=_idx(
            (
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
                f"{_GOOGLE}/tensorflow/tf-keras-datasets/",
            ),
            (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
             "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
            (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
             "25c81989df183df01b3e8a0aad5dffbe", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
            (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
             "bef4ecab320f06d8554ea6380940ec79", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
            (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
             "bb300cfdad3c16e7a12a480ee83cd310", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
        ),
        classes={
            "en": ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot"),
            "es": ("camiseta", "pantalón", "suéter", "vestido", "abrigo", "sandalia", "camisa", "zapatilla", "bolso",
                   "botín"),
        },
    )
)  # fmt: skip

known.register("kmnist")(
    Known(
        what=mark("Japanese letters in ten classes: 60,000 to train on and 10,000 to test with, 28 x 28, grey"),
        licence=mark("CC BY-SA 4.0, Center for Open Data in the Humanities"),
        page="https://github.com/rois-codh/kmnist",
        files=_idx(
            ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
            (18165135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
             "bdb82020997e1d708af4cf47b453dcf7", ""),
            (29497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
             "e144d726b3acfaa3e44228e80efcd344", ""),
            (3041136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
             "5c965bf0a639b31b8f53240b1b52f4d7", ""),
            (5120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
             "7320c461ea6c1c855c0b718fb2a4b134", ""),
        ),
        classes=dict.fromkeys(("en", "es"), ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")),
    )
)  # fmt: skip

_DRAWN = {
    "apple": (113462128, "a70df0030c146cfe4aa9a17aa2a320d5f64ac166fdc3d2cfb439b8322fd8bb0d"),
    "bicycle": (99197248, "1211e79d1799e56734e2c2ce55d6af2405ae0a4e329fa46a6496670e90ac79d8"),
    "cat": (96590448, "21a281839d3f2eef601d57d2338a4eafdf24649f8d0a0e42d3ec3e595911463e"),
    "diamond": (103164288, "7f096baa03d53e7d8dafe5d2a27107f7203cf02aa695bdded6a307ae39358169"),
    "eye": (98696272, "e804058c35d2707dd17a79c91d9832806c1ca4b90439261baf119ff6c436bee5"),
    "fish": (105173680, "7ed4f4ce04546a0935149780c73fdd3c376d121e7df5ac1307586a78769e5fc9"),
}
known.register("quickdraw")(
    Known(
        what=mark("drawings of apples, bicycles, cats, diamonds, eyes and fish: 786,000, 28 x 28, grey"),
        licence=mark("CC BY 4.0, Google (Quick, Draw!)"),
        page="https://github.com/googlecreativelab/quickdraw-dataset",
        files=tuple(
            File(f"{name}.npy", size, (f"{_GOOGLE}/quickdraw_dataset/full/numpy_bitmap/",), sha256)
            for name, (size, sha256) in _DRAWN.items()
        ),
    )
)

_TORONTO = ("https://www.cs.toronto.edu/~kriz/",)
known.register("cifar10")(
    Known(
        what=mark(
            "things and animals in ten classes: 50,000 to train on and 10,000 to test with, 32 x 32, colour"
        ),
        licence=mark("none stated by its author; cite Krizhevsky 2009"),
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        files=(
            File(
                "cifar-10-binary.tar.gz",
                170052171,
                _TORONTO,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                "c32a1d4ab5d03f1284b67883e8d87530",
                into="",
            ),
        ),
        train="cifar-10-batches-bin",
    )
)
known.register("cifar100")(
    Known(
        what=mark(
            "things and animals in 100 classes: 50,000 to train on and 10,000 to test with, 32 x 32, colour"
        ),
        licence=mark("none stated by its author; cite Krizhevsky 2009"),
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        files=(
            File(
                "cifar-100-binary.tar.gz",
                168513733,
                _TORONTO,
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                "03b5dce01913d631647c71ecec9e9cb8",
                into="",
            ),
        ),
        train="cifar-100-binary",
    )
)
known.register("eurosat")(
    Known(
        what=mark("land seen from a satellite, ten classes: 27,000, 64 x 64, colour"),
        licence=mark("MIT, Patrick Helber; pictures of Copernicus Sentinel-2"),
        page="https://github.com/phelber/EuroSAT",
        files=(
            File(
                "EuroSAT.zip",
                94280567,
                (
                    "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
                    "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
                    "https://madm.dfki.de/files/sentinel/EuroSAT.zip",
                ),
                "8ebea626349354c5328b142b96d0430e647051f26efc2dc974c843f25ecf70bd",
                "c8fa014336c82ac7804f0398fcb19387",
            ),
        ),
        train="EuroSAT.zip",
    )
)
known.register("flowers")(
    Known(
        what=mark("photographs of five flowers: 3,670, of many sizes, colour"),
        licence=mark("CC BY 2.0; the photographers are named in LICENSE.txt inside"),
        page="https://www.tensorflow.org/datasets/catalog/tf_flowers",
        files=(
            File(
                "flower_photos.tgz",
                228813984,
                (f"{_GOOGLE}/download.tensorflow.org/example_images/flower_photos.tgz",),
                "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
            ),
        ),
        train="flower_photos.tgz",
    )
)
known.register("imagenette")(
    Known(
        what=mark(
            "photographs of ten things: 9,469 to train on and 3,925 to validate with, 160 pixels high, colour"
        ),
        licence=mark("Apache-2.0, fast.ai; the photographs are ImageNet's, for research"),
        page="https://github.com/fastai/imagenette",
        # No size and no SHA-256: the file was published anew since those were written down.
        files=(
            File(
                "imagenette2-160.tgz",
                None,
                ("https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz",),
                md5="e793b78cc4c9e9a4ccc0c1155377a412",
            ),
        ),
        train="imagenette2-160.tgz",
    )
)
known.register("beans")(
    Known(
        what=mark(
            "bean leaves, healthy or with one of two diseases: 1,295 in three parts, 500 x 500, colour"
        ),
        licence=mark("MIT, Makerere AI Lab"),
        page="https://github.com/AI-Lab-Makerere/ibean",
        files=tuple(
            File(f"{part}.zip", size, (f"{_GOOGLE}/ibeans/",), sha256, into=part)
            for part, size, sha256 in (
                ("train", 143812152, "284fe8456ce20687f4367ae7ad94a64577e7f9fde2c2c6b1c74340ab5dc82715"),
                ("validation", 18504213, "90b7aa1c26d91d9afff07a30bbc67a5ea34f1f1397f068d8675be09d7d0c602d"),
                ("test", 17708541, "ca67b15d960d1e2fd9d23fd8498ce86818ead90755c630a43baf19ec4af09312"),
            )
        ),
    )
)
known.register("rock-paper-scissors")(
    Known(
        what=mark("computed hands: 2,520 to train on and 372 to test with, 300 x 300, colour"),
        licence=mark("CC BY 2.0, Laurence Moroney"),
        page="https://laurencemoroney.com/datasets.html",
        files=tuple(
            File(name, size, (f"{_GOOGLE}/download.tensorflow.org/data/",), sha256, into=part)
            for name, part, size, sha256 in (
                ("rps.zip", "train", 200682221,
                 "c2403444395842ad04c53612bad54b574443eae17a0723117a2ff87b9d72194f"),
                ("rps-test-set.zip", "test", 29516758,
                 "c27ab9fa43ce40b2e453de711365b477f4424586edf0388116674fd320f07503"),
            )
        ),
    )
)  # fmt: skip
