import numpy as np
import torch
from bedside.export.locator.any_organ import AnyOrgan


def test_its_organ_probability_is_one_minus_the_backgrounds():
    torch.manual_seed(0)
    network = torch.nn.Conv3d(1, 5, 1)
    image = torch.randn(2, 1, 3, 4, 5)
    with torch.inference_mode():
        joined = AnyOrgan(network)(image)
        background = network(image).softmax(1)[:, 0]
    assert joined.shape == (2, 2, 3, 4, 5)
    assert np.allclose(joined.softmax(1)[:, 1].numpy(), 1 - background.numpy(), atol=1e-6)
