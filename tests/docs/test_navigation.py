"""The site lists every page, in the groups of the README."""

import posixpath

import pytest

from ..test_docs import DOCUMENTS, ROOT


def listed(navigation, page):
    """Returns the pages that the site lists below a page, and those below them."""
    text = (ROOT / f"{page}.md").read_text(encoding="utf-8")
    groups = navigation.page_groups(text).values() if page == "README" else [navigation.pages_below(text)]
    folder = posixpath.dirname(page)
    below = [posixpath.join(folder, name) for group in groups for name in group]
    return below + [deeper for name in below if name.endswith("/README") for deeper in listed(navigation, name)]


def test_the_site_lists_every_page_of_the_repository_once(navigation):
    pages = sorted(file.relative_to(ROOT).with_suffix("").as_posix() for file in DOCUMENTS)
    assert sorted(["README", *listed(navigation, "README")]) == pages


def test_the_groups_of_the_site_are_those_of_the_readme(navigation):
    groups = navigation.page_groups((ROOT / "README.md").read_text(encoding="utf-8"))
    assert [name for name in groups if len(groups[name]) > 1] == ["Train", "Embed", "Integrate", "Change"]
    assert groups["Train"]["docs/data"] == "Data sets"


def test_a_group_ends_where_the_next_begins_and_the_list_with_the_text_below(navigation):
    readme = "# x\n\n## Where to go\n\n- Use: [a](a.md),\n  [b](b.md#part)\n- Make: [c d](c.md)\n\nSee [e](e.md).\n"
    assert navigation.page_groups(readme) == {"Use": {"a": "A"}, "Make": {"c": "C d"}}


def test_a_readme_without_the_list_is_refused(navigation):
    with pytest.raises(ValueError, match="Where to go"):
        navigation.page_groups("# x\n\n- Use: [a](a.md)\n")


def test_the_list_of_pages_is_a_toctree_of_myst(navigation):
    assert navigation.toctree(["A <a>", "b"], "Use") == "\n```{toctree}\n:hidden:\n:caption: Use\n\nA <a>\nb\n```\n"
