"""Training, validation and test parts that do not leak: groups and copies of a picture stay together.

Pure functions of the Index's columns and a seed. Neither the order of the rows nor Python's hash seed
matters, and where the test part is official no label of it is looked at.
"""

import hashlib
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from vistazo.engine.reports import number, percent
from vistazo.errors import ConfigError, TooFewExamples
from vistazo.language import mark, tr
from vistazo.pictures.index import CROPS, NUMBERED, OUT, PARTS, TEST, TRAIN, UNASSIGNED, VALIDATION, Index
from vistazo.pictures.stratifying import stratify
from vistazo.pictures.video import frame_of

__all__ = [
    "SHARES",
    "Assigned",
    "assign",
    "find_groups",
    "join_copies",
    "require_every_class",
    "require_trainable",
    "tickets",
]

Ints = NDArray[np.int64]

SHARES = (0.1, 0.1)  # of validation, and of test
LEAST_GROUPS = 10  # of every class, for a rule that was guessed from file names
LARGEST_GROUP = 0.05  # of its class, likewise

_VIEWS = (
    "front|back|left|right|top|bottom|side|"
    "frente|frontal|detras|trasera|izquierda|derecha|arriba|abajo|lado|lateral"
)
_VIEW = re.compile(rf"(.+?)(?:[ _.-](?:{_VIEWS}|[a-f]|\d+)| ?\(\d+\))", re.IGNORECASE)
_NUMBER = re.compile(r"(.*\D)\d+")
_TIME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_.]?(\d\d)[-_.]?(\d\d)[ T_.-]?(\d\d)[-_.:h]?(\d\d)[-_.:m]?(\d\d)"
)
_LEAKS = (
    (VALIDATION, TEST, mark("Left out: {n} validation pictures that are byte-identical to a test picture.")),
    (TRAIN, TEST, mark("Left out: {n} training pictures that are byte-identical to a test picture.")),
    (
        TRAIN,
        VALIDATION,
        mark("Left out: {n} training pictures that are byte-identical to a validation picture."),
    ),
)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Assigned:
    """The Index with parts and groups, the sentences that tell how, and pictures by part and 'out'."""

    index: Index
    sentences: tuple[str, ...]
    counts: dict[str, int]


def require_trainable(index: Index) -> None:
    """Raise TooFewExamples unless there are two classes, each with two pictures outside the test part."""
    counts = index.counts((index.split != TEST) & (index.split != OUT))
    if index.labels is not None and len(index.classes) < 2:
        raise TooFewExamples(
            tr(
                "{source} has one label only ('{name}'), and some pictures without it: that is a question of two "
                "classes. Give a column label that names each picture's class.",
                source=index.source,
                name=index.classes[0],
            )
        )
    if len(index.classes) < 2 and index.kind == CROPS:
        raise TooFewExamples(
            tr(
                "All boxes of {source} are of one class ('{name}'). Classification tells classes apart and needs two "
                "at least: draw boxes of other things too, or give folders of pictures with it and without it.",
                source=index.source,
                name=index.classes[0] if index.classes else "",
            )
        )
    if len(index.classes) < 2:
        raise TooFewExamples(
            tr(
                "{source} has pictures of one class only ('{name}'). "
                "Classification needs at least two: put each class in its own sub-folder.",
                source=index.source,
                name=index.classes[0] if index.classes else "",
            )
        )
    few = [name for name, count in zip(index.classes, counts, strict=True) if count < 2]
    if few:
        raise TooFewExamples(
            tr(
                "Every class needs two pictures to learn from, and these have fewer: {names} (in {source}). "
                "Add pictures, or remove the class.",
                names=", ".join(few),
                source=index.source,
            )
        )


