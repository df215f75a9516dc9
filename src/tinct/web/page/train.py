"""The tab that shows training runs: their loss and their samples. Nothing is changed here."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from tinct import figures
from tinct.errors import TinctError
from tinct.training.folder import run_folder, run_names, stored_config, stored_history
from tinct.web.page import pictures
from tinct.web.page.desk import Desk, shown_problem

TITLE = "Train"
_NONE = "There is no training run in this workspace yet: <code>tinct train</code> makes one."


def build(desk: Desk) -> None:
    """Places the tab."""
    names = run_names()
    gr.Markdown("Runs of this workspace, as they are now. They are begun and ended on the command line.")
    with gr.Row():
        run = gr.Dropdown(names, value=names[0] if names else None, label="Run", elem_id="train-run")
        again = gr.Button("Look again", elem_id="train-again")
    facts = gr.HTML(elem_id="train-facts")
    curve = gr.Image(
        label="Loss per epoch",
        show_label=False,
        alt_text="loss per epoch",
        interactive=False,
        type="filepath",
        buttons=["fullscreen"],
        elem_id="train-curve",
    )
    sheets = gr.Gallery(
        label="Samples after an epoch", columns=2, object_fit="contain", interactive=False, buttons=["fullscreen"],
        elem_id="train-samples",
    )  # fmt: skip

    def look(name: str | None) -> tuple[Any, ...]:
        """The run as it is now."""
        if name not in run_names():  # also what no visitor could choose here
            return f"<p>{_NONE}</p>", gr.update(visible=False), gr.update(visible=False)
        try:
            return _looked(run_folder(name), pictures.new_folder(desk.folder))
        except TinctError as error:
            return shown_problem(error), gr.update(visible=False), gr.update(visible=False)

    def search(name: str | None) -> Any:
        """The runs that there are now."""
        found = run_names()
        return gr.update(choices=found, value=name if name in found else next(iter(found), None))

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    run.change(look, run, [facts, curve, sheets], **quiet)
    again.click(search, run, run, **quiet).then(look, run, [facts, curve, sheets], **quiet)
    gr.context.Context.root_block.load(look, run, [facts, curve, sheets], **quiet)


def _looked(folder: Path, shown: Path) -> tuple[Any, ...]:
    config, history = stored_config(folder), stored_history(folder)
    curve: Any = gr.update(visible=False)
    if history:
        figures.loss_curve(history, shown / "loss.png")
        curve = gr.update(value=str(shown / "loss.png"), visible=True)
    sheets = [(pictures.in_full(path, shown, path.stem), path.stem.replace("_", " ")) for path in _sheets(folder)]
    return _facts(config, history), curve, gr.update(value=sheets, visible=bool(sheets))


def _sheets(folder: Path) -> list[Path]:
    """The sample sheets, the newest first."""
    return sorted(
        folder.glob("samples_epoch_*.png"), key=lambda path: int(re.sub(r"\D", "", path.stem) or 0), reverse=True
    )


def _facts(config: dict[str, Any], history: list[dict[str, Any]]) -> str:
    planned = config.get("training", {}).get("epochs")
    losses = [row["val_loss"] for row in history if row.get("val_loss") is not None]
    rows = {
        "family": config.get("family"),
        "data": Path(str(config["data"])).name if isinstance(config["data"], str) else config["data"].get("name"),
        "epochs": f"{len(history)} of {planned}",
        "best validation loss": f"{min(losses):.4g}" if losses else "none yet",
    }
    return "<table>" + "".join(f"<tr><th>{name}<td>{escape(str(value))}" for name, value in rows.items()) + "</table>"
