"""The training step of the fast network beside this machine's matrix-product rate: asked >= 62 % of the bf16 rate.

    python benchmarks/step.py [ROUNDS]

One step is what `fit` does: draw and normalise the batch, forward in bf16, loss, backward, Muon and SGD, lookahead.
Counted are the operations executed: forward, weight gradients of what learns, input gradients that are needed; frozen
whitening filters have neither. Each round measures the product of 2048³ before and after the steps, on the same
threads, and the figure is the median over rounds.
"""

import statistics
import sys
import time

import numpy as np
import torch
from common import matrix_rate
from torch import nn

from vistazo import platform
from vistazo.classification.models import models
from vistazo.engine.device import Compute, without_compiler
from vistazo.engine.losses import CrossEntropy
from vistazo.engine.optimizers import Lookahead, build_optimizers, set_rates
from vistazo.networks.airbench import Airbench
from vistazo.networks.layers import WhiteningConv
from vistazo.pictures.loading import Normaliser, PictureBatches

STEPS = 10


def operations(network: nn.Module, channels: int, height: int, width: int) -> int:
    """Floating-point operations of one training step for one picture (2 a multiply-add)."""
    found: list[tuple[bool, int]] = []

    def count(module: nn.Module, _: object, scores: torch.Tensor) -> None:
        frozen = isinstance(module, WhiteningConv)
        weight = module.filters if frozen else module.weight
        places = scores.shape[2] * scores.shape[3] if scores.ndim == 4 else 1
        found.append((frozen, 2 * weight.numel() * places))

    kinds = (nn.Conv2d, nn.Linear, WhiteningConv)
    hooks = [one.register_forward_hook(count) for one in network.modules() if isinstance(one, kinds)]
    with torch.no_grad():
        network.eval()(torch.zeros(1, channels, height, width))
    for hook in hooks:
        hook.remove()
    network.train()
    learning = [forward for frozen, forward in found if not frozen]
    # Forward of all; weight gradients of what learns; input gradients of all but the first that learns, whose input
    # is frozen.
    return sum(forward for _, forward in found) + sum(learning) + sum(learning[1:])


@without_compiler()
def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    platform.keep_freed_blocks()
    for filters, entry in (
        ((64, 128, 128), "full"),
        ((48, 96, 96), "full"),
        ((32, 64, 64), "full"),
        ((16, 32, 32), "quarter"),
    ):
        for layout in ("channels_last",):
            compute = Compute("cpu", "bf16", layout, platform.physical_cores())
            compute.start()
            torch.manual_seed(0)
            network = compute.place(
                Airbench(channels=1, height=28, width=28, classes=10, filters=filters, entry=entry)
            )
            pixels = np.random.default_rng(0).integers(0, 256, (8192, 28, 28, 1), dtype=np.uint8)
            labels = torch.randint(0, 10, (8192,))
            batches = PictureBatches(
                pixels,
                {"label": labels},
                np.arange(8192),
                size=512,
                reach=1,
                flip=False,
                seed=0,
                device="cpu",
            )
            normaliser, loss = Normaliser.of(pixels), CrossEntropy(smoothing=0.2)
            optimizers = build_optimizers(models["airbench"].groups(network, 512))
            average = Lookahead(network)
            each = operations(network, 1, 28, 28)

            def step(at: int) -> None:
                batch = batches.draw(0, at)
                set_rates(optimizers, 0.5, progress=0.5)
                for one in optimizers:
                    one.zero_grad(set_to_none=True)
                with compute.autocast():
                    scores = network(compute.place(normaliser(batch.inputs["pictures"])))
                loss.loss(scores, batch.targets["label"], None).backward()
                for one in optimizers:
                    one.step()
                average.update(at + 1, 100)

            step(0)
            shares, speeds = [], []
            for _ in range(rounds):
                before = matrix_rate(torch.bfloat16)
                began = time.perf_counter()
                for at in range(STEPS):
                    step(at)
                seconds = (time.perf_counter() - began) / STEPS
                peak = (before + matrix_rate(torch.bfloat16)) / 2
                shares.append(512 * each / seconds / 1e9 / peak)
                speeds.append(512 / seconds)
            print(
                f"{filters} {entry} {layout}: {100 * statistics.median(shares):.1f} % of the bf16 rate "
                f"({100 * min(shares):.1f} to {100 * max(shares):.1f}, {rounds} rounds), "
                f"{statistics.median(speeds):,.0f} pictures/s, {each / 1e6:.1f} MFLOP a picture",
                flush=True,
            )


if __name__ == "__main__":
    main()
