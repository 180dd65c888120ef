"""Links of the documentation lead somewhere, and every page can be reached."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.doc_pages import DOCS, REPOSITORY, anchors, links, name_of, pages


def _nav_pages(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    for item in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _nav_pages(item)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_navigation_names_every_page_once() -> None:
    settings = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())
    named = list(_nav_pages(settings["nav"]))
    assert sorted(named) == sorted(page.relative_to(DOCS).as_posix() for page in pages() if DOCS in page.parents)


def test_every_picture_is_shown() -> None:
    shown = {(page.parent / link).resolve() for page in pages() for link in links(page)}
    assert [path for path in (DOCS / "images").iterdir() if path not in shown] == []


def test_readers_find_every_page_from_the_first_ones() -> None:
    found, to_visit = set(), [REPOSITORY / "README.md", DOCS / "index.md"]
    while to_visit:
        page = to_visit.pop()
        found.add(page)
        linked = {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}
        to_visit += [target for target in linked if target.suffix == ".md" and target not in found]
    assert [name_of(page) for page in pages() if page not in found and page.name != "CHANGELOG.md"] == []


def test_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(build, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text()
        assert 'src="http' not in text, page
        assert "fonts.googleapis" not in text, page
