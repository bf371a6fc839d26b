"""Expected values of the tests in src/bootstrap.rs and src/normal.rs, computed apart from them.

Run with scipy 1.17.1 and numpy 2: `python expected.py`.
"""

import numpy as np
from scipy.stats import bootstrap, norm

# Paired differences of right and wrong answers, and of probabilities with a long tail.
RIGHT_OR_WRONG = np.array([1] * 12 + [-1] * 3 + [0] * 17, dtype=float)
LONG_TAIL = np.array([(k / 19) ** 4 - 0.05 for k in range(20)])


def bca(mean, means, acceleration, level=0.95):
    """Efron and Tibshirani 1993, equations 14.9 to 14.14, ties counted half."""
    means = np.asarray(means)
    bias = norm.ppf((np.sum(means < mean) + np.sum(means <= mean)) / (2 * len(means)))
    shifted = bias + norm.ppf([(1 - level) / 2, (1 + level) / 2])
    return np.quantile(means, norm.cdf(bias + shifted / (1 - acceleration * shifted)))


def acceleration(values):
    """Equation 14.15 by really leaving one out."""
    jackknife = np.array([np.delete(values, k).mean() for k in range(len(values))])
    deviation = jackknife.mean() - jackknife
    return np.sum(deviation**3) / (6 * np.sum(deviation**2) ** 1.5)


print("Φ(x)", [(x, float(norm.cdf(x))) for x in (-5.0, -1.959964, -0.3, 0.0, 0.7, 3.0)])
print("Φ⁻¹(p)", [(p, float(norm.ppf(p))) for p in (0.0005, 0.025, 0.3, 0.5, 0.975, 0.9995)])

grid = [((k * 37) % 101 / 100) ** 2 for k in range(101)]
for mean, a in ((0.25, 0.0), (0.25, 0.08), (0.5, -0.1), (0.36, 0.02)):
    print("bca of the grid", mean, a, [float(end) for end in bca(mean, grid, a)])

for name, values in (("right or wrong", RIGHT_OR_WRONG), ("long tail", LONG_TAIL)):
    interval = bootstrap(
        (values,), np.mean, n_resamples=400_000, batch=20_000, method="BCa",
        rng=np.random.default_rng(1), vectorized=True,
    ).confidence_interval
    plain = bootstrap(
        (values,), np.mean, n_resamples=400_000, batch=20_000, method="percentile",
        rng=np.random.default_rng(1), vectorized=True,
    ).confidence_interval
    print(name, "mean", float(values.mean()), "acceleration", float(acceleration(values)),
          "BCa", tuple(map(float, interval)), "percentile", tuple(map(float, plain)))