# ---------------------------------------------------------------- groups
def find_groups(index: Index, *, group_by: str) -> tuple[Ints, str]:
    """(rows,) the group of each picture, numbered from 0, and a sentence that names the rule.

    group_by:
      'auto'      a manifest's column 'group', or the frames of a video, where there are such. Else file names
                  of one class and folder that differ only in a view ('shoe_front', 'shoe-2', 'shoe (3)',
                  'shoe_a') or in their last number, but only if every class keeps 10 groups and no group exceeds
                  5 % of its class: numbered files (0001.jpg, cat.17.jpg) are no series. An official test part is
                  not looked at.
      'none'      every picture for itself.
      'parent'    pictures in one folder.
      'regex:…'   pictures whose path gives the same first group (or match) of the expression.
      'time:60s'  pictures in one folder whose names carry a date and time (IMG_20240131_120501.jpg), each at
                  most 60 s after the one before; s, m or h.
    Whatever the rule, near copies of one picture (`Index.alike`) are one thing.
    Raises ConfigError where the rule is unknown, malformed, or finds nothing.
    """
    groups, sentence = _by_rule(index, group_by)
    if index.alike is not None:
        groups = join_copies(groups, np.where(index.alike < 0, b"", index.alike.astype("S20")))
    return groups, sentence


def _by_rule(index: Index, group_by: str) -> tuple[Ints, str]:
    if index.kind == CROPS:
        return _by_picture(index, group_by)
    kind, _, detail = group_by.partition(":")
    where = index.where
    if kind == "none":
        return np.arange(len(index)), tr("Groups: none; every picture counts for itself.")
    if kind == "auto":
        if (index.group >= 0).any():
            groups = _numbered(_lonely(index.group.tolist()))
            if any(map(frame_of, index.where)):
                return groups, tr("Groups: the frames of each video; every picture counts for itself.")
            return groups, tr("Groups: the manifest's column.")
        return _named_series(index)
    if kind == "parent":
        keys: list[Hashable] = [_folder(name) for name in where]
        return _numbered(keys), tr("Groups: pictures in one folder ({n}).", n=len(set(keys)))
    if kind == "regex":
        try:
            pattern = re.compile(detail)
        except re.error as error:
            raise ConfigError(
                tr(
                    "group_by has the regular expression '{text}', which is malformed: {reason}.",
                    text=detail,
                    reason=error,
                )
            ) from error
        found = [match and match[min(1, pattern.groups)] for match in map(pattern.search, where)]
        return _explicit(found, tr("Groups: what '{text}' finds in the path", text=detail), group_by)
    if kind == "time":
        size = re.fullmatch(r"(\d+)([smh]?)", detail)
        if size:
            return _explicit(
                _bursts(where, int(size[1]) * _UNITS[size[2]]),
                tr("Groups: pictures taken together"),
                group_by,
            )
    raise ConfigError(
        tr("group_by is one of auto, none, parent, regex:…, time:60s, not '{given}'.", given=group_by)
    )


def _by_picture(index: Index, group_by: str) -> tuple[Ints, str]:
    """Crops of one picture are one thing whatever the rule; another rule joins pictures too."""
    if group_by == "auto":
        return _numbered(index.group.tolist()), tr("Groups: crops of one picture.")
    groups, rule = find_groups(index.replace(kind="folder", group=index.group * 0 - 1), group_by=group_by)
    return _numbered(join_copies(groups, index.group.astype("S32")).tolist()), rule


def _explicit(keys: Sequence[Hashable], rule: str, group_by: str) -> tuple[Ints, str]:
    """Number the keys of a rule the user asked for; None is a path in which it found nothing."""
    without = sum(key is None for key in keys)
    if without == len(keys):
        raise ConfigError(tr("group_by '{given}' finds nothing in any picture's path.", given=group_by))
    return _numbered(_lonely([-1 if key is None else key for key in keys])), tr(
        "{rule}: {n}; pictures without one, each for itself: {without}.",
        rule=rule,
        n=len({key for key in keys if key is not None}),
        without=without,
    )


def _lonely(keys: Iterable[Hashable]) -> list[Hashable]:
    """The same keys, with a key of its own for every -1."""
    return [("alone", row) if key == -1 else key for row, key in enumerate(keys)]


def _numbered(keys: Sequence[Hashable]) -> Ints:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _folder(where: str) -> str:
    return where.rpartition("/")[0]


