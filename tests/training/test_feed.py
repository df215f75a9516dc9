"""The feed: order and every picture's randomness follow from (seed, epoch, picture) alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tinct.color import luma
from tinct.data.augment import AUGMENTATIONS
from tinct.data.dataset import PreparedSet
from tinct.errors import DataError
from tinct.families import Batch, generators_for
from tinct.training.feed import Feed, mixed


@pytest.fixture
def pictures(toy) -> PreparedSet:
    return PreparedSet.open(toy / "npzData" / "toy", "train")


def feed_of(pictures: PreparedSet, batch_size: int = 8, seed: int = 1, augment: str = "none") -> Feed:
    return Feed(pictures, np.arange(5, 40), batch_size, seed, augment)


def epoch_of(feed: Feed, epoch: int, start: int = 0) -> list[Batch]:
    """The batches of the steps of an epoch, of one process without accumulation."""
    return [batch for step in feed.epoch(epoch, start) for batch in step]


def drawn(feed: Feed, epoch: int, start: int = 0) -> dict[bytes, float]:
    """What each picture's generator gives first, by the picture's bytes."""
    found = {}
    for batch in epoch_of(feed, epoch, start):
        for rgb, generator in zip(batch.rgb, batch.generators, strict=True):
            found[rgb.numpy().tobytes()] = torch.rand(1, generator=generator).item()
    return found


def test_an_epoch_has_every_picture_at_most_once_and_only_whole_batches(pictures):
    feed = feed_of(pictures)
    batches = epoch_of(feed, 1)
    assert len(batches) == len(feed) == 35 // 8
    assert {len(batch.rgb) for batch in batches} == {8}
    assert len({rgb.numpy().tobytes() for batch in batches for rgb in batch.rgb}) == 32


def test_labels_belong_to_their_pictures(pictures):
    label_of = {picture[0].numpy().tobytes(): int(picture[1]) for picture in pictures}
    for batch in epoch_of(feed_of(pictures), 1):
        assert [label_of[rgb.numpy().tobytes()] for rgb in batch.rgb] == batch.labels.tolist()


def test_the_order_changes_with_seed_and_epoch_only(pictures):
    def order(feed: Feed, epoch: int) -> list[bytes]:
        return [rgb.numpy().tobytes() for batch in epoch_of(feed, epoch) for rgb in batch.rgb]

    first = order(feed_of(pictures), 1)
    torch.manual_seed(99)
    assert order(feed_of(pictures), 1) == first
    assert order(feed_of(pictures), 2) != first
    assert order(feed_of(pictures, seed=2), 1) != first


def test_a_broken_off_epoch_goes_on_with_the_same_batches(pictures):
    feed = feed_of(pictures, augment="crop")
    whole, rest = epoch_of(feed, 3), epoch_of(feed, 3, 2)
    assert len(rest) == len(whole) - 2
    for one, other in zip(whole[2:], rest, strict=True):
        assert torch.equal(one.rgb, other.rgb)


def test_randomness_does_not_depend_on_the_batch(pictures):
    alone, together = drawn(feed_of(pictures, 1), 1), drawn(feed_of(pictures, 35), 1)
    assert alone == together
    assert len(set(alone.values())) == 35
    assert drawn(feed_of(pictures, 1), 2) != alone


def test_validation_has_every_picture_once_in_order_with_the_same_noise_each_time(pictures):
    feed = feed_of(pictures)
    seen = [list(feed.all()), list(feed.all())]
    rgb = [torch.cat([batch.rgb for batch in batches]) for batches in seen]
    assert torch.equal(rgb[0], torch.tensor(pictures.rgb[5:]).permute(0, 3, 1, 2))
    assert torch.equal(*rgb)
    noise = [[torch.rand(1, generator=g).item() for batch in batches for g in batch.generators] for batches in seen]
    assert noise[0] == noise[1]


def test_fewer_pictures_than_a_batch_make_one_small_batch(pictures):
    feed = Feed(pictures, np.arange(3), 8, 1)
    assert len(feed) == 1
    assert feed.pictures_per_step == 3
    assert [len(batch.rgb) for batch in epoch_of(feed, 1)] == [3]


@pytest.mark.parametrize(("accumulate", "processes"), [(1, 2), (2, 1), (2, 2)])
def test_a_step_has_the_same_pictures_however_it_is_split(pictures, accumulate, processes):
    parts = accumulate * processes
    whole = feed_of(pictures, 16)
    feeds = [
        replace(whole, batch_size=16 // parts, accumulate=accumulate, processes=processes, process=n)
        for n in range(processes)
    ]
    assert {len(feed) for feed in feeds} == {len(whole)} == {2}
    split = [list(feed.epoch(1)) for feed in feeds]
    for number, (expected,) in enumerate(whole.epoch(1)):
        batches = [mine[number][place] for place in range(accumulate) for mine in split]
        assert [len(batch.rgb) for batch in batches] == [16 // parts] * parts
        assert torch.equal(torch.cat([batch.rgb for batch in batches]), expected.rgb)
        noise = [torch.rand(1, generator=g) for batch in batches for g in batch.generators]
        assert noise == [torch.rand(1, generator=g) for g in expected.generators]
    seen = torch.cat([batch.rgb for feed in feeds for batch in feed.all()])
    assert torch.equal(seen, torch.cat([batch.rgb for batch in whole.all()]))


def test_fewer_pictures_than_a_step_are_shared_evenly_or_refused(pictures):
    feed = Feed(pictures, np.arange(7), 8, 1, accumulate=2)
    assert (len(feed), feed.pictures_per_step) == (1, 6)
    assert [len(batch.rgb) for step in feed.epoch(1) for batch in step] == [3, 3]
    with pytest.raises(DataError, match="7 training pictures are too few for 8 batches per step"):
        len(Feed(pictures, np.arange(7), 8, 1, accumulate=2, processes=4))


def splitmix64(state: int) -> tuple[int, int]:
    """The published generator, in Python's integers: the next state and its output (Steele et al. 2014)."""
    mask = (1 << 64) - 1
    state = (state + 0x9E3779B97F4A7C15) & mask
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return state, z ^ (z >> 31)


