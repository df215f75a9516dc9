"""The site: it is built without a warning, loads nothing from elsewhere, and has what is made for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from shown import ROOT

from sitepages import commands, formulas, options, outside, text
from tinct import recipes
from tinct.cli.main import COMMANDS
from tinct.config import complete, leaves
from tinct.families import FAMILIES


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    call = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        call, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Loaded(HTMLParser):
    """What a browser fetches by itself for a page."""

    LINKS = frozenset({"stylesheet", "icon", "preload", "modulepreload", "preconnect", "prefetch", "manifest"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "link" and self.LINKS & set(given.get("rel", "").split()):
            self.addresses.append(given.get("href", ""))
        self.addresses += [given[name] for name in ("src", "srcset", "poster", "data") if name in given]
        self.addresses += re.findall(r"url\(([^)]*)\)", given.get("style", ""))


def test_nothing_is_loaded_from_another_host(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        addresses = Loaded(page.read_text(encoding="utf-8")).addresses
        assert addresses
        assert not [address for address in addresses if re.match(r"(\w+:)?//", address)], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(\w+:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_what_would_be_loaded_is_seen():
    page = '<link rel="stylesheet" href="https://a/b.css"><a href="https://c"><img src=d.png><script src="//e/f.js"></script>'
    assert Loaded(page).addresses == ["https://a/b.css", "d.png", "//e/f.js"]


def test_links_between_pages_lead_somewhere(site):
    """In the built pages too, where links to files outside docs/ are others than in the repository."""
    for page in site.rglob("*.html"):
        for address in re.findall(r'<a [^>]*href="([^"#:]+)[^":]*"', page.read_text(encoding="utf-8")):
            assert (page.parent / address).exists() or page.name == "404.html", f"{page}: {address}"


def test_every_command_family_card_and_public_name_has_its_place(site):
    def shown(page: str) -> str:
        return (site / page).read_text(encoding="utf-8")

    assert all((site / "commands" / f"{name}.html").is_file() for name in COMMANDS)
    assert all(f'id="{name}"' in shown("configuration.html") for name in FAMILIES)
    assert all((site / "models" / f"{Path(card).stem}.html").is_file() for card in outside.cards())
    assert all(f'id="tinct.{name}"' in shown("api.html") for name in ("load", "colorize", "generate", "candidates"))
    assert "jumps" in shown("models/photo.html")
    assert 'href="../colouring.html#the-rule"' in shown("models/photo.html")
    assert 'href="files/examples/onnx_runner.py.html"' in shown("onnx.html")


def test_pages_of_commands_say_what_help_says():
    page = commands.pages()["commands/models.md"]
    assert page.startswith("\n# tinct models\n")
    assert {"## tinct models list", "## tinct models results"} <= set(page.splitlines())
    train = commands.pages()["commands/train.md"]
    assert r"`--recipe NAME\|FILE`" in train
    assert "the optimizer's memory of gradients; 0.5 steadies an adversarial game \\[default: 0.9\\]" in train
    assert "~~~~~~text\ntinct train\ntinct train --data tiny" in train


def test_the_page_of_options_has_every_option_of_every_family():
    page = options.page()
    for family in FAMILIES.values():
        for schema, prefix in ((family.Options, "model."), (family.Losses, "loss.")):
            for leaf in leaves(complete(schema()), prefix):
                assert re.search(rf"\| `{re.escape(leaf.path)}` \|.*{re.escape(text.escaped(leaf.help))} \|", page)
    assert "| `learning_rate` | `0.0002` | number from 1e-09 |" in page
    assert "| `spacing` |  | `uniform`, `karras`, " in page


def test_the_page_of_options_has_every_recipe():
    page = options.page()
    for name in recipes.names():
        section = page.partition(f"### {name}\n")[2].partition("\n#")[0]
        given = recipes.load(name).get("training", {})
        assert all(f"| `training.{option}` | " in section for option in given)


def headings(page: str) -> Iterator[str]:
    return (line for line in page.splitlines() if line.startswith("#"))


def test_networks_of_one_name_are_told_apart():
    found = list(headings(options.page()))
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("url", "source", "page", "expected"),
    [
        ("../ARCHITECTURE.md#seams", "docs/api.md", "api.md", "architecture.md#seams"),
        ("../README.md", "docs/api.md", "api.md", "index.md"),
        ("../src/tinct/zoo/photo.md", "docs/benchmarks.md", "benchmarks.md", "models/photo.md"),
        (
            "../../../docs/colouring.md#the-rule",
            "src/tinct/zoo/photo.md",
            "models/photo.md",
            "../colouring.md#the-rule",
        ),
        ("../../../docs/images/digits.png", "src/tinct/zoo/digits.md", "models/digits.md", "../images/digits.png"),
        ("docs/extending.md", "ARCHITECTURE.md", "architecture.md", "extending.md"),
        ("../examples/demo.py", "docs/x.md", "x.md", "files/examples/demo.py.md"),
        ("../examples/", "docs/x.md", "x.md", "files/examples.md"),
        ("hints.md", "docs/x.md", "x.md", "hints.md"),
        ("#here", "docs/x.md", "x.md", "#here"),
        ("https://example.org/a#b", "docs/x.md", "x.md", "https://example.org/a#b"),
    ],
)
def test_links_go_where_a_file_is_on_the_site(url, source, page, expected):
    assert outside.relinked(url, source, page) == expected


def test_files_that_are_linked_to_come_along():
    found = outside.linked(["docs/onnx.md", "docs/benchmarks.md"])
    assert {"examples/onnx_runner.py", "src/tinct/zoo/photo.md"} <= found
    page = outside.text_of("examples/onnx_runner.py")
    assert (ROOT / "examples" / "onnx_runner.py").read_text(encoding="utf-8").rstrip() in page
    assert "- [tone_family.py](examples/tone_family.py)" in outside.text_of("examples")


def test_formulas_become_mathml():
    inline = formulas.with_formulas(r'<p>so <span class="arithmatex">\(x_t = \alpha_t x_0 &lt; 1\)</span>.</p>')
    assert inline.startswith('<p>so <math xmlns="http://www.w3.org/1998/Math/MathML" display="inline">')
    assert "<msub><mi>x</mi><mi>t</mi></msub>" in inline
    assert "<mo>&#x0003C;</mo>" in inline
    block = formulas.with_formulas('<div class="arithmatex">\\[\n\\frac{1}{2}\n\\]</div>')
    assert block.startswith('<div class="formula"><math')
    assert "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>2</mn></mrow></mfrac>" in block
    assert formulas.with_formulas("<p>5 $ and 6 $</p>") == "<p>5 $ and 6 $</p>"


@pytest.mark.parametrize("latex", [r"\alfa + 1", r"\left( x", r"{x", r"x\}}"])
def test_a_formula_that_cannot_be_shown_is_an_error(latex):
    with pytest.raises(formulas.FormulaError, match=re.escape(latex.strip())):
        formulas.mathml(latex)


def test_text_stays_what_it_is():
    assert text.escaped("a_b *c* [d] <e> `f|g_h`") == r"a\_b \*c\* \[d\] &lt;e&gt; `f\|g_h`"
    assert text.escaped("one ` stays") == "one \\` stays"
    assert text.with_bars(r"<td><code>a\|b</code></td><p>c\|d</p>") == r"<td><code>a|b</code></td><p>c\|d</p>"