def _named_series(index: Index) -> tuple[Ints, str]:
    alone = np.arange(len(index))
    nothing = tr("Groups: none; no series was found in the file names.")
    if index.kind in NUMBERED:
        return alone, nothing
    own = np.flatnonzero((index.split != TEST) & (index.split != OUT))
    # Views of one thing may differ in their labels, so pictures with several count as one class here.
    label, classes = (index.label, len(index.classes)) if index.labels is None else (index.label * 0, 1)
    labels = label.tolist()
    keys: list[Hashable] = [("alone", row) for row in range(len(index))]
    views: dict[Hashable, None] = {}  # what a view was taken off
    numbered: list[tuple[int, tuple[int, str], tuple[int, str] | None]] = []
    for row in own.tolist():
        path = index.where[row]
        stem = path.rpartition(".")[0] or path
        folder, _, name = stem.rpartition("/")
        if match := _VIEW.fullmatch(name):
            keys[row] = (labels[row], f"{folder}/{match[1]}")
            views[keys[row]] = None
        else:
            number = _NUMBER.fullmatch(name)
            numbered.append(
                (
                    row,
                    (labels[row], stem if folder else f"/{stem}"),
                    number and (labels[row], f"{folder}/{number[1]}"),
                )
            )
    for row, whole, cut in numbered:  # 'shoe12' belongs to 'shoe12_front', not to 'shoe13'
        keys[row] = whole if whole in views or cut is None else cut
    groups = _numbered(keys)
    if not len(own) or len(np.unique(groups[own])) == len(own):
        return alone, nothing
    _, first, sizes = np.unique(groups[own], return_index=True, return_counts=True)
    label_of_group = label[own][first]
    per_class = np.bincount(label[own], minlength=classes)
    groups_per_class = np.bincount(label_of_group, minlength=classes)
    if groups_per_class.min() < LEAST_GROUPS or (sizes > LARGEST_GROUP * per_class[label_of_group]).any():
        return alone, tr("Groups: none; the file names are numbered through, which makes no series.")
    return groups, tr(
        "Groups: file names that differ only in a view or a final number are one thing ({n} groups of "
        "{pictures} "
        "pictures, such as {example}); group_by none turns this off.",
        n=len(sizes),
        pictures=len(own),
        example=index.where[own[first[int(np.argmax(sizes))]]],
    )


def _bursts(where: Sequence[str], seconds: int) -> list[Hashable]:
    """A key for pictures of one folder taken in a row, None where the name tells no time."""
    taken = []
    for row, name in enumerate(where):
        match = _TIME.search(name.rpartition("/")[2])
        if match:
            try:
                taken.append((_folder(name), datetime(*map(int, match.groups())).timestamp(), row))  # type: ignore[arg-type]
            except ValueError:  # 20249999_... is no date
                continue
    keys: list[Hashable] = [None] * len(where)
    before: tuple[str, float] | None = None
    burst = 0
    for folder, at, row in sorted(taken):
        if before is None or before[0] != folder or at - before[1] > seconds:
            burst += 1
        keys[row], before = burst, (folder, at)
    return keys


# ---------------------------------------------------------------- parts
def assign(index: Index, *, seed: int, group_by: str, shares: tuple[float, float] = SHARES) -> Assigned:
    """Give every picture its part, by class, so that nothing of test or validation was trained on.

    shares: of validation and of test, in (0, 1), of all that the source leaves for training.
    - Parts the source names are kept. Without a test part, its share of training becomes it; likewise validation.
    - Pictures of one group, and byte-identical ones, stay in one part. Training pictures identical to one of
      a named validation or test part, and validation pictures identical to one of a named test part, are left
      out.
    - Of a class with three groups or more, every part that is drawn gets at least one; of a class with two,
      test gets one (or validation, where test is official); a class of one group is trained on only.
    - Pictures with several labels are divided label by label, the rarest first (see `stratifying`).
    - A group that a named part shares with training is not drawn from.
    - The draw depends on each picture's name and the seed alone, so adding pictures moves few of the others.
    Raises TooFewExamples where a class has no picture left to train on, ConfigError for a bad `group_by`.
    """
    groups, rule = find_groups(index, group_by=group_by)
    split = np.where(index.split == UNASSIGNED, TRAIN, index.split)
    split[~index.labelled] = OUT
    official = {part: bool((split == part).any()) for part in (VALIDATION, TEST)}
    sentences = [rule]

    for part, kept, sentence in _LEAKS:
        copies = (split == part) & (index.hash != b"") & np.isin(index.hash, index.hash[split == kept])
        split[copies] = OUT
        if copies.any():
            sentences.append(tr(sentence, n=int(copies.sum())))

    pool = np.flatnonzero(split == TRAIN)
    unit = join_copies(groups, index.hash)
    shared = np.isin(unit[pool], unit[(split == VALIDATION) | (split == TEST)])
    if shared.any():
        sentences.append(
            tr(
                "Your own parts share groups: {n} training pictures belong to things seen in validation "
                "or test.",
                n=int(shared.sum()),
            )
        )
    share = dict(zip((VALIDATION, TEST), shares, strict=True))
    wanted = {part: share[part] for part in (TEST, VALIDATION) if not official[part]}
    split[pool] = _draw(index, pool, unit[pool], shared, wanted, seed)

    require_every_class(index, split)
    counts = {part: int((split == part).sum()) for part in (*PARTS, OUT)}
    sentences += _told(index.replace(split=split), unit, pool, wanted, counts, seed)
    return Assigned(index.replace(split=split, group=groups), tuple(sentences), counts)


