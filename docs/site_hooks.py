"""Hooks of the site's build (mkdocs.yml): what lies outside docs/, and a check that the site fetches nothing.

The site has docs/ at its root and, at their own paths, the files outside it that a document links to: pages
as pages, source shown in one, folders as a list. Links in the documents are those of the repository, so that
they work on a code host; they are turned into the site's while it is built.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
AS_THEY_ARE = {".png", ".svg", ".jpg", ".json"}
LINK = re.compile(r"(?<=\]\()([^)\s#]+)")
FENCE = re.compile(r"^(```+).*?^\1", re.MULTILINE | re.DOTALL)
# What a browser would fetch by itself: not the links that a reader may follow.
FETCHED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\s\"'>]+"
    r"|<link\b[^>]*\bhref=[\"']?(?:https?:)?//[^\s\"'>]+"
    r"|(?:@import\s*|url\()[\"']?(?:https?:)?//[^\s\"')]+"
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside docs/, and all that a document links to outside it."""
    documents = [ROOT / name for name in PAGES]
    documents += [Path(file.abs_src_path) for file in files.documentation_pages() if file.abs_src_path]
    reached = dict.fromkeys(documents)
    for path in (waiting := list(documents)):
        found = [target for target in _linked(path) if target not in reached]
        reached.update(dict.fromkeys(found))
        waiting += found
    for path in reached:
        uri = _uri(path)
        if files.get_file_from_path(uri) is None:
            content = _content(path)
            source = {"abs_src_path": str(path)} if content is None else {"content": content}
            # A shown source is no page of the table of contents.
            inclusion = InclusionLevel.UNDEFINED if content is None else InclusionLevel.NOT_IN_NAV
            files.append(File.generated(config, uri, inclusion=inclusion, **source))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Turn the links of a document into those of the site."""
    if page.file.abs_src_path is None:
        return markdown
    path, here = Path(page.file.abs_src_path), Path(page.file.src_uri).parent

    def moved(link: re.Match[str]) -> str:
        target = _target(path, link[1])
        return link[1] if target is None else os.path.relpath(_uri(target), here)

    return LINK.sub(moved, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Make sure that the site fetches nothing from elsewhere.

    Raises:
        PluginError: a page or a style names something of another host that a browser would fetch.
    """
    site = Path(config.site_dir)
    found = {
        f"{file.relative_to(site)}: {fetched[0]}"
        for pattern in ("*.html", "*.css")
        for file in site.rglob(pattern)
        for fetched in FETCHED.finditer(file.read_text("utf-8"))
    }
    if found:
        raise PluginError("the site would fetch from other hosts:\n" + "\n".join(sorted(found)))


def _linked(path: Path) -> Iterator[Path]:
    """Give the files and folders of the repository that one links to or holds."""
    if path.is_dir():
        yield from _entries(path)
    elif path.suffix == ".md":
        for link in LINK.findall(FENCE.sub("", path.read_text("utf-8"))):
            target = _target(path, link)
            if target is not None:
                yield target


def _target(path: Path, link: str) -> Path | None:
    """Return what a link of the document `path` means, if that is a file or folder of the repository."""
    target = Path(os.path.normpath(path.parent / link))
    if target == DOCS:
        return ROOT / "README.md"  # the site's first page
    return target if target.is_relative_to(ROOT) and target.exists() else None


def _uri(path: Path) -> str:
    """Return where the site has a file or folder of the repository, as the path of its source."""
    uri = path.relative_to(DOCS if path.is_relative_to(DOCS) else ROOT).as_posix()
    if path.is_dir():
        return f"{uri}/index.md"
    return uri if path.suffix == ".md" or not _shown(path) else f"{uri}.md"


def _shown(path: Path) -> bool:
    """Whether a file is shown in a page made for it; what lies in docs/ is copied."""
    return path.suffix not in AS_THEY_ARE and not path.is_relative_to(DOCS)


def _content(path: Path) -> str | None:
    """Return the page made for a folder or for source, None for what is taken as it is."""
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        links = [
            f"- [{entry.name}]({os.path.relpath(_uri(entry), Path(_uri(path)).parent)})"
            for entry in _entries(path)
        ]
        return f"# {name}/\n\n" + "\n".join(links) + "\n"
    if path.suffix == ".md" or not _shown(path):
        return None
    language = path.suffix.lstrip(".") or "text"
    return f"# {name}\n\n````{language}\n{path.read_text('utf-8')}````\n"


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith(("_", ".")))
