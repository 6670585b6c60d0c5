"""The hooks of the documents' site, on a small repository of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="MkDocs is not installed")
pytestmark = pytest.mark.slow  # a site is built

ROOT = Path(__file__).parents[2]
CONFIG = """
site_name: small
theme: {name: mkdocs, highlightjs: false}
hooks: [docs/site_hooks.py]
exclude_docs: /site_hooks.py
plugins: []
validation: {links: {not_found: warn, anchors: warn}}
nav: [README.md, page.md]
not_in_nav: "*"
"""
FILES = {
    "mkdocs.yml": CONFIG,
    "README.md": "# Home\n\n[page](docs/page.md#part) ![](docs/seen.png) [all](docs/)\n",
    "docs/page.md": "# Page\n\n## Part\n\n[up](../README.md) [one](../examples/one.py) [all](../examples)\n",
    "docs/seen.png": "",
    "examples/one.py": "print('one < two')\n",
    "CHANGELOG.md": "# Changes\n",
    "CONTRIBUTING.md": "# Contributing\n",
    "SECURITY.md": "# Security\n",
}


@pytest.fixture
def repository(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    shutil.copy(ROOT / "docs" / "site_hooks.py", tmp_path / "docs")
    return tmp_path


def build(repository):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True)


def test_links_of_the_repository_lead_to_pages_of_the_site(repository):
    done = build(repository)
    assert done.returncode == 0, done.stderr
    site = repository / "site"
    home, page = ((site / name).read_text("utf-8") for name in ("index.html", "page/index.html"))
    assert 'href="page/#part"' in home
    assert 'src="seen.png"' in home
    assert "print('one &lt; two')" in (site / "examples/one.py/index.html").read_text("utf-8")
    assert 'href="../examples/one.py/"' in page
    assert 'href="../examples/"' in page
    assert "one.py/" in (site / "examples/index.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("[gone](../examples/two.py)", "examples/two.py"),
        ("[gone](page.md#other)", "no such anchor"),
        ('<script src="https://cdn.invalid/x.js"></script>', "would fetch from other hosts"),
        ("![](//cdn.invalid/x.png)", "would fetch from other hosts"),
    ],
)
def test_a_broken_link_or_a_file_from_elsewhere_ends_the_build(repository, added, message):
    with (repository / "docs" / "page.md").open("a") as page:
        page.write(f"\n{added}\n")
    done = build(repository)
    assert done.returncode != 0
    assert message in done.stderr + done.stdout
