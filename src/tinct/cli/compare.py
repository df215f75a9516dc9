"""`tinct compare`: several models, or every family, on the same pictures under one protocol; on request trained for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tinct.cli import compare_models, compare_output, compare_training
from tinct.cli.common import chosen_values, device_option, schema_options, yes_option
from tinct.cli.measuring import Source, measuring_options, metrics_ready
from tinct.cli.train_plan import Plan
from tinct.config import from_dict, leaves, override
from tinct.devices import chosen_device
from tinct.evaluation import Protocol
from tinct.families import FAMILIES, comparing
from tinct.photo import PhotoOptions

_TRAINING = ("budget_images", "budget_cpu_minutes", "recipe", "assignments", "overwrite")


@click.command(context_settings={"max_content_width": 110})
@click.option("--models", metavar="NAME,...", help="Models to compare, bundled or your own: see `tinct models`.")
@click.option(
    "--families", metavar="NAME,...", help=f"Some of {', '.join(FAMILIES)}, by their runs models/PREFIX-FAMILY."
)
@click.option("--all-families", is_flag=True, help="All of them but those that are tinct's own.")
@click.option("--name", "prefix", metavar="PREFIX", help="Of the families' runs (default: the set's name).")
@click.option(
    "--weights",
    "epoch",
    type=click.IntRange(min=1),
    metavar="EPOCH",
    help="Weights after this epoch (default: the best).",
)
@click.option(
    "--train", is_flag=True, help="Train the families on --data first; what is finished is not trained again."
)
@click.option(
    "--budget-cpu-minutes", type=click.FloatRange(min=0, min_open=True), metavar="M", help="CPU time for each training."
)
@click.option(
    "--budget-images",
    type=click.IntRange(min=1),
    metavar="N",
    help="Pictures for each training, counted each time one is seen.",
)
@click.option("--recipe", metavar="NAME|FILE", help="Settings that all trainings start from; the budget ends them.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="[FAMILY.]NAME=VALUE",
    help="Any option of the trainings, of one family or of all.",
)
@click.option("--overwrite", is_flag=True, help="With --train: train anew what is there.")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the results (default: Results/compare-SET).",
)
@measuring_options()
@device_option
@yes_option
@schema_options(leaves(PhotoOptions()))
def command(
    models: str | None,
    families: str | None,
    all_families: bool,
    prefix: str | None,
    epoch: int | None,
    train: bool,
    budget_cpu_minutes: float | None,
    budget_images: int | None,
    recipe: str | None,
    assignments: tuple[str, ...],
    overwrite: bool,
    out: Path | None,
    data: str | None,
    split: str | None,
    images: Path | None,
    inside: str | None,
    first: int | None,
    min_spread: float,
    names: str | None,
    feature_weights: str | None,
    seeds: int,
    batch_size: int,
    max_megapixels: float,
    device: str,
    yes: bool,
    **flags: Any,
) -> int:
    """Compare models on the same pictures: a table with intervals and tests, a contact sheet, and a report.

    \b
    tinct compare --models photo,first --images holiday/
    tinct compare --train --data tiny --all-families --budget-cpu-minutes 30 --yes
    tinct compare --data tiny --all-families --steps 100
    tinct compare --train --data tiny --families unet,splitdpm --budget-images 200000 --set unet.space=lab

    Every training has the same budget, and the same command goes on where it was stopped. The exit code is 1 if a model could
    not be trained or measured, or a picture not be read.
    """
    _check_usage(click.get_current_context().params)
    wanted = _wanted(families, all_families)
    changes = chosen_values(flags)
    options = from_dict(PhotoOptions, override(PhotoOptions, {}, changes))
    source = Source.of(data, split, images, inside, first, max_megapixels)
    folder = compare_output.target(source.label, out)
    where, ready = chosen_device(device), metrics_ready(names, feature_weights)
    prefix, failed = prefix or data or "", {}
    if train:
        limit = compare_training.Budget(budget_images or 0, budget_cpu_minutes or 0.0)
        assignments = (*assignments, *([f"training.device={device}"] if device != "auto" else []))
        planned = compare_training.plans(
            wanted, str(data), prefix, limit, assignments, recipe, feature_weights, overwrite
        )
        failed = _trained(planned, wanted, prefix, yes)
    trained = [family for family in wanted if family not in failed]
    found = compare_models.entries(_listed(models), trained, prefix, epoch)
    base = Protocol(min_spread=min_spread, seed=options.seed, seeds=seeds, batch_size=batch_size)
    known = compare_models.look_at(found, compare_models.given_options(options, changes), base)
    comparison, columns, unread = compare_models.measured(known, source, ready, where, failed)
    compare_output.show(comparison)
    compare_output.write(comparison, f"Comparison on {source.described()}", columns, folder)
    return 1 if comparison.failed or unread else 0


def _check_usage(given: dict[str, Any]) -> None:
    """UsageError for what can't go together: an option without effect is never ignored."""
    if not (given["models"] or given["families"] or given["all_families"]):
        raise click.UsageError("say what to compare: --models NAME,..., --families NAME,... or --all-families")
    if given["families"] and given["all_families"]:
        raise click.UsageError("--families and --all-families: say only one of them")
    by_family = given["families"] or given["all_families"]
    if by_family and not (given["data"] or given["prefix"]):
        raise click.UsageError(
            "families are found by their runs models/PREFIX-FAMILY: add --data NAME or --name PREFIX"
        )
    if given["train"] and not (given["data"] and by_family):
        raise click.UsageError("--train needs --data NAME to train on, and --all-families or --families NAME,...")
    idle = [name for name in _TRAINING if given[name] and not given["train"]]
    if idle:
        raise click.UsageError(f"--{idle[0].replace('assignments', 'set').replace('_', '-')} is for --train: add that")
    if given["prefix"] and not by_family:
        raise click.UsageError("--name is of the families' runs: add --all-families or --families NAME,...")
    if given["images"] and given["data"] and not by_family:
        raise click.UsageError("--data and --images: say only one of them")


def _listed(text: str | None) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()] if text else []


def _wanted(families: str | None, all_of_them: bool) -> list[str]:
    """The families, each checked."""
    if all_of_them:
        return [name for name in FAMILIES if comparing(name).usual]
    names = _listed(families)
    for name in names:
        FAMILIES[name]  # UnknownName with the nearest match
    return names


def _trained(planned: Sequence[Plan], families: Sequence[str], prefix: str, yes: bool) -> dict[str, str]:
    """Trains what is not finished; family -> why it could not be trained. Abort when the user does not want it."""
    failed = compare_training.train(planned, yes)
    if failed is None:
        raise click.Abort
    runs = {family: compare_training.run_name(prefix, family) for family in families}
    return {family: failed[run] for family, run in runs.items() if run in failed}
