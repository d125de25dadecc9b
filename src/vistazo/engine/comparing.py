"""Whether a run repeats another: weights, history and figures to the bit, or by how much not and why."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vistazo import bundle
from vistazo.engine import history
from vistazo.engine.runs import MODEL, REPLANNED, read_json
from vistazo.language import mark, tr

__all__ = ["Comparison", "compare", "weights_hash"]

# What explains a difference, as environment.json names it, the likeliest first.
_CAUSES = (
    *(mark("device"), "torch", mark("precision"), mark("layout"), mark("threads"), mark("processor")),
    *(mark("deterministic"), "numpy", "vistazo", mark("system")),
)


@dataclass(frozen=True)
class Comparison:
    """What two runs of the same settings have in common.

    equal: weights, history and figures are the same to the bit. largest_difference: of one weight, 0 where all are
    equal, None where the networks are not alike. metrics: each figure that differs, by its name as in 'test.accuracy',
    with what it was and what it is now. first_epoch: the first whose history differs, 0 for none. reason: the likely
    why in words, '' where they are equal. weights: SHA-256 of either run's tensors.
    """

    run: str
    reproduced: str
    equal: bool
    largest_difference: float | None
    metrics: dict[str, dict[str, float | None]]
    first_epoch: int
    reason: str
    weights: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(run: Path, reproduced: Path) -> Comparison:
    """Compare two finished runs; runs inside the first one with those inside the second.

    Raises BundleDamaged where a model file cannot be read.
    """
    pairs = [(run, reproduced)]
    pairs += [
        (path.parent, reproduced / path.parent.name)
        for path in sorted(run.glob("*/config.json"))
        if (path.parent / MODEL).exists() and (reproduced / path.parent.name / MODEL).exists()
    ]
    largest: float | None = 0.0
    metrics: dict[str, dict[str, float | None]] = {}
    epochs, same_bits, weights = [], True, {}
    for was, now in pairs:
        inside = "" if was == run else f"{was.name}: "
        before, after = (bundle.load(one / MODEL).tensors for one in (was, now))
        hashes = weights_hash(before), weights_hash(after)
        if was == run:
            weights = {"run": hashes[0], "reproduced": hashes[1]}
        same_bits &= hashes[0] == hashes[1]
        apart = _largest(before, after)
        largest = None if largest is None or apart is None else max(largest, apart)
        figures = (dict(_figures(read_json(one / "metrics.json").get("metrics", {}))) for one in (was, now))
        metrics |= {inside + name: told for name, told in _differing(*figures).items()}
        epochs.append(_first_epoch(was, now))
    first = min((one for one in epochs if one), default=0)
    equal = same_bits and not metrics and not first
    reason = "" if equal else _reason([*pairs[1:], pairs[0]])
    return Comparison(str(run), str(reproduced), equal, largest, metrics, first, reason, weights)


def weights_hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, kinds, shapes and bytes of all tensors; what else a model file says does not count."""
    counted = hashlib.sha256()
    for name, one in sorted(tensors.items()):
        counted.update(json.dumps([name, str(one.dtype), list(one.shape)]).encode())
        counted.update(one.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return counted.hexdigest()


def _largest(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> float | None:
    """The largest difference of two numbers in the same place; None where the tensors are not alike."""
    if before.keys() != after.keys() or any(before[name].shape != after[name].shape for name in before):
        return None
    apart = [
        float((before[name].double() - after[name].double()).abs().max())
        for name in before
        if before[name].numel()
    ]
    return max(apart, default=0.0)


def _figures(value: Any, name: str = "") -> Iterator[tuple[str, float | None]]:
    """Every number below a name, by its path: 'test.accuracy'."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _figures(one, f"{name}.{key}" if name else str(key))
    elif value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        yield name, value


def _differing(
    was: Mapping[str, float | None], now: Mapping[str, float | None]
) -> dict[str, dict[str, float | None]]:
    names = [name for name in {**was, **now} if not _same(was.get(name), now.get(name))]
    return {name: {"was": was.get(name), "is": now.get(name)} for name in names}


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or (math.isnan(one) and math.isnan(other))


def _first_epoch(was: Path, now: Path) -> int:
    """The first epoch whose history differs, 0 for none."""
    before, after = (history.read(one / "history.jsonl") for one in (was, now))
    for at in range(max(len(before), len(after))):
        if before[at : at + 1] != after[at : at + 1]:
            return at + 1
    return 0


def _reason(pairs: list[tuple[Path, Path]]) -> str:
    """Why they differ, as far as the runs have written it down."""
    told: dict[str, None] = {}
    for was, now in pairs:
        before, after = (read_json(one / "config.json") for one in (was, now))
        if before.get("data") != after.get("data"):
            told[tr("the data is not what it was")] = None
        if before.get("start") != after.get("start"):
            told[tr("the model that training began from is not what it was")] = None
        if before.get("lengthened"):
            told[tr("the run was trained for longer after its end, which one training does not repeat")] = (
                None
            )
        if (before.get("decided") or {}).get("seconds") and REPLANNED not in before:
            told[
                tr("the clock decided how long to train, and the run did not write down what it decided")
            ] = None
        machines = [read_json(one / "environment.json") for one in (was, now)]
        for name in _CAUSES:
            old, new = (one.get(name) for one in machines)
            if old != new:
                told[tr("{name}: {old} then, {new} now", name=tr(name), old=old, new=new)] = None
    if told:
        return "; ".join(told)
    if any(read_json(one / "environment.json").get("device") == "cuda" for _, one in pairs):
        return tr("a GPU adds up in no fixed order: train with --deterministic to have it repeat")
    return tr("nothing that the runs have written down differs")
