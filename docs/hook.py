"""mkdocs calls this: it adds the pages that are made, turns links to files outside docs/ to where they are, and sets formulas.

Its parts are in docs/sitepages, as functions of text.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

from sitepages import commands, formulas, options, outside
from sitepages.text import with_bars


class Links(Extension):  # type: ignore[misc]  # Markdown has no types
    """Markdown's extension for links; mkdocs renders one page after the other, and `page` is the one it renders now."""

    page = ""
    pages: dict[str, str]  # page -> file of the repository, of those that are not of docs/

    def extendMarkdown(self, md: Markdown) -> None:
        md.treeprocessors.register(
            _Relinking(self), "tinct-links", 7
        )  # after links are read, before mkdocs checks them


class _Relinking(Treeprocessor):  # type: ignore[misc]
    def __init__(self, links: Links) -> None:
        super().__init__()
        self.links = links

    def run(self, root: Element) -> None:
        source = outside.source_of(self.links.pages, self.links.page)
        for element in root.iter():
            for name in ("href", "src"):
                if element.tag in ("a", "img") and (url := element.get(name)):
                    element.set(name, outside.relinked(url, source, self.links.page))


_links = Links()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts the made pages into the navigation: `commands/*` and `models/*` there stand for all of them."""
    _links.pages = {outside.page_of(path): path for path in outside.cards()}
    made = {"commands/*": list(commands.pages()), "models/*": list(_links.pages)}
    config.nav = _expanded(config.nav, made)
    config.markdown_extensions.append(_links)  # Markdown takes names and extensions
    return config


def _expanded(nav: Any, made: dict[str, list[str]]) -> Any:
    if isinstance(nav, dict):
        return {title: _expanded(inner, made) for title, inner in nav.items()}
    if isinstance(nav, list):
        lists = [made.get(item) if isinstance(item, str) else None for item in nav]
        return [page for item, pages in zip(nav, lists, strict=True) for page in pages or [_expanded(item, made)]]
    return nav


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the made pages, and the files outside docs/ that pages link to."""
    for page, text in {**commands.pages(), options.PAGE: options.page()}.items():
        files.append(File.generated(config, page, content=text))
    own = [
        f"docs/{file.src_uri}"
        for file in files.documentation_pages()
        if (outside.ROOT / "docs" / file.src_uri).is_file()
    ]
    always = {*outside.cards(), *outside.NAMED} - {"README.md"}
    for path in sorted(always | outside.linked([*own, *always])):
        page = outside.page_of(path)
        _links.pages[page] = path
        if page.endswith(".md"):
            files.append(File.generated(config, page, content=outside.text_of(path), inclusion=_listed(page)))
        else:
            files.append(File.generated(config, page, abs_src_path=str(outside.ROOT / path)))
    return files


def _listed(page: str) -> InclusionLevel:
    return InclusionLevel.NOT_IN_NAV if page.startswith("files/") else InclusionLevel.UNDEFINED


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Remembers which page is rendered next."""
    _links.page = page.file.src_uri
    return markdown


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Bars in tables, and formulas. A formula that can't be shown ends the build."""
    try:
        return formulas.with_formulas(with_bars(html))
    except formulas.FormulaError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from None
