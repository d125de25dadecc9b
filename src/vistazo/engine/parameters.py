"""How many numbers a network holds, by where they come from."""

from dataclasses import asdict, dataclass

from torch import nn

__all__ = ["Parameters", "count_parameters", "tell_parameters"]


@dataclass(frozen=True)
class Parameters:
    """How many numbers a network holds: `trainable` by gradient, `statistics` counted while training (batch norm),
    `frozen` set once from the data (whitening filters) or taken as published and never stepped."""

    trainable: int
    statistics: int
    frozen: int

    @property
    def total(self) -> int:
        return self.trainable + self.statistics + self.frozen


def count_parameters(network: nn.Module) -> Parameters:
    """The numbers a network holds, counters of seen batches left out."""
    trainable = sum(one.numel() for one in network.parameters() if one.requires_grad)
    frozen = sum(one.numel() for one in network.parameters() if not one.requires_grad)
    statistics = 0
    kept = network.state_dict()
    for name, one in network.named_buffers():
        if name in kept and one.is_floating_point():
            if name.rsplit(".", 1)[-1] == "filters":
                frozen += one.numel()
            else:
                statistics += one.numel()
    return Parameters(trainable, statistics, frozen)


def tell_parameters(network: nn.Module) -> dict[str, int]:
    """The counts as {"parameters": total, "trainable", "statistics", "frozen"}."""
    counted = count_parameters(network)
    return {"parameters": counted.total, **asdict(counted)}
