"""Closed form: for Gaussian data known cells give the conditional mean, and a reference its mean and covariance."""

import torch
from scipy.linalg import sqrtm
from torch import Tensor
from torch.testing import assert_close

from tinct.diffusion import CLEAN, SAMPLERS, Level, Schedule, ladder
from tinct.diffusion.guidance import Tones, coarse, gain, in_turn, kriging, left_open, matched, replacement, transport

SHAPE, CELLS = (4, 5), torch.tensor([2, 9, 17])
N = SHAPE[0] * SHAPE[1]


def gaussian(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (2, N) and covariance (N, N) of two channels, and what is known of them, (k, 2); float64."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(N, N, generator=generator, dtype=torch.float64) / N**0.5
    mean, known = torch.randn(2, N, generator=generator).double(), torch.randn(len(CELLS), 2, generator=generator)
    return mean, root @ root.T + 0.1 * torch.eye(N, dtype=torch.float64), known.double()


def conditional_mean(mean: Tensor, covariance: Tensor, known: Tensor, deviation: float) -> Tensor:
    """E[x | A x + t n = h] by the other form, of precisions: (C^-1 + A'A / t^2)^-1 (C^-1 mu + A'h / t^2)."""
    picks = torch.zeros(len(CELLS), N, dtype=torch.float64)
    picks[torch.arange(len(CELLS)), CELLS] = 1
    precision = torch.linalg.inv(covariance)
    told = precision @ mean.T + picks.T @ known / deviation**2
    return torch.linalg.solve(precision + picks.T @ picks / deviation**2, told).T


def guided(x_0: Tensor, covariance: Tensor, known: Tensor, **options: float) -> Tensor:
    guide = kriging(gain(covariance[:, CELLS], CELLS, **options), CELLS, known)
    return guide(x_0.view(-1, 2, *SHAPE), CLEAN).flatten(2)


def test_kriging_is_the_conditional_mean():
    for seed in range(3):
        mean, covariance, known = gaussian(seed)
        for deviation in (0.03, 0.5):
            wanted = conditional_mean(mean, covariance, known, deviation)
            assert_close(guided(mean, covariance, known, deviation=deviation)[0], wanted, rtol=1e-9, atol=1e-9)


def test_what_is_left_open_is_the_conditional_variance():
    """By the other form, of precisions, of a covariance with variance 1: diag (C^-1 + A'A / t^2)^-1."""
    _, covariance, _ = gaussian()
    scale = covariance.diag().rsqrt()
    correlation = scale[:, None] * covariance * scale
    picks = torch.zeros(len(CELLS), N, dtype=torch.float64)
    picks[torch.arange(len(CELLS)), CELLS] = 1
    for deviation in (0.03, 0.5):
        wanted = torch.linalg.inv(torch.linalg.inv(correlation) + picks.T @ picks / deviation**2).diag()
        weights = gain(correlation[:, CELLS], CELLS, deviation=deviation)
        assert_close(left_open(correlation[:, CELLS], weights), wanted, rtol=1e-8, atol=1e-9)


def test_what_is_known_for_sure_is_exact():
    mean, covariance, known = gaussian()
    sure = guided(mean, covariance, known, deviation=0.0)[0]
    assert_close(sure[:, CELLS].T, known, rtol=0, atol=1e-12)
    assert_close(sure, conditional_mean(mean, covariance, known, 1e-5), rtol=1e-6, atol=1e-6)


def test_with_the_exact_posterior_it_is_the_mean_of_both_what_is_seen_and_what_is_known():
    """x_t and h together say no more than h says after x_t (Kalman 1960): C is then the covariance that x_t leaves."""
    mean, covariance, known = gaussian()
    level = Level(0.0, 0.8, 0.6)
    x_t = torch.randn(2, N, generator=torch.Generator().manual_seed(3)).double()
    gain = (
        level.alpha
        * covariance
        @ torch.linalg.inv(level.alpha**2 * covariance + level.sigma**2 * torch.eye(N).double())
    )
    seen, left = mean + (x_t - level.alpha * mean) @ gain.T, covariance - level.alpha * gain @ covariance
    both = torch.cat([level.alpha * torch.eye(N).double(), torch.eye(N).double()[CELLS]])
    noise = torch.tensor([level.sigma**2] * N + [0.2**2] * len(CELLS), dtype=torch.float64).diag()
    told = torch.cat([x_t, known.T], dim=1) - mean @ both.T
    wanted = mean + told @ torch.linalg.inv(both @ covariance @ both.T + noise) @ both @ covariance
    assert_close(guided(seen, left, known, deviation=0.2)[0], wanted, rtol=1e-9, atol=1e-9)


def test_cells_without_covariance_stay_as_they_are():
    mean, covariance, known = gaussian()
    covariance[10:16] = 0
    assert torch.equal(guided(mean, covariance, known)[0, :, 10:16], mean[:, 10:16])


def test_draws_are_guided_each_for_itself():
    _, covariance, known = gaussian()
    draws = torch.randn(3, 2, N, generator=torch.Generator().manual_seed(5)).double()
    together = guided(draws, covariance, known)
    for draw, part in zip(draws, together, strict=True):
        assert_close(part, guided(draw, covariance, known)[0], rtol=1e-12, atol=1e-12)


def test_replacement_changes_known_cells_alone():
    mean, _, known = gaussian()
    x_0 = mean.view(1, 2, *SHAPE)
    replaced = replacement(CELLS, known)(x_0, CLEAN).flatten(2)[0]
    assert torch.equal(replaced[:, CELLS].T, known)
    others = [cell for cell in range(N) if cell not in CELLS.tolist()]
    assert torch.equal(replaced[:, others], mean[:, others])
    assert torch.equal(x_0.flatten(2)[0], mean)  # its argument stays


def test_every_sampler_ends_in_what_is_known():
    """Whatever the network says: with the guide inside `denoise`, the last state has the known cells."""
    mean, covariance, known = gaussian()
    spread, exact = kriging(gain(covariance[:, CELLS], CELLS), CELLS, known), replacement(CELLS, known)
    start = torch.randn(1, 2, *SHAPE, generator=torch.Generator().manual_seed(7)).double()

    def denoise(x_t: Tensor, level: Level) -> Tensor:
        return exact(spread(0.3 * x_t + mean.view(1, 2, *SHAPE), level), level)

    for name in SAMPLERS:
        *_, last = SAMPLERS[name](
            denoise, start, ladder(Schedule.named("cosine", 100), "uniform", 7), randn=torch.ones_like
        )
        assert_close(last.x_t.flatten(2)[0][:, CELLS].T, known, rtol=0, atol=1e-12)


def test_coarse_structure_is_the_goals_and_fine_structure_the_pictures_own():
    """Closed form: what averages to nothing in each coarse cell stays as it is, an even colour becomes the goal's."""
    fine = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 12)[None, None]  # (1, 1, 16, 24): 4 x 6 cells of 4 x 4
    goal = torch.full((1, 1, 16, 24), 0.7)
    assert_close(coarse(goal, 4)(fine - 0.2, CLEAN), fine + 0.7)
    assert_close(coarse(goal + 3 * fine, 4)(fine - 0.2, CLEAN), fine + 0.7)  # of the goal, only the coarse counts
    assert_close(coarse(goal + 3 * fine, 16)(fine - 0.2, CLEAN), 3 * fine + 0.7)  # each cell on its own: all of it


