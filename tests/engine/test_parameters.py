import torch
from torch import nn

from vistazo.engine.parameters import Parameters, count_parameters, tell_parameters


class Whitened(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("filters", torch.zeros(2, 3))
        self.register_buffer("scratch", torch.zeros(100), persistent=False)
        self.norm = nn.BatchNorm1d(5)
        self.head = nn.Linear(5, 4)


def test_weights_statistics_and_filters_are_counted_apart():
    # batch norm: 5 scales, 5 shifts, 5 means, 5 variances and a counter; linear: 5 × 4 + 4; filters: 2 × 3
    assert count_parameters(Whitened()) == Parameters(trainable=34, statistics=10, frozen=6)


def test_the_total_is_the_sum():
    assert Parameters(34, 10, 6).total == 50
    assert tell_parameters(Whitened()) == {"parameters": 50, "trainable": 34, "statistics": 10, "frozen": 6}


def test_a_network_without_parameters_holds_none():
    assert count_parameters(nn.ReLU()).total == 0
