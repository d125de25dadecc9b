"""The tutorials' networks in words beside those written by hand: what a step of training costs, in turn, one thread.

    python benchmarks/words.py

The words are those of docs/networks.md. Pictures are at most 64 pixels a side, 32 at once; the least and the middle of
25 steps of each, in processor time, so that other programs count little.
"""

import re
import statistics
import time
import tomllib
from pathlib import Path

import torch
from torch import nn

from vistazo.classification.models import create, models
from vistazo.networks.word_layers import WordNetwork

GUIDE = Path(__file__).parents[1] / "docs" / "networks.md"
ROUNDS, BATCH, LARGEST = 25, 32, 64


def step(network: nn.Module, name: str, pictures: torch.Tensor, labels: torch.Tensor) -> float:
    """Processor seconds of one step, the penalty of the weights with it."""
    began = time.process_time()
    network.zero_grad(set_to_none=True)
    loss = nn.functional.cross_entropy(network(pictures), labels)
    penalty = models[name].penalty
    (loss + penalty(network) if penalty else loss).backward()
    return time.process_time() - began


def main() -> None:
    torch.set_num_threads(1)
    for block, name, height, width, channels in re.findall(
        r"```toml\n(# (\w+): [\d,]+ parameters at (\d+) x (\d+) x (\d+)\n.*?)```",
        GUIDE.read_text(encoding="utf-8"),
        re.S,
    ):
        sides = {
            "height": min(LARGEST, int(height)),
            "width": min(LARGEST, int(width)),
            "channels": int(channels),
        }
        by_hand = create(name, {**models[name].example, **sides}).train()
        in_words = WordNetwork(**sides, classes=10, words=tomllib.loads(block)["network"]).train()
        pictures = torch.randn(BATCH, sides["channels"], sides["height"], sides["width"])
        labels = torch.randint(0, 10, (BATCH,))
        spent: dict[str, list[float]] = {name: [], "words": []}
        for _ in range(ROUNDS + 3):
            spent[name].append(step(by_hand, name, pictures, labels))
            spent["words"].append(step(in_words, "words", pictures, labels))
        hand, words = (one[3:] for one in spent.values())
        print(
            f"{name}: by hand {1e3 * min(hand):.2f} ms, in words {1e3 * min(words):.2f} ms, "
            f"{min(words) / min(hand):.3f} of it (middle {statistics.median(words) / statistics.median(hand):.3f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