def test_a_share_of_the_coarse_correction_counts_where_it_is_said():
    x_0, goal = torch.randn(2, 1, 3, 12, 12, generator=torch.Generator().manual_seed(2))
    share = torch.zeros(1, 1, 12, 12)
    share[..., 6:], share[..., 3:6] = 1, 0.5
    whole, part = coarse(goal, 4)(x_0, CLEAN), coarse(goal, 4, share)(x_0, CLEAN)
    assert torch.equal(part[..., :3], x_0[..., :3])
    assert_close(part[..., 3:6], (x_0 + whole)[..., 3:6] / 2)
    assert_close(part[..., 6:], whole[..., 6:])


def test_coarse_cells_are_square_whichever_side_is_the_short_one():
    x_0, goal = torch.randn(2, 1, 3, 12, 30, generator=torch.Generator().manual_seed(1))
    guided_wide = coarse(goal, 4)(x_0, CLEAN)
    assert_close(coarse(goal.mT, 4)(x_0.mT, CLEAN).mT, guided_wide, rtol=1e-5, atol=1e-6)
    lacking = torch.nn.functional.avg_pool2d(goal - x_0, 3)  # 4 x 10 cells of 3 x 3
    wanted = x_0 + torch.nn.functional.interpolate(lacking, scale_factor=3, mode="bicubic")
    assert_close(guided_wide, wanted, rtol=1e-5, atol=1e-6)


def test_of_guides_in_turn_the_last_has_the_last_say():
    one, other = (
        replacement(torch.tensor([0]), torch.tensor([[1.0]])),
        replacement(torch.tensor([0, 1]), torch.tensor([[2.0], [3.0]])),
    )
    x_0 = torch.zeros(1, 1, 1, 3)
    both, only = in_turn(one, None, other), in_turn(None, one)
    assert in_turn(None, None) is None
    assert both(x_0, CLEAN).flatten().tolist() == [2, 3, 0]
    assert only(x_0, CLEAN).flatten().tolist() == [1, 0, 0]
    swapped = in_turn(other, one)
    assert swapped(x_0, CLEAN).flatten().tolist() == [1, 3, 0]


# --- a reference -------------------------------------------------------------------------------------------------------


def painted(seed: int, shape: tuple[int, ...] = (3, 12, 20)) -> tuple[Tensor, Tensor]:
    """Correlated chroma (B, 2, h, w) and light (B, h, w) in levels, the chroma going with the light; float64."""
    generator = torch.Generator().manual_seed(seed)
    count, h, w = shape
    noise = torch.randn(count, 3, h * w, generator=generator, dtype=torch.float64)
    mixing = torch.randn(count, 3, 3, generator=generator, dtype=torch.float64)
    parts = (mixing @ noise + 3 * torch.randn(count, 3, 1, generator=generator, dtype=torch.float64)) * 12
    return parts[:, :2].reshape(count, 2, h, w), 128 + parts[:, 2].reshape(count, h, w)


