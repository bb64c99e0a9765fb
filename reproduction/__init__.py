"""Runs the experiments and reports, claim by claim, what holds."""

# The one list of all experiments: folders whose main.py has Config, main, STUDIES and CLAIMS.
EXPERIMENTS = ("NeuralNetworks", "MAXCUT", "JohnsonLindenstrauss")