def join_copies(groups: Ints, hashes: NDArray[np.bytes_]) -> Ints:
    """(rows,) what must stay together: groups joined wherever they hold the same picture."""
    _, content, copies = np.unique(hashes, return_inverse=True, return_counts=True)
    joint = np.arange(groups.max() + 1 if len(groups) else 0)

    def top(group: int) -> int:
        while joint[group] != group:
            joint[group] = joint[joint[group]]
            group = int(joint[group])
        return group

    first: dict[int, int] = {}
    for row in np.flatnonzero((copies[content] > 1) & (hashes != b"")).tolist():
        other = first.setdefault(int(content[row]), row)
        one, two = top(int(groups[row])), top(int(groups[other]))
        joint[max(one, two)] = min(one, two)
    while (joint != joint[joint]).any():
        joint = joint[joint]
    return joint[groups]


def _draw(
    index: Index, pool: Ints, unit: Ints, held: NDArray[np.bool_], wanted: Mapping[str, float], seed: int
) -> NDArray[np.str_]:
    """(pool,) the part of each row of the pool: whole units, class by class, ordered by names and seed."""
    part = np.full(len(pool), TRAIN, dtype="U10")
    if not wanted or not len(pool):
        return part
    _, unit, sizes = np.unique(unit, return_inverse=True, return_counts=True)
    ticket = tickets([index.where[row] for row in pool.tolist()], unit, str(seed))
    frozen = np.zeros(len(sizes), dtype=bool)
    frozen[unit[held]] = True
    if index.labels is not None:
        return stratify(index.labels[pool], unit, ticket, frozen, wanted)[unit]
    label = index.label[pool]
    home = np.full(len(sizes), len(index.classes))
    np.minimum.at(home, unit, label)  # a unit of several classes is drawn with the first of them

    part_of_unit = np.full(len(sizes), TRAIN, dtype="U10")
    order = np.lexsort((ticket, home))
    bounds = np.searchsorted(home[order], np.arange(len(index.classes) + 1))
    for at in range(len(index.classes)):
        mine = order[bounds[at] : bounds[at + 1]]
        free = [one for one in mine.tolist() if not frozen[one]]
        pictures = int(sizes[mine].sum())
        parts = list(wanted)[: max(0, len(mine) - 1)]
        to_train = 1 if len(free) == len(mine) else 0  # what is frozen is trained on
        for later, name in zip(range(len(parts) - 1, -1, -1), parts, strict=True):
            taken = _take(
                free, sizes, target=max(1.0, wanted[name] * pictures), spare=len(free) - later - to_train
            )
            part_of_unit[list(taken)] = name
            free = [one for one in free if one not in taken]
    part = part_of_unit[unit]
    return _return_to_train(part, unit, sizes, ticket, label, len(index.classes))


