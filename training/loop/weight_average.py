"""The moving average of a network's weights over its optimiser steps: validated and kept in place of the last ones."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch

# Names among a parameter's states in the optimiser, so that checkpoints hold them.
_STATE, _BEGAN = "average", "average_began"


class WeightAverage:
    """An exponential moving average of the trained weights.

    The average is one of the states that the optimiser has of each parameter: it is saved, restored and sharded with
    these. Running statistics of batch normalisation stay the network's own: they are moving averages already.

    Args:
        model: network in training.
        optimizer: its optimiser.
        decay: share of the average that a step keeps, 0…<1; 0 averages nothing.
    """

    def __init__(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, decay: float) -> None:
        self._model = model
        self._optimizer = optimizer
        self._decay = decay
        self._began: dict[torch.nn.Parameter, int] = {}  # read from the optimiser once: it may lie on a GPU

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """Takes the weights after an optimiser step into the average.

        In a parameter's first steps it keeps less, (1 + n) / (10 + n) in the n-th: the weights at the start are
        random. A parameter that begins to train late, such as a decoder's, counts from then on.

        Args:
            steps: optimiser steps since the training began, this one included.
        """
        if not self._decay:
            return
        for parameter in self._model.parameters():
            # AdamW creates its own states at a parameter's first step, and only if there are none.
            state = self._optimizer.state.get(parameter)
            if not state:
                continue
            if _STATE in state:
                own = steps - self._steps_before(parameter)
                state[_STATE].lerp_(parameter, 1 - min(self._decay, (1 + own) / (10 + own)))
            else:
                state[_STATE] = parameter.detach().clone()
                state[_BEGAN] = torch.tensor([steps - 1.0])  # [1], because torch restores no further scalars

    def _steps_before(self, parameter: torch.nn.Parameter) -> int:
        """Returns the number of optimiser steps before a parameter's first; 0 in checkpoints that do not hold it."""
        if parameter not in self._began:
            self._began[parameter] = int(self._optimizer.state[parameter].get(_BEGAN, 0))
        return self._began[parameter]

    @contextmanager
    def in_use(self) -> Generator[None, None, None]:
        """Puts the averages into the network, and its own weights back at the end."""
        averaged = [
            (parameter, self._optimizer.state[parameter][_STATE])
            for parameter in self._model.parameters()
            if self._decay and _STATE in self._optimizer.state.get(parameter, {})
        ]
        own = [parameter.detach().clone() for parameter, _ in averaged]
        with torch.no_grad():
            for parameter, average in averaged:
                parameter.copy_(average)
            try:
                yield
            finally:
                for (parameter, _), weights in zip(averaged, own, strict=True):
                    parameter.copy_(weights)
