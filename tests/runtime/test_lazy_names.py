from __future__ import annotations

import pytest
from bedside.runtime.lazy_names import lazy_names


def test_a_name_is_imported_when_it_is_first_used_and_then_kept():
    namespace = {"__name__": "bedside.runtime"}
    get = lazy_names(namespace, {"ExitCode": "errors"})
    assert "ExitCode" not in namespace
    assert get("ExitCode").__module__ == "bedside.runtime.errors"
    assert namespace["ExitCode"] is get("ExitCode")


def test_an_unknown_name_is_an_attribute_error_as_of_any_module():
    with pytest.raises(AttributeError, match=r"module 'bedside\.runtime' has no attribute 'Nothing'"):
        lazy_names({"__name__": "bedside.runtime"}, {})("Nothing")
