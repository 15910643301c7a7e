"""A package that is not installed is named with the extra that installs it."""

import pytest
import tomli
from bedside.runtime.errors import MissingExtraError
from bedside.runtime.extras import PACKAGES, extra_named

from ..test_floors import ROOT


@pytest.mark.parametrize(
    ("package", "shown", "extra"),
    [("torch", "torch", "train"), ("segment_anything", "segment-anything", "train"), ("pydicom", "pydicom", "dicom")],
)
def test_a_package_of_an_extra_is_named_with_it_also_where_a_part_of_it_is_imported(package, shown, extra):
    message = rf"{shown} is not installed; run: pip install 'bedside\[{extra}\]'"
    with pytest.raises(MissingExtraError, match=message), extra_named():
        raise ModuleNotFoundError(f"No module named '{package}'", name=f"{package}.nn")


@pytest.mark.parametrize("name", ["somebodys_network", "", None])
def test_a_missing_module_of_somebody_else_stays_what_it_is(name):
    with pytest.raises(ModuleNotFoundError), extra_named():
        raise ModuleNotFoundError("No module", name=name)


@pytest.mark.parametrize("extra", PACKAGES)
def test_an_extras_packages_are_those_that_it_installs(extra):
    table = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    installed = " ".join(table[extra])
    assert [package for package in PACKAGES[extra] if package.replace("_", "-") not in installed] == []
