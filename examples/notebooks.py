"""Runs the notebooks of this folder and keeps their outputs, without times and counts: they change only with what they show.

python -m examples.notebooks                          # all of them, in place
python -m examples.notebooks beside_diffusers         # one of them
python -m examples.notebooks --quick --out elsewhere  # with small settings, as the tests run them
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
QUICK = "TINCT_QUICK"  # the notebooks' own switch to small settings
SECONDS = 3600  # that a cell may take


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="without .ipynb; all, if none is given")
    parser.add_argument("--quick", action="store_true", help="small settings")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder to write to")
    given = parser.parse_args()
    os.environ[QUICK] = "1" if given.quick else ""
    given.out.mkdir(parents=True, exist_ok=True)
    for path in sorted(FOLDER.glob("*.ipynb")):
        if not given.names or path.stem in given.names:
            notebook = executed(nbformat.read(path, as_version=4))  # type: ignore[no-untyped-call]
            nbformat.write(notebook, given.out / path.name)  # type: ignore[no-untyped-call]
            print(f"{path.stem}: {(given.out / path.name).stat().st_size / 1000:.0f} kB")


def executed(notebook: Any) -> Any:
    """The notebook with its outputs, run in a folder that is then gone. An error of a cell is an error here."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with tempfile.TemporaryDirectory(prefix="tinct-") as folder:
        os.environ["IPYTHONDIR"] = folder  # no history, no settings of the user's own
        os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # tqdm's bars are for browsers
        client = NotebookClient(
            notebook, timeout=SECONDS, startup_timeout=SECONDS, kernel_name="python3", record_timing=False, coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )  # fmt: skip
        client.execute()
    return tidied(notebook)


def tidied(notebook: Any) -> Any:
    """Without what differs from run to run though nothing else does."""
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for number, cell in enumerate(notebook.cells, 1):
        cell.id, cell.metadata = f"cell-{number}", {}
        if cell.cell_type == "code":
            cell.execution_count = None
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = None
    return notebook


if __name__ == "__main__":
    main()
