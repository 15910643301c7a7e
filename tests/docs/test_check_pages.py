"""The check of the built site finds links that lead nowhere and what a page would load from another host."""

import sys

import pytest


@pytest.fixture
def site(tmp_path):
    def write(body, name="index.html"):
        (tmp_path / name).write_text(f"<!doctype html><html><body>{body}</body></html>", encoding="utf-8")
        return tmp_path

    write('<h2 id="part">Part</h2><a href="index.html">home</a>', "other page.html")
    return lambda body: write(body)


@pytest.mark.parametrize(
    "body",
    [
        '<a href="other%20page.html">page</a>',
        '<a href="other%20page.html#part">place</a>',
        '<p id="here"><a href="#here">place</a>',
        '<a href="https://example.org/x.html">a link to follow</a>',
        '<a href="#">top</a>',
        '<img src="data:image/png;base64,AAAA">',
    ],
)
def test_a_link_that_leads_somewhere_is_no_finding(check_pages, site, body):
    assert list(check_pages.findings(site(body))) == []


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        ('<a href="gone.html">x</a>', "index.html: gone.html leads nowhere: no such file"),
        ('<img src="gone.png">', "index.html: gone.png leads nowhere: no such file"),
        ('<a href="#gone">x</a>', "index.html: #gone leads nowhere: the page has no 'gone'"),
        (
            '<a href="other%20page.html#gone">x</a>',
            "index.html: other%20page.html#gone leads nowhere: the page has no 'gone'",
        ),
    ],
)
def test_a_link_that_leads_nowhere_is_named_with_its_page(check_pages, site, body, finding):
    assert list(check_pages.findings(site(body))) == [finding]


@pytest.mark.parametrize(
    "body",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<script src="//cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="https://cdn.example/x.js">',
        '<link rel="preconnect" href="https://cdn.example/x.js">',
        '<img src="https://cdn.example/x.js">',
        '<img srcset="https://cdn.example/x.js 2x">',
        "<style>@font-face { src: url('https://cdn.example/x.js') }</style>",
        '<p style="background: url(https://cdn.example/x.js)">',
    ],
)
def test_what_a_page_loads_from_another_host_is_named(check_pages, site, body):
    (finding,) = check_pages.findings(site(body))
    assert "cdn.example/x.js from another host" in finding


def test_what_a_style_sheet_loads_from_another_host_is_named(check_pages, site):
    folder = site("")
    (folder / "a.css").write_text('@import "https://cdn.example/b.css"; p { color: red }', encoding="utf-8")
    assert list(check_pages.findings(folder)) == ["a.css: loads https://cdn.example/b.css from another host"]


@pytest.mark.parametrize(("body", "code"), [("", 0), ('<a href="gone.html">x</a>', 1)])
def test_the_script_fails_on_a_finding(check_pages, site, monkeypatch, capsys, body, code):
    monkeypatch.setattr(sys, "argv", ["check_pages.py", str(site(body))])
    assert check_pages.main() == code
    assert f"2 pages, {code} findings" in capsys.readouterr().out


def test_the_script_fails_on_a_folder_without_pages(check_pages, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["check_pages.py", str(tmp_path)])
    assert check_pages.main() == 1
