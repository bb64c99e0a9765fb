"""Running experiments: runs, studies, checkpoints, workers, figures and the command line."""
