import re

import pytest
from bedside.runtime.errors import MissingExtraError
from bedside.runtime.files import html_page
from bedside.runtime.files.html_page import check_packages, write_page


@pytest.fixture
def template(tmp_path):
    path = tmp_path / "mine.html.j2"
    path.write_text(
        '{% extends "page.html.j2" %}{% block title %}{{ name }}{% endblock %}'
        '{% block body %}<img src="{{ picture|data_uri }}">{{ version }}{% endblock %}'
    )
    return path


def test_a_page_has_the_style_its_pictures_and_nothing_from_elsewhere(tmp_path, template):
    page = write_page(tmp_path / "page.html", template, {"name": "A & B", "picture": b"\x89PNG"}).read_text()
    assert "<title>A &amp; B</title>" in page
    assert "data:image/png;base64,iVBORw==" in page
    assert "<style>" in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_a_field_that_the_template_lacks_is_an_error_and_the_old_page_stays(tmp_path, template):
    (tmp_path / "page.html").write_text("old")
    with pytest.raises(Exception, match="'name' is undefined"):
        write_page(tmp_path / "page.html", template, {"picture": b""})
    assert (tmp_path / "page.html").read_text() == "old"


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, package):
    monkeypatch.setattr(html_page, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(MissingExtraError, match=rf"{package} is not installed; run: pip install 'bedside\[report\]'"):
        check_packages()
