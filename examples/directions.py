"""The picture in README: labels over the two directions found among twenty inputs."""

from pathlib import Path

import numpy as np

from derandomization.laboratory.figures import save
from NeuralNetworks import PrincipalSubspace, plot
from NeuralNetworks.links import draw_sample, principal_angle_sine

LINK = "sin 2z₁ + z₂²/2"
NUM_POINTS, DIMENSION, NOISE = 400, 20, 0.2


def main(path: Path = Path("docs/directions.png")) -> None:
    """Find the directions, print the error, and draw the labels over them."""
    rng = np.random.default_rng(0)
    sample = draw_sample(LINK, "gaussian", NUM_POINTS, DIMENSION, NOISE, rng)
    found = PrincipalSubspace(random_state=0).fit(sample.inputs, sample.labels)
    error = principal_angle_sine(found.components_, sample.directions)
    print(f"{found.n_components_} directions; sine of the largest principal angle {error:.3f}")
    figure = plot.labels_figure(found.transform(sample.inputs), sample.labels, "y")
    save(figure, path)


if __name__ == "__main__":
    main()