def _take(free: Sequence[int], sizes: Ints, *, target: float, spare: int) -> set[int]:
    """Units in order until they hold about `target` pictures: at least one, at most `spare`."""
    taken: set[int] = set()
    count = 0
    for one in free:
        if len(taken) >= spare or count >= target - 0.5:
            break
        if count + sizes[one] / 2 <= target:
            taken.add(one)
            count += int(sizes[one])
    if not taken and spare > 0:
        taken = {min(free, key=lambda one: int(sizes[one]))}
    return taken


def _return_to_train(
    part: NDArray[np.str_], unit: Ints, sizes: Ints, ticket: NDArray[np.uint64], label: Ints, classes: int
) -> NDArray[np.str_]:
    """A class whose only pictures went elsewhere with those of another class gets its smallest unit back."""
    in_train = np.bincount(label[part == TRAIN], minlength=classes)
    for lost in np.flatnonzero((in_train == 0) & (np.bincount(label, minlength=classes) > 0)):
        if (part[label == lost] == TRAIN).any():  # came back with another one
            continue
        units = np.unique(unit[label == lost]).tolist()
        part[unit == min(units, key=lambda one: (int(sizes[one]), int(ticket[one])))] = TRAIN
    return part


def tickets(names: Sequence[str], unit: Ints, key: str) -> NDArray[np.uint64]:
    """(units,) a number drawn for each unit from key and names: wherever, and beside whatever, they stand.

    unit: of each name, numbered from 0. It gets the smallest number drawn for one of its names.
    """
    start = hashlib.blake2b(key.encode(), digest_size=8)
    found = bytearray()
    for name in names:
        one = start.copy()
        one.update(name.encode())
        found += one.digest()
    drawn = np.full(int(unit.max()) + 1 if len(unit) else 0, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(drawn, unit, np.frombuffer(bytes(found), dtype="<u8"))
    return drawn


def require_every_class(index: Index, split: NDArray[np.str_]) -> None:
    """Raise TooFewExamples where a class has no picture left to train on. split: (rows,) the part of each."""
    counts = index.counts(split == TRAIN)
    without = [name for name, count in zip(index.classes, counts, strict=True) if not count]
    if without:
        raise TooFewExamples(
            tr(
                "No picture is left to learn these classes from: {names} (in {source}). Add pictures, or "
                "remove the class.",
                names=", ".join(without),
                source=index.source,
            )
        )


def _told(
    index: Index, unit: Ints, pool: Ints, wanted: Mapping[str, float], counts: dict[str, int], seed: int
) -> list[str]:
    numbers = {part: number(counts[part]) for part in PARTS}
    told = [
        tr(
            "{rule}: {train} to train, {validation} to validate, {test} to test.",
            rule=_rule(wanted, seed),
            **numbers,
        )
    ]
    drawn = len(wanted)
    if drawn and index.labels is not None:
        told.append(
            tr("Pictures were divided by their rarest label first, so that each part has every label.")
        )
    if index.labels is None:
        pairs = np.unique(np.stack([index.label[pool], unit[pool]]), axis=1)[0]
        thin = np.flatnonzero(np.bincount(pairs, minlength=len(index.classes)) <= drawn)
    else:
        parts = list(wanted)
        in_each = [index.labels[index.split == part].any(0) for part in parts]
        thin = np.flatnonzero(~np.logical_and.reduce(in_each)) if parts else np.zeros(0, dtype=np.int64)
    if drawn and len(thin):
        told.append(
            tr(
                "Too few pictures or groups to be in every part: {names}.",
                names=", ".join(index.classes[at] for at in thin[:20]),
            )
        )
    return told


def _rule(wanted: Mapping[str, float], seed: int) -> str:
    if not wanted:
        return tr("Parts: as the source names them")
    values = {"seed": seed, **{part: percent(share, 0) for part, share in wanted.items()}}
    if VALIDATION not in wanted:
        return tr(
            "Parts: validation is official; test is {test} of training, by class, seed {seed}", **values
        )
    if TEST not in wanted:
        return tr(
            "Parts: test is official; validation is {validation} of training, by class, seed {seed}", **values
        )
    shares = (1 - sum(wanted.values()), wanted[VALIDATION], wanted[TEST])
    return tr(
        "Parts: {shares} by class, seed {seed}",
        shares="/".join(str(round(100 * one)) for one in shares),
        seed=seed,
    )
