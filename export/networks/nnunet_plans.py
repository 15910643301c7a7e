"""The parts of nnU-Net v2's `plans.json` and `dataset.json` that say what its network sees, strictly decoded.

Format: nnU-Net 2.8.1, its ``PlansManager``, and "explanation_plans_files.md" of its documentation. Plans of before 2.4
describe the architecture by other fields; they are converted.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ...runtime.errors import InputError
from ...runtime.shortage import raise_shortage

PLAIN, RESIDUAL = "PlainConvUNet", "ResidualEncoderUNet"

_Kind = TypeVar("_Kind")


class ArchitectureArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of a network; lists have an entry for each stage, from full resolution down."""

    n_stages: int
    features_per_stage: list[int]
    conv_op: str
    kernel_sizes: list[list[int]]
    strides: list[list[int]]
    n_conv_per_stage: list[int] | None = None
    n_blocks_per_stage: list[int] | None = None
    n_conv_per_stage_decoder: list[int]
    conv_bias: bool = False
    norm_op: str
    norm_op_kwargs: dict[str, bool | float] | None = None
    dropout_op: str | None = None
    dropout_op_kwargs: dict[str, bool | float] | None = None
    nonlin: str
    nonlin_kwargs: dict[str, bool | float] | None = None


class Architecture(msgspec.Struct, frozen=True, kw_only=True):
    """The network's class and arguments."""

    network_class_name: str
    arch_kwargs: ArchitectureArguments

    @property
    def kind(self) -> str:
        """The class's own name."""
        return self.network_class_name.rpartition(".")[2]

    @property
    def repeats(self) -> list[int]:
        """Number of convolutions, or of residual blocks, of each encoder stage.

        Raises:
            InputError: the network is neither of the two, is not 3D, or a list has another length.
        """
        arguments = self.arch_kwargs
        repeats = {PLAIN: arguments.n_conv_per_stage, RESIDUAL: arguments.n_blocks_per_stage}.get(self.kind)
        if repeats is None:
            raise InputError(
                f'plans.json: the network "{self.kind}" has no translation; expected {PLAIN} or {RESIDUAL}'
            )
        stages = arguments.n_stages
        lists = (arguments.features_per_stage, arguments.kernel_sizes, arguments.strides, repeats)
        triples = [*arguments.kernel_sizes, *arguments.strides]
        counts = [*arguments.features_per_stage, *repeats, *arguments.n_conv_per_stage_decoder]
        counts += [size for triple in triples for size in triple]
        fits = stages > 1 and all(len(each) == stages for each in lists) and all(len(each) == 3 for each in triples)
        if not fits or len(arguments.n_conv_per_stage_decoder) != stages - 1 or min(counts) < 1:
            raise InputError(f"plans.json: expected {stages} stages of a 3D network in every list of arch_kwargs")
        return repeats


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration, such as ``3d_fullres``; triples are along the network's axes D, H, W."""

    spacing: list[float]
    patch_size: list[int]
    normalization_schemes: list[str]
    use_mask_for_norm: list[bool]
    architecture: Architecture
    preprocessor_name: str = "DefaultPreprocessor"
    resampling_fn_data: str = "resample_data_or_seg_to_shape"
    previous_stage: str | None = None


class IntensityProperties(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of the foreground over the training cases."""

    mean: float
    std: float
    percentile_00_5: float
    percentile_99_5: float


class Plans(msgspec.Struct, frozen=True, kw_only=True):
    """The plans of a data set."""

    dataset_name: str
    image_reader_writer: str
    transpose_forward: list[int]
    configurations: dict[str, dict[str, Any]]
    foreground_intensity_properties_per_channel: dict[str, IntensityProperties]

    def configuration(self, name: str) -> Configuration:
        """Returns a configuration with what it inherits from others.

        Raises:
            InputError: there is none of that name, or it is not as nnU-Net writes it.
        """
        return decoded(_with_architecture(self._merged(name, ())), Configuration, f'plans.json, configuration "{name}"')

    def _merged(self, name: str, seen: tuple[str, ...]) -> dict[str, Any]:
        if name not in self.configurations or name in seen:
            known = ", ".join(self.configurations)
            raise InputError(f'plans.json: no configuration "{name}" that ends its inheritance; it has {known}')
        own = self.configurations[name]
        parent = own.get("inherits_from")
        return {**self._merged(parent, (*seen, name)), **own} if isinstance(parent, str) else own


class DatasetDescription(msgspec.Struct, frozen=True, kw_only=True):
    """The data set's channels and labels; a label with several values is a region."""

    channel_names: dict[str, str]
    labels: dict[str, int | list[int]]


def read_json(path: Path, kind: type[_Kind]) -> _Kind:
    """Reads a JSON file as one of these types; further fields are ignored.

    Raises:
        InputError: the file cannot be read, or lacks a field or has it in another form.
    """
    try:
        content = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        raise_shortage(error, f'"{path.name}"')
        raise InputError(f'"{path.name}" cannot be read: {error}') from None
    return decoded(content, kind, path.name)


def decoded(content: Any, kind: type[_Kind], named: str) -> _Kind:
    """Converts decoded JSON to one of these types.

    Raises:
        InputError: a field is missing or has another form.
    """
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise InputError(
            f"{named} is not as nnU-Net v2 writes it, or has no translation into bedside: {error}"
        ) from None


def _with_architecture(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns a configuration with the field ``architecture``; plans before nnU-Net 2.4 have others instead."""
    if "architecture" in content or "UNet_class_name" not in content:
        return content
    encoder = content.get("n_conv_per_stage_encoder", [])
    base, most = content.get("UNet_base_num_features", 0), content.get("unet_max_num_features", 0)
    blocks = "n_conv_per_stage" if content["UNet_class_name"] == PLAIN else "n_blocks_per_stage"
    arguments = {
        "n_stages": len(encoder),
        "features_per_stage": [min(base * 2**stage, most) for stage in range(len(encoder))],
        "conv_op": "Conv3d",
        "kernel_sizes": content.get("conv_kernel_sizes"),
        "strides": content.get("pool_op_kernel_sizes"),
        blocks: encoder,
        "n_conv_per_stage_decoder": content.get("n_conv_per_stage_decoder"),
        "conv_bias": True,
        "norm_op": "InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "nonlin": "LeakyReLU",
    }
    return {**content, "architecture": {"network_class_name": content["UNet_class_name"], "arch_kwargs": arguments}}
