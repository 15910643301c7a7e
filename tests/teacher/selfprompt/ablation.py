"""The rows of the ablation in the paper's Table 3, as options."""

BARE = {"adapter": "none", "depth_position": False, "modality_adapter": False, "class_adapter": False}
ABLATION = {
    "S1": {**BARE, "generator": "stacked"},
    "S2": BARE,
    "S3": {**BARE, "adapter": "plain"},
    "S4": {**BARE, "adapter": "before"},
    "S5": {**BARE, "adapter": "after"},
    "S6": {**BARE, "adapter": "fused"},
    "S7": {**BARE, "adapter": "fused", "depth_position": True},
    "S8": {"class_adapter": False},
    "S9": {},
}