def test_seeds_are_those_of_the_published_generator():
    assert splitmix64(1234567)[1] == 6457827717110365317  # the reference implementation's first output for this seed
    assert int(mixed(1234567)[0]) == 6457827717110365317 >> 1
    seeds = mixed(1, 2, np.arange(100_000, dtype=np.uint64))
    assert len(np.unique(seeds)) == 100_000
    bits = (seeds[:, None] >> np.arange(63, dtype=np.uint64)) & np.uint64(1)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.01


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentation_depends_on_the_pictures_generator_alone(pictures, name):
    rgb = pictures.__getitems__(list(range(6)))[0]
    together = AUGMENTATIONS[name](rgb, generators_for(range(6)))
    alone = [AUGMENTATIONS[name](rgb[i : i + 1], generators_for([i])) for i in range(6)]
    assert together.dtype == torch.uint8
    assert together.shape == rgb.shape
    assert torch.equal(together, torch.cat(alone))
    assert torch.equal(together, rgb) == (name == "none")


def test_degradation_is_shown_beside_the_same_pictures_with_the_same_noise(pictures):
    """On and off differ in what is shown alone; off shows nothing but the pictures; each batch size shows the same."""
    off, on = feed_of(pictures, augment="crop"), replace(feed_of(pictures, augment="crop"), degrade="old")
    for plain, worn in zip(epoch_of(off, 2), epoch_of(on, 2), strict=True):
        assert plain.seen is None
        assert torch.equal(plain.gray, luma(plain.rgb).float())
        assert torch.equal(plain.rgb, worn.rgb)
        assert not torch.equal(plain.gray, worn.gray)
        assert torch.equal(worn.gray, worn.seen.float())
        noise = [[torch.rand(1, generator=g).item() for g in batch.generators] for batch in (plain, worn)]
        assert noise[0] == noise[1]
    whole, rest, alone = epoch_of(on, 2), epoch_of(on, 2, 2), epoch_of(replace(on, batch_size=1), 2)
    assert torch.equal(torch.cat([batch.seen for batch in whole[2:]]), torch.cat([batch.seen for batch in rest]))
    assert torch.equal(torch.cat([batch.seen for batch in whole]), torch.cat([batch.seen for batch in alone])[:32])
    assert not torch.equal(epoch_of(on, 3)[0].seen, whole[0].seen)


def test_half_of_the_pictures_may_be_shown_degraded(pictures):
    worn = replace(feed_of(pictures, 35), degrade="old", degrade_share=0.5)
    (batch,) = epoch_of(worn, 1)
    clean = (batch.gray == luma(batch.rgb)).flatten(1).all(1)
    assert 8 < clean.sum() < 27


def test_flip_mirrors_half_of_the_pictures_and_changes_nothing_else(pictures):
    rgb = pictures.__getitems__([0] * 400)[0]
    flipped = AUGMENTATIONS["flip"](rgb, generators_for(range(400)))
    mirrored = (flipped == rgb.flip(-1)).flatten(1).all(1)
    assert torch.equal(flipped[~mirrored], rgb[~mirrored])
    assert 160 < int(mirrored.sum()) < 240


def test_shift_moves_every_way_alike_and_repeats_the_border():
    """On a picture of its own coordinates, each pixel says where it came from."""
    side, count = 28, 500
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    rgb = torch.stack([columns, rows, rows]).to(torch.uint8).expand(count, -1, -1, -1)
    moved = AUGMENTATIONS["shift"](rgb, generators_for(range(count))).int()
    right, down = moved[:, 0, 14, 14] - 14, moved[:, 1, 14, 14] - 14
    for steps in (right, down):
        assert torch.bincount(steps + 2).tolist() == pytest.approx([count / 5] * 5, rel=0.35)
    expected = torch.stack(
        [(columns + right.view(-1, 1, 1)).clamp(0, side - 1), (rows + down.view(-1, 1, 1)).clamp(0, side - 1)], dim=1
    )
    assert torch.equal(moved[:, :2], expected.int())


@pytest.mark.parametrize(("name", "whole_ones", "least"), [("crop", (170, 260), 0.6), ("resized-crop", (0, 30), 0.35)])
def test_a_crop_takes_a_part_of_the_area(name, whole_ones, least):
    """Of a picture of its own coordinates, the crop's corners can be read off: half of the time and always."""
    side, count = 64, 400
    ramp = torch.linspace(0, 255, side)
    coordinates = torch.stack([ramp.expand(side, side), ramp.view(-1, 1).expand(side, side), torch.zeros(side, side)])
    rgb = coordinates.round().to(torch.uint8).expand(count, -1, -1, -1)
    moved = AUGMENTATIONS[name](rgb, generators_for(range(count))).float()
    across = (moved[:, 0, side // 2, -1] - moved[:, 0, side // 2, 0]) / 255
    down = (moved[:, 1, -1, side // 2] - moved[:, 1, 0, side // 2]) / 255
    area = across.abs() * down
    whole = area > 0.98
    assert whole_ones[0] <= int(whole.sum()) < whole_ones[1]  # a few crops are of nearly everything
    assert least - 0.07 < area.min() < least + 0.05
    ratio = (across.abs() / down)[~whole]
    assert 0.75 < ratio.min() < 0.85 < 1.2 < ratio.max() < 1.3
    assert 160 < int((across < 0).sum()) < 240
