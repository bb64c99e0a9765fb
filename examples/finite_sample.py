"""What a finite sample leaves of W⊥, and the bound on it: the table in README.

The labels are y = sin x₁ for Gaussian inputs in 20 dimensions, the student has 50 hidden units.
"""

import torch

from NeuralNetworks.model import Student
from NeuralNetworks.risk import Dataset
from NeuralNetworks.train import train

CASES = ((120, 1e-3), (120, 1e-2), (1_000, 1e-2), (4_000, 1e-2))  # samples and λ
DIMENSION, WIDTH = 20, 50


def main() -> None:
    """Train once for each case and print the norms and the bound."""
    print("n, λ         ‖W⊥‖   ‖∂f/∂W⊥‖  ‖δ‖     sharp bound")
    for samples, regularization in CASES:
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(samples, DIMENSION, generator=generator, dtype=torch.float64)
        data = Dataset(inputs, torch.sin(inputs[:, 0]), torch.eye(DIMENSION)[:1])
        student = Student(DIMENSION, WIDTH, generator)
        training = train(student, data, regularization=regularization, generator=generator)
        found = training.certificate
        assert found is not None  # a dataset's risk is exact
        print(
            f"{samples}, {regularization:<8g} {found.weight_norm:.3g}  "
            f"{found.weight_gradient_norm:.1e}  {found.stein_defect:.2g}  "
            f"{found.sharp_weight_bound or float('inf'):.3g}",
            flush=True,
        )


if __name__ == "__main__":
    main()
