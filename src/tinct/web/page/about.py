"""The tab that says what the models are, and what their colours are not."""

from __future__ import annotations

from typing import Any

import gradio as gr

from tinct import __version__
from tinct.web.page.desk import Desk

TITLE, UNLOADED = "About", "can't be loaded"
HONESTY = """
## Colours here are invented

A gray photograph does not say what colour anything had. tinct shows what is plausible, as its models learned it from other
photographs: another seed is another answer, and none is the truth. The light is the photograph's own, exactly; the colours are
**synthetic**. Every file that is made says so in its metadata. Please say so too where you show it, and don't take a colour for
evidence: not of a person, a uniform, a flag or a place. Digits and other pictures from noise are nobody's handwriting.

Where a colour is known, give it as a hint.

Everything is done on the machine that serves this page. Nothing is sent anywhere; what is uploaded and made is removed after
{minutes:g} minutes.
"""


def build(desk: Desk) -> None:
    """Places the tab."""
    gr.Markdown(HONESTY.format(minutes=desk.engine.limits.keep_minutes))
    gr.Markdown(f"tinct {__version__} · [the API](/api/v1/docs)\n\n## Models")
    for told in desk.models.described():
        with gr.Accordion(_title(told), open=False):
            gr.Markdown(told.get("card") or _facts(told), elem_classes="cards")


def _title(told: dict[str, Any]) -> str:
    does = "colours" if told.get("colours") else "makes pictures" if told.get("generates") else "tells pictures apart"
    return f"{told['name']}: {UNLOADED if 'error' in told else does}"


def _facts(told: dict[str, Any]) -> str:
    """Of a model without a card."""
    known = {
        "family": told.get("family"),
        "trained on": told.get("trained_on"),
        "licence": told.get("licence"),
        "problem": told.get("error"),
    }
    return "\n".join(f"- {name}: {value}" for name, value in known.items() if value) or "Nothing is known of it."
