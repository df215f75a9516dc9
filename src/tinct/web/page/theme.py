"""How the page looks: fonts that are there already, and room for a phone."""

from __future__ import annotations

from typing import Any

_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
_MONO = ("ui-monospace", "Menlo", "Consolas", "monospace")


def theme() -> Any:
    """The theme, without any font of its own."""
    import gradio as gr

    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal, neutral_hue=gr.themes.colors.gray, font=_FONTS, font_mono=_MONO
    )


HEAD = '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'

STYLE = """
.gradio-container { max-width: min(76rem, 100vw) !important; margin: 0 auto !important; }
#title h1 { font-size: 1.6rem; font-weight: 650; margin: .2rem 0 0; }
#title p { margin: 0; opacity: .75; }
.progress { display: grid; gap: .5rem; }
.progress progress { width: 100%; height: .6rem; accent-color: #0d9488; }
.progress img { width: 100%; max-height: 60vh; object-fit: contain; background: #8881; border-radius: 6px; }
.progress img.small { image-rendering: pixelated; max-width: 24rem; margin: 0 auto; }
.problem { border-left: 4px solid #c2410c; padding: .6rem .9rem; background: #c2410c18; border-radius: 4px; }
.told { opacity: .8; }
a.download { display: inline-block; padding: .6rem 1.1rem; border-radius: 6px; background: #0f766e; color: #fff !important;
  font-weight: 600; text-decoration: none; }
a.download:focus-visible, button:focus-visible, input:focus-visible, textarea:focus-visible
  { outline: 3px solid #0d9488 !important; outline-offset: 2px; }
.digits img { image-rendering: pixelated; }
.cards table { display: block; overflow-x: auto; }
#colour-examples#colour-examples .grid-container.grid-container { grid-template-columns: repeat(5, minmax(0, 1fr)) !important; }
.gradio-container .main { min-width: 0 !important; }
.gradio-container .grid-wrap { max-height: none !important; min-height: 0 !important; height: auto !important; }
@media (max-width: 640px) {
  .gradio-container .grid-container { grid-template-columns: repeat(2, minmax(0, 1fr)) !important; }
  .gradio-container .main { padding: .5rem !important; }
  #colour-examples .caption-label { display: none; }
}
"""
