"""docs/theory.md on guidance, losses that look at pictures, light, and sets, by the formulas as the text has them."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from formulas import formula
from tinct.color import cbcr_to_rgb, compose, exact_luma, fit_gamut, luma, rgb_to_cbcr
from tinct.config import from_dict
from tinct.diffusion import CLEAN, Level
from tinct.diffusion.guidance import Tones, coarse, gain, kriging, left_open, matched, transport
from tinct.families import FAMILIES, Batch, generators_for
from tinct.families.denoising import DiffusionLosses
from tinct.families.hinting import kernel
from tinct.losses import binary_cross_entropy, least_squares, perceptual, trust
from tinct.metrics.features import rows_of
from tinct.metrics.frechet import Target, distance_to, frechet
from tinct.metrics.kernel import kernel_distance
from tinct.metrics.statistics import Statistics
from tinct.nets.taps import Taps, imagenet_units


def numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def built(name: str, network: dict, **options: object):
    """A small model of a family, with weights that are not zero."""
    torch.manual_seed(0)
    model = FAMILIES[name].build(from_dict(FAMILIES[name].Options, {"size": 16, "network": network, **options}))
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn(parameter.shape))
    return model.eval()


@formula(r"F_{guided} = F + G (F_c - F)", r"x_T = \alpha m + \sigma z")
def test_towards_a_class_from_around_the_mean():
    network = {"features": [8], "bottleneck_down": False, "time_embedding": 8}
    model = built("generation", network, classes=3, target="v")
    mean, labels, generators = torch.full((1, 1, 16, 16), 0.3), torch.tensor([2]), generators_for([5])
    with torch.no_grad():
        walk = model.walk(mean, (), labels, generators, steps=1, guidance=2.5, with_start=True)
        start, end = walk
        z = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(5))
        level = model.levels(steps=1)[0]
        assert_close(start.x_t, level.alpha * mean + level.sigma * z)
        at = level.batched(mean)
        without, given = (model.network(start.x_t, at, (), label) for label in (None, labels))
        prediction = without + 2.5 * (given - without)
    assert_close(end.x_0, (level.alpha * start.x_t - level.sigma * prediction).clamp(-1, 1))


@formula(
    r"D + C A' (A C A' + \tau^2 I)^{-1} (h - A D)",
    r"o = 1 - diag \left( C A' (A C A' + \tau^2 I)^{-1} A C \right)",
)
def test_hints():
    root = numbers(1, 12, 12)
    c = root @ root.T
    c = c / c.diag().sqrt() / c.diag().sqrt()[:, None]  # variance 1
    cells = torch.tensor([2, 7, 8])
    a = torch.zeros(3, 12, dtype=torch.float64)
    a[torch.arange(3), cells] = 1
    inverse = torch.linalg.inv(a @ c @ a.T + 0.03**2 * torch.eye(3))
    d, h = numbers(2, 12, 2), numbers(3, 3, 2)
    weights = gain(c[:, cells], cells)
    guided = kriging(weights, cells, h)(d.T.reshape(1, 2, 3, 4), CLEAN)
    assert_close(guided.flatten(2)[0].T, d + c @ a.T @ inverse @ (h - a @ d))
    assert_close(left_open(c[:, cells], weights), 1 - (c @ a.T @ inverse @ a @ c).diag())


@formula(
    r"C_{pq} = e^{-\lVert f_p - f_q \rVert^2 / 2} (1 - r)^4 (4r + 1), \quad "
    r"r = \min \left( 1, \frac{\lVert p - q \rVert}{0.5} \right)"
)
def test_covariance_of_cells():
    features, cells = numbers(1, 3, 4, 6), [5, 13]
    covariance = kernel(features, torch.tensor(cells))
    for p in range(24):
        for column, q in enumerate(cells):
            apart = np.hypot(p // 6 - q // 6, p % 6 - q % 6) / 4
            r = min(1, apart / 0.5)
            alike = np.exp(-float((features.flatten(1)[:, p] - features.flatten(1)[:, q]).square().sum()) / 2)
            assert float(covariance[p, column]) == pytest.approx(alike * (1 - r) ** 4 * (4 * r + 1), abs=1e-12)


def root_of(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.sqrt(values.clip(0))) @ vectors.T


def split(colours: np.ndarray, light: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """m, b, u and the rest."""
    u, m = (light - light.mean()) / light.std(), colours.mean(axis=0)
    b = (u[:, None] * (colours - m)).mean(axis=0)
    return m, b, u, colours - m - u[:, None] * b


@formula(
    r"c = m + b u + rest, \quad b = E[u (c - m)]",
    r"T = S^{-1/2} (S^{1/2} S_R S^{1/2})^{1/2} S^{-1/2}, \quad T S T = S_R",
    r"(1 - \gamma) D + \gamma (m_R + b_R u + T rest)",
)
def test_references():
    colours, theirs = numbers(1, 20, 2).numpy() * [6, 2], numbers(2, 30, 2).numpy() @ [[3, 1], [1, 4]] + 5
    light, other = 60 * numbers(3, 20).numpy() + 128, 40 * numbers(4, 30).numpy() + 90
    m, b, u, rest = split(colours, light)
    their_m, their_b, _, their_rest = split(theirs, other)
    tones, goal = (Tones.of(torch.tensor(c), torch.tensor(at)) for c, at in ((colours, light), (theirs, other)))
    for value, wanted in ((tones.mean, m), (tones.slope, b), (tones.score, u), (tones.rest, rest)):
        np.testing.assert_allclose(value.numpy(), wanted, atol=1e-9)
    s, their_s = rest.T @ rest / 20, their_rest.T @ their_rest / 30
    back = np.linalg.inv(root_of(s))
    t = back @ root_of(root_of(s) @ their_s @ root_of(s)) @ back
    np.testing.assert_allclose(t @ s @ t, their_s)
    np.testing.assert_allclose(transport(tones.covariance, goal.covariance).numpy(), t)
    guided = matched(torch.tensor(light).view(1, 4, 5), goal, 0.3)(torch.tensor(colours.T).view(1, 2, 4, 5), CLEAN)
    wanted = 0.7 * colours + 0.3 * (their_m + u[:, None] * their_b + rest @ t)
    np.testing.assert_allclose(guided.flatten(2)[0].T.numpy(), wanted)


@formula(r"m = \frac{1}{2} (\mu + D(\alpha \mu, 40))")
def test_mean():
    model = built("splitdpm", {"encoder": [8, 8, 16], "denoiser": [8, 16], "deep_blocks": 1})
    gray = torch.randint(0, 256, (1, 1, 16, 16), generator=torch.Generator().manual_seed(0)).float()
    with torch.no_grad():
        features = model.network.encode(gray / 127.5 - 1)
        mu, alpha, sigma = model.network.mean(features), (1 + 40**2) ** -0.5, 40 * (1 + 40**2) ** -0.5
        v = model.network(alpha * mu, model.schedule.at_ratio(40).batched(mu), features)
        assert_close(model.mean(gray), (mu + alpha * (alpha * mu) - sigma * v) / 2, rtol=1e-4, atol=1e-4)


@formula(r"D + o \uparrow \downarrow (n + a (m - n) - D)")
def test_anchor():
    d, goal, o = numbers(1, 1, 2, 16, 32), numbers(2, 1, 2, 16, 32), numbers(3, 1, 1, 16, 32).sigmoid()
    lacking = F.interpolate(F.avg_pool2d(goal - d, 2), (16, 32), mode="bicubic")
    assert_close(coarse(goal, 8, o)(d, CLEAN), d + o * lacking)
    model = built("splitdpm", {"encoder": [8, 8, 16], "denoiser": [8, 16], "deep_blocks": 1})
    gray = torch.randint(0, 256, (1, 1, 16, 16), generator=torch.Generator().manual_seed(0)).float()
    with torch.no_grad():  # what a walk starts around is m, held to the goal on the 8 x 8 cells that it has
        start = next(model.sample(gray, generators=generators_for([0]), anchor=1.7, steps=1, with_start=True))
        mean = model.mean(gray)
    neutral = (torch.zeros(1, 2, 8, 8) - torch.tensor([-8.5, 5.6]).view(2, 1, 1)) / 18.05
    assert_close(start.x_0, neutral + 1.7 * (mean - neutral), rtol=1e-3, atol=1e-4)


class TwoDepths(Taps):
    """Two layers of fixed random weights."""

    channels = (4, 5)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3).double(), nn.Conv2d(4, 5, 3, stride=2).double()

    def walk(self, x: Tensor):
        yield (x := self.first(x).relu())
        yield self.second(x)


@formula(
    r"P(\hat x, x) = \frac{1}{J} \sum_j \frac{\lVert \phi_j(\hat x) - \phi_j(x) \rVert^2}{\lVert \phi_j(x) \rVert^2}"
)
def test_perceptual():
    torch.manual_seed(0)
    network = TwoDepths().requires_grad_(False)
    result, truth = (numbers(seed, 1, 3, 12, 12).tanh() for seed in (1, 2))
    pairs = zip(network(imagenet_units(result)), network(imagenet_units(truth)), strict=True)
    wanted = sum(float((one - other).square().sum() / other.square().sum()) for one, other in pairs) / 2
    assert float(perceptual(result, truth, network)) == pytest.approx(wanted, rel=1e-5)


@formula(r"-\ln p \quad (true), \quad -\ln (1 - p) \quad (false)", r"(d - 1)^2 \quad (true), \quad d^2 \quad (false)")
@pytest.mark.parametrize("d", [-3.0, 0.2, 4.0])
def test_adversarial(d):
    scores, p = torch.full((1, 1, 2, 2), d), 1 / (1 + np.exp(-d))
    assert float(binary_cross_entropy(scores, True)) == pytest.approx(-np.log(p))
    assert float(binary_cross_entropy(scores, False)) == pytest.approx(-np.log(1 - p), rel=1e-5)
    assert float(least_squares(scores, True)) == pytest.approx((d - 1) ** 2)
    assert float(least_squares(scores, False)) == pytest.approx(d**2)


@formula(
    r"\frac{snr}{snr + 1} = \frac{\alpha^2}{\alpha^2 + \sigma^2} = \frac{1}{1 + s^2}",
    r"\frac{1}{1 + s^2} (s \delta)^2 = \sigma^2 \delta^2",
)
@pytest.mark.parametrize("s", [0.1, 1.0, 300.0])
def test_trust(s):
    alpha, sigma = 1 / np.sqrt(1 + s**2), s / np.sqrt(1 + s**2)
    trusted = float(trust(Level(torch.zeros(1), *(torch.tensor([part]).double() for part in (alpha, sigma)))))
    assert trusted == pytest.approx(s**-2 / (s**-2 + 1))
    assert trusted == pytest.approx(1 / (1 + s**2))
    assert trusted * (s * 0.7) ** 2 == pytest.approx(sigma**2 * 0.7**2)


@formula(r"w_{mse} L + w_{perceptual} E[trust \cdot P] + w_{adversarial} E[trust \cdot (-\ln p)]")
def test_the_sum_is_linear_in_its_weights():
    """Of the squared error and the game; the third term stands the same way, and needs a file of weights."""
    network = {"encoder": [8, 8, 16], "denoiser": [8, 16], "deep_blocks": 1}
    model = built("splitdpm", network, mean_weight=0.0)
    rgb = torch.randint(0, 256, (2, 3, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    parts = []
    for mse, weight in ((1.0, 0.01), (0.5, 0.03)):
        losses = from_dict(DiffusionLosses, {"mse": mse, "adversarial": {"weight": weight, "discriminator_width": 8}})
        torch.manual_seed(0)  # of the discriminator's first weights
        player, _ = FAMILIES["splitdpm"].objectives(model, losses, 1)
        judge = player._judges.adversary
        with torch.no_grad():
            parts.append(player(Batch(rgb, torch.zeros(2, dtype=torch.int64), generators_for([1, 2]))))
            seen = judge.shown[-1]
            p = torch.sigmoid(judge.judge(seen.gray.repeat_interleave(3, dim=0), seen.results))
        wanted = weight * (seen.trust * -p.log().mean(dim=(1, 2, 3))).mean()
        assert_close(parts[-1]["adversarial"], wanted)
    assert_close(parts[1]["mse"], parts[0]["mse"] / 2)
    assert_close(parts[1]["adversarial"], 3 * parts[0]["adversarial"])


@formula(
    r"Y = 0.299 R + 0.587 G + 0.114 B, \quad C_b = \frac{B - Y}{1.772}, \quad C_r = \frac{R - Y}{1.402}",
    r"R = Y + 1.402 C_r, \quad G = Y - 0.344136 C_b - 0.714136 C_r, \quad B = Y + 1.772 C_b",
)
def test_luma_and_chroma():
    rgb = 255 * numbers(1, 3, 5, 5).sigmoid()
    red, green, blue = rgb
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    cb, cr = (blue - y) / 1.772, (red - y) / 1.402
    assert_close(exact_luma(rgb), y)
    assert_close(rgb_to_cbcr(rgb), torch.stack([cb, cr]))
    back = torch.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb])
    assert_close(cbcr_to_rgb(y, torch.stack([cb, cr])), back, rtol=1e-6, atol=1e-4)


@formula(
    r"f = \min \left( 1, \frac{255 - Y}{\max \Delta}, \frac{Y}{-\min \Delta} \right)",
    r"L = \left\lfloor \frac{19595 R + 38470 G + 7471 B + 32768}{65536} \right\rfloor",
    r"G = \left\lfloor \frac{65536 Y - 19595 R - 7471 B + 19235}{38470} \right\rfloor",
)
def test_light_stays():
    gray = torch.arange(256).view(1, 16, 16)
    cb, cr = 60 * numbers(1, 16, 16), 60 * numbers(2, 16, 16)
    y = gray[0].double()
    offsets = torch.stack([1.402 * cr, -0.344136 * cb - 0.714136 * cr, 1.772 * cb])
    f = torch.minimum((255 - y) / offsets.amax(dim=0), y / -offsets.amin(dim=0)).clamp(max=1)
    assert_close(torch.stack(fit_gamut(y, torch.stack([cb, cr]))), y + f * offsets, rtol=1e-5, atol=1e-3)
    red, green, blue = compose(gray, torch.stack([cb, cr])).long()
    assert_close(green, (65536 * gray[0] - 19595 * red - 7471 * blue + 19235) // 38470)
    made_gray = (19595 * red + 38470 * green + 7471 * blue + 32768) // 65536
    assert_close(made_gray, gray[0])
    assert_close(luma(torch.stack([red, green, blue]))[0], made_gray)
    assert round(19235 / 65536, 4) == 0.2935


def statistics(seed: int) -> Statistics:
    features = numbers(seed, 40, 5).numpy() @ numbers(seed + 50, 5, 5).numpy() + seed
    return Statistics(features.mean(axis=0), np.cov(features.T), 40)


@formula(
    r"d^2 = \lVert m_1 - m_2 \rVert^2 + tr(S_1) + tr(S_2) - 2 tr \left( (S_1 S_2)^{1/2} \right)",
    r"tr \left( (S_1 S_2)^{1/2} \right) = \sum_i \sqrt{\lambda_i(R S_1 R)}, \quad R = S_2^{1/2}",
)
def test_frechet():
    one, two = statistics(1), statistics(2)
    r = root_of(two.covariance)
    by_symmetric = np.sqrt(np.linalg.eigvalsh(r @ one.covariance @ r).clip(0)).sum()
    by_product = np.sqrt(np.linalg.eigvals(one.covariance @ two.covariance).astype(complex)).sum()
    assert by_product == pytest.approx(by_symmetric)
    apart = ((one.mean - two.mean) ** 2).sum()
    wanted = apart + np.trace(one.covariance) + np.trace(two.covariance) - 2 * by_product.real
    assert frechet(one, two) == pytest.approx(wanted)
    assert distance_to(one, Target.of(two)) == pytest.approx(wanted)


@formula(
    r"d = \frac{1}{n (n - 1)} \sum_{i \ne j} k(x_i, x_j) + \frac{1}{m (m - 1)} \sum_{i \ne j} k(y_i, y_j) - "
    r"\frac{2}{nm} \sum_{i, j} k(x_i, y_j)"
)
def test_kernel_distance():
    x, y = numbers(1, 5, 3).numpy(), numbers(2, 7, 3).numpy() + 0.5

    def k(one: np.ndarray, other: np.ndarray) -> float:
        return float((one @ other / 3 + 1) ** 3)

    within = [
        sum(k(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j) / (len(s) * (len(s) - 1))
        for s in (x, y)
    ]
    across = sum(k(one, other) for one in x for other in y)
    wanted = within[0] + within[1] - 2 / 35 * across
    assert float(kernel_distance(rows_of(x), rows_of(y))[0]) == pytest.approx(wanted)