def joint(colours: Tensor, light: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (..., 3) and covariance (..., 3, 3) of colours (..., n, 2) and the light's standard score, the plain way."""
    score = (light - light.mean(-1, keepdim=True)) / light.std(-1, correction=0, keepdim=True)
    all_three = torch.cat([colours, score[..., None]], dim=-1)
    mean = all_three.mean(-2)
    products = all_three.mT @ all_three / colours.shape[-2]
    return mean, products - mean[..., None] * mean[..., None, :]


def test_at_full_strength_mean_and_covariance_are_the_references() -> None:
    """Those of light and colour together, in every draw: for Gaussian colours all of the joint distribution."""
    x_0, light = painted(0)
    colours, tones = painted(1, (1, 9, 30))
    goal = colours[0].flatten(1).T, tones[0].flatten()
    moved = matched(light, Tones.of(*goal), 1.0)(x_0, CLEAN)
    mean, covariance = joint(moved.flatten(2).mT, light.flatten(1))
    wanted_mean, wanted_covariance = joint(*goal)
    assert_close(mean, wanted_mean.expand_as(mean), rtol=1e-9, atol=1e-9)
    assert_close(covariance, wanted_covariance.expand_as(covariance), rtol=1e-7, atol=1e-7)


def test_strength_goes_from_nothing_to_all_in_a_straight_line() -> None:
    x_0, light = painted(0)
    colours, tones = painted(1, (1, 9, 30))
    goal = Tones.of(colours[0].flatten(1).T, tones[0].flatten())
    none, half, all_ = (matched(light, goal, strength)(x_0, CLEAN) for strength in (0.0, 0.5, 1.0))
    assert torch.equal(none, x_0)
    assert_close(half, (x_0 + all_) / 2)
    means = [part.mean(dim=(0, 2, 3)) for part in (none, half, all_)]
    away = [float((mean - goal.mean).norm()) for mean in means]
    assert away[0] > away[1] > away[2]


def test_transport_is_the_optimal_one_between_gaussians() -> None:
    """By scipy's own roots of matrices; and it is symmetric, as the gradient of a potential is (Brenier 1991)."""
    roots = torch.randn(2, 5, 2, 2, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    here, goal = roots @ roots.mT + 0.05 * torch.eye(2)
    found = transport(here, goal)
    assert_close(found, found.mT)
    assert_close(found @ here @ found, goal)
    for one, other, moved in zip(here, goal, found, strict=True):
        root = torch.from_numpy(sqrtm(one.numpy()).real)
        middle = torch.from_numpy(sqrtm((root @ other @ root).numpy()).real)
        assert_close(moved, torch.linalg.inv(root) @ middle @ torch.linalg.inv(root), rtol=1e-6, atol=1e-8)


def test_no_direction_is_stretched_more_than_allowed_and_an_even_picture_stays_even() -> None:
    x_0, light = painted(0)
    colours, tones = painted(1, (1, 9, 30))
    goal = Tones.of(100 * colours[0].flatten(1).T, tones[0].flatten())
    own = Tones.of(x_0.flatten(2).mT, light.flatten(1))
    for most in (1.0, 2.5):
        stretching = transport(own.covariance, goal.covariance, deviation=0.5, most=most)
        assert_close(torch.linalg.eigvalsh(stretching).amax(dim=1), torch.full((3,), most).double())
    plain, wall = torch.full((1, 2, 4, 4), 7.0).double(), torch.full((1, 4, 4), 90.0).double()
    even = matched(wall, goal, 1.0, deviation=0.5, most=2.0)(plain, CLEAN)
    assert_close(even, goal.mean.view(1, 2, 1, 1).expand(1, 2, 4, 4))


def test_one_colour_is_a_tint_and_two_are_a_duotone() -> None:
    x_0, light = painted(0)
    tint = Tones.of(torch.tensor([[-20.0, 15.0]]).double(), torch.tensor([80.0]).double())
    assert_close(
        matched(light, tint, 1.0)(x_0, CLEAN), torch.tensor([-20.0, 15.0]).double().view(1, 2, 1, 1).expand_as(x_0)
    )
    two = torch.tensor([[10.0, -20.0], [-30.0, 20.0]]).double()  # the first is dark
    goal = Tones.of(two, torch.tensor([60.0, 190.0]).double())
    moved = matched(light, goal, 1.0)(x_0, CLEAN).flatten(2).mT
    score = (light - light.mean((1, 2), keepdim=True)) / light.std((1, 2), correction=0, keepdim=True)
    assert_close(moved, two.mean(0) + score.flatten(1)[..., None] * (two[1] - two[0]) / 2, rtol=1e-6, atol=1e-6)
