"""Region codes do what MONAI's attention masks do, and the exported graph holds no mask."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import pytest
import torch
from bedside.export.onnx_graphs.window_attention import RegionAttention, region_codes, region_numbers, replace_masks
from bedside.runtime.engines import open_engine
from bedside.runtime.errors import BundleError
from monai.networks.nets.swin_unetr import WindowAttention, compute_mask

PATCH = (64, 64, 64)
WINDOW = (4, 4, 4)
TOKENS = 64


@pytest.fixture(scope="module")
def mask() -> torch.Tensor:
    """3 × 2 × 2 windows of 4³, shifted by 2: those in the corner hold eight regions."""
    return compute_mask((12, 8, 8), WINDOW, (2, 2, 2), torch.device("cpu"))


@pytest.fixture(scope="module")
def patch() -> torch.Tensor:
    return torch.rand(1, 1, *PATCH, generator=torch.Generator().manual_seed(1))


def attention(**options: bool) -> WindowAttention:
    torch.manual_seed(2)
    module = WindowAttention(12, num_heads=3, window_size=WINDOW, **options).eval()
    with torch.no_grad():
        module.relative_position_bias_table.normal_(std=2.0)
        module.qkv.weight.mul_(4.0)
    return module


def test_two_tokens_have_the_same_number_exactly_where_the_mask_is_0(mask):
    most = 0
    for window, numbers in zip(mask.tolist(), region_numbers(mask).tolist(), strict=True):
        assert set(numbers) == set(range(len(set(numbers))))
        most = max(most, len(set(numbers)))
        for row, one in zip(window, numbers, strict=True):
            for value, other in zip(row, numbers, strict=True):
                assert (one == other) == (value == 0)
    assert most == 8


def test_three_tokens_of_two_regions():
    mask = torch.tensor([[[0.0, -100, 0], [-100, 0, -100], [0, -100, 0]]])
    assert region_numbers(mask).tolist() == [[0, 1, 0]]


def test_a_mask_of_nine_regions_is_refused():
    with pytest.raises(BundleError, match="9 regions in a window"):
        region_numbers(torch.where(torch.eye(9) == 1, 0.0, -100.0)[None])


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([[0, 0, -100], [0, 0, 0], [-100, 0, 0]], id="not regions: 1 with 2, 2 with 3, but not 1 with 3"),
        pytest.param([[0, -1], [-1, 0]], id="a penalty that lets some attention through"),
    ],
)
def test_a_mask_that_is_none_of_regions_is_refused(rows):
    with pytest.raises(BundleError, match="expected at most 8 regions"):
        region_numbers(torch.tensor([rows], dtype=torch.float32))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_codes_product_is_0_within_a_region_and_at_most_minus_128_across(dtype):
    query, key = (codes.to(dtype) for codes in region_codes())
    products = query @ key.T
    assert products.dtype == dtype
    assert products.diagonal().tolist() == [0.0] * 8
    assert float((products - 128 * torch.eye(8, dtype=dtype)).max()) == -128


@pytest.mark.parametrize("qkv_bias", [False, True])
@pytest.mark.parametrize("flash", [False, True])
@pytest.mark.parametrize("shifted", [False, True])
def test_it_computes_what_monais_attention_computes(mask, qkv_bias, flash, shifted):
    module = attention(qkv_bias=qkv_bias, use_flash_attention=flash)
    tokens = torch.randn(2 * len(mask), TOKENS, 12, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        expected = module(tokens, mask if shifted else None)
        answer = RegionAttention(module, TOKENS, region_numbers(mask) if shifted else None)(tokens)
    assert torch.allclose(answer, expected, atol=1e-5)


def test_a_token_sees_nothing_of_another_region(mask):
    module = RegionAttention(attention(), TOKENS, region_numbers(mask))
    tokens = torch.randn(len(mask), TOKENS, 12, generator=torch.Generator().manual_seed(4))
    own = mask[:, 0] == 0  # the region of each window's first token
    changed = torch.where(own[..., None], tokens, -tokens)
    with torch.inference_mode():
        assert torch.equal(module(tokens)[own], module(changed)[own])
        assert not torch.allclose(module(tokens)[~own], module(changed)[~own], atol=0.1)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_exported_swin_unetr_gives_torchs_logits(swin, swin_onnx, patch, engine):
    with torch.inference_mode():
        expected = swin(patch).numpy()
    logits = open_engine(engine, swin_onnx.SerializeToString(), threads=1).infer(patch.numpy())
    assert np.abs(logits - expected).max() <= 1e-4 * np.ptp(expected)


def test_without_the_codes_the_same_network_is_a_hundred_times_further_off(swin, patch):
    """So the agreement above does show that windows are masked."""
    replaced = copy.deepcopy(swin)
    replace_masks(replaced, PATCH)
    masked = [module for module in replaced.modules() if getattr(module, "regions", None) is not None]
    assert len(masked) == 2  # the second blocks of the first and the second stage
    for module in masked:
        module.query_codes.zero_()
    with torch.inference_mode():
        expected, answer = swin(patch), replaced(patch)
    assert float((answer - expected).abs().max() / (expected.max() - expected.min())) >= 1e-2


def test_no_mask_is_in_the_graph_and_none_is_computed(swin_onnx):
    shaped = onnx.shape_inference.infer_shapes(swin_onnx, data_prop=True).graph
    shapes = [tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim) for value in shaped.value_info]
    square = [shape for shape in shapes if shape[-2:] == (343, 343)]
    assert square, "expected the attention's own products"
    windows = {125, 27}  # 32³ and 16³ tokens in windows of 7³
    assert not [shape for shape in square if len(shape) > 4 or windows & set(shape[:-2])]


def test_the_largest_constant_is_a_weight_or_the_index_of_the_position_bias(swin_onnx):
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in swin_onnx.graph.initializer}
    weights = max(size for name, size in sizes.items() if "weight" in name)
    assert max(sizes.values()) <= max(weights, 343 * 343)


def test_the_masks_are_recorded_without_computing_an_attention(swin, monkeypatch):
    def computed(*_):
        raise AssertionError("an attention was computed")

    replaced = copy.deepcopy(swin)
    monkeypatch.setattr(WindowAttention, "forward", computed)
    replace_masks(replaced, PATCH)
    assert sum(isinstance(module, RegionAttention) for module in replaced.modules()) == 6


def test_an_attention_that_the_network_does_not_use_stays(swin):
    replaced = copy.deepcopy(swin)
    replaced.unused = attention()
    replace_masks(replaced, PATCH)
    assert isinstance(replaced.unused, WindowAttention)


def test_a_network_without_swin_blocks_is_left_as_it_is(toy_student):
    before = list(toy_student.modules())
    replace_masks(toy_student, (8, 12, 16))
    assert list(toy_student.modules()) == before


def test_the_given_model_keeps_its_masks(swin, swin_onnx):
    assert sum(isinstance(module, WindowAttention) for module in swin.modules()) == 6
    assert not [module for module in swin.modules() if isinstance(module, RegionAttention)]
