from __future__ import annotations

import pytest
from bedside.runtime.lazy_names import lazy_names

from ..fresh_process import run_fresh

WITHOUT_TORCH = """
import json, sys
from importlib import import_module

sys.modules["torch"] = None
from bedside.runtime import MissingExtraError

refused = []
package = import_module(sys.argv[1])
for name in package.__all__:
    try:
        getattr(package, name)
    except MissingExtraError as error:
        assert str(error) == "torch is not installed; run: pip install 'bedside[train]'"
        refused.append(name)
print(json.dumps(refused))
"""


def test_a_name_is_imported_when_it_is_first_used_and_then_kept():
    namespace = {"__name__": "bedside.runtime"}
    get = lazy_names(namespace, {"ExitCode": "errors"})
    assert "ExitCode" not in namespace
    assert get("ExitCode").__module__ == "bedside.runtime.errors"
    assert namespace["ExitCode"] is get("ExitCode")


def test_an_unknown_name_is_an_attribute_error_as_of_any_module():
    with pytest.raises(AttributeError, match=r"module 'bedside\.runtime' has no attribute 'Nothing'"):
        lazy_names({"__name__": "bedside.runtime"}, {})("Nothing")


@pytest.mark.parametrize(
    ("package", "some"),
    [
        ("bedside.runtime", set()),
        ("bedside.devices", set()),
        ("bedside.training", {"Hardware"}),
        ("bedside.teacher", {"train_teacher", "load_teacher"}),
        ("bedside.distill", {"DistillationLoss", "distill", "load_student"}),
        ("bedside.export.networks", {"open_network"}),
    ],
)
def test_without_torch_a_name_that_needs_it_says_which_extra_brings_it_and_the_others_work(package, some):
    refused = set(run_fresh(WITHOUT_TORCH, package))
    assert refused >= some
    assert bool(refused) == bool(some)
    assert not refused & {"Recipe", "load_dataset", "build_student", "build_teacher", "default_recipe"}
