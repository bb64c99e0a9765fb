"""``python -m NeuralNetworks`` is ``python NeuralNetworks/main.py``."""

from NeuralNetworks.main import command

command()
