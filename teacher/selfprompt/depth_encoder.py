"""SAM's image encoder for all slices of a patch, with depth adapters in every block and a depth position table.

Source: Self-Prompt-SAM, sections 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..recompute import recomputed
from ..sam.sizes import SamSize
from ..sam.slice_encoder import SliceBlock, SliceEncoder
from .config import SelfPromptConfig
from .depth_adapter import DepthAdapter

MAPS = 4
"""Maps that the prompt generator reads: those after each quarter of the blocks."""

_PARALLEL = 0.5  # weight of the adapter beside the MLP


class DepthBlock(SliceBlock):
    """A block of SAM's image encoder, with one adapter after the attention and one beside the MLP.

    Attention and MLP take the slices in batches; the adapters take all of them. For the gradient the block keeps its
    tokens, what attention adds to them, and the sum; the rest is computed twice.

    Args:
        size: size of the encoder.
        index: number of the block, from 0.
        depth: slices D of a patch.
        config: place of the depth MLPs, and slices that pass at once.
    """

    def __init__(self, size: SamSize, index: int, *, depth: int, config: SelfPromptConfig) -> None:
        super().__init__(size, index)
        self.batch = config.slices
        self.attention_adapter = self.mlp_adapter = None
        if config.adapter != "none":
            self.attention_adapter = DepthAdapter(size.width, depth, config.adapter)
            self.mlp_adapter = DepthAdapter(size.width, depth, config.adapter)

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``[B, D, h, w, C]`` for tokens ``[B, D, h, w, C]``."""
        added = by_slices(self.attended, x, self.batch)
        x = x + added
        if self.attention_adapter is not None:
            x = x + _recomputed_at_places(self.attention_adapter, added)
        added = by_slices(lambda part: recomputed(self._mlp_of, part), x, self.batch)
        if self.mlp_adapter is not None:
            adapter, norm = self.mlp_adapter, self.norm2
            added = added + _PARALLEL * _recomputed_at_places(lambda tokens: adapter(norm(tokens)), x)
        return x + added

    def _mlp_of(self, x: Tensor) -> Tensor:
        return self.mlp(self.norm2(x))


class DepthEncoder(SliceEncoder):
    """SAM's image encoder with depth adapters; SAM's parameters have SAM's names and shapes.

    Args:
        size: size of the encoder.
        depth: slices D of a patch.
        config: options of the network.
    """

    def __init__(self, size: SamSize, depth: int, config: SelfPromptConfig) -> None:
        super().__init__(
            size,
            enlarge=config.enlarge,
            batch=config.slices,
            checkpoint_activations=config.checkpoint_activations,
            block=lambda size, index: DepthBlock(size, index, depth=depth, config=config),
        )
        table = nn.Parameter(torch.zeros(depth, 1, 1, size.width)) if config.depth_position else None
        self.depth_table: nn.Parameter | None = table

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - it takes patches, and returns more maps
        self, images: Tensor
    ) -> list[Tensor]:
        """Returns the tokens after each quarter of the blocks, ``[B, D, h, w, C]`` each.

        Args:
            images: ``[B, D, 3, 16·h, 16·w]``.
        """
        tokens = by_slices(self.embedded, images, self.batch)
        if self.depth_table is not None:
            tokens = tokens + self.depth_table
        maps: list[Tensor] = []
        for number, block in enumerate(self.blocks, start=1):
            # A view, so that gradients are added up in the same order whether or not weights are sharded.
            tokens = recomputed(block, tokens.view_as(tokens), enabled=self.checkpoint_activations)
            if number % (len(self.blocks) // MAPS) == 0:
                maps.append(tokens)
        return maps

    def embeddings(self, tokens: Tensor) -> Tensor:
        """Returns SAM's image embeddings ``[B, D, neck width, h, w]`` of the last tokens ``[B, D, h, w, C]``."""
        return by_slices(lambda part: recomputed(self._neck_of, part), tokens, self.batch)

    def _neck_of(self, tokens: Tensor) -> Tensor:
        return self.neck(tokens.permute(0, 3, 1, 2))


def by_slices(step: Callable[[Tensor], Tensor], x: Tensor, batch: int) -> Tensor:
    """Returns ``[B, D, …]``: what a step on slices makes of ``[B, D, …]``, some slices at a time."""
    return torch.cat([step(part) for part in x.flatten(0, 1).split(batch)]).unflatten(0, x.shape[:2])


def _recomputed_at_places(step: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Returns ``[B, D, h, w, C]``: what a step on ``[B, D, h·w, C]`` makes of tokens ``[B, D, h, w, C]``."""
    return recomputed(step, x.flatten(2, 3)).reshape(x.shape)
