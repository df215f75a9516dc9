"""The tab that compares: one photograph, coloured by several models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from tinct.errors import ConfigError
from tinct.web.page import pictures
from tinct.web.page.desk import Desk, session_of, shown_problem, shown_progress
from tinct.web.page.form import Form

TITLE = "Compare"
_OPTIONS = ("seed", "saturation", "force")


def build(desk: Desk) -> None:
    """Places the tab."""
    form, names = Form("colorize", "compare"), desk.named("colours")
    with gr.Row():
        with gr.Column(scale=5):
            file = gr.File(label="One photograph", type="filepath", elem_id="compare-file", height=140)
            models = gr.CheckboxGroup(names, value=names[:2], label="Models", elem_id="compare-models")
            again = gr.Button("Look for new models", size="sm")
            form.place(*_OPTIONS)
            with gr.Row():
                begin = gr.Button("Compare", variant="primary", elem_id="compare-begin")
                cancel = gr.Button("Cancel", elem_id="compare-cancel")
        with gr.Column(scale=7):
            status = gr.HTML('<p class="told">Choose a photograph and models.</p>', elem_id="compare-status")
            gallery = gr.Gallery(
                label="The photograph, and what each model makes of it", columns=2, object_fit="contain", buttons=["fullscreen"],
                interactive=False, format="jpeg", elem_id="compare-gallery", visible=False,
            )  # fmt: skip

    def compare(request: gr.Request, file: str | None, chosen: list[str], *given: Any) -> Iterator[Any]:
        """The pictures of one model after the other."""
        made: list[tuple[Any, str]] = []
        try:
            if not file:
                raise ConfigError("no photograph: choose one")
            if not chosen:
                raise ConfigError("no model: choose at least one")
            for name in chosen:
                job = desk.submit(session_of(request), "colorize", {**form.values(given), "model": name}, [file])
                for record in desk.follow(job):
                    yield shown_progress(record, f"{name}: "), gr.skip()
                made = made or [(pictures.small(Path(file)), "the photograph")]
                made.append((pictures.small(pictures.pictures_of(job)[0].data), name))
                yield gr.skip(), gr.update(value=list(made), visible=True)
            yield f'<p role="status">{len(chosen)} of {len(chosen)} models.</p>', gr.skip()
        except Exception as error:
            yield shown_problem(error), gr.skip()

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    begin.click(compare, [file, models, *form.inputs], [status, gallery], **quiet)
    cancel.click(desk.leave, None, None, **quiet)
    again.click(lambda: gr.update(choices=desk.named("colours")), None, models, **quiet)
