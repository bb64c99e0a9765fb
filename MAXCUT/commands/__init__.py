"""Commands for one's own problems that are cuts of a graph in disguise."""

# Each subcommand and what it runs, which is imported only then.
COMMANDS = {
    "qubo": "MAXCUT.commands.quadratic:QUBO",
    "ising": "MAXCUT.commands.quadratic:ISING",
    "max-2-sat": "MAXCUT.commands.maximum:MAX_2_SAT",
    "max-dicut": "MAXCUT.commands.maximum:MAX_DICUT",
}
