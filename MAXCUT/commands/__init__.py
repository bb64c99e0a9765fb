"""Commands for one's own problems that are cuts of a graph in disguise."""

# Each subcommand and its module, which is imported only when it runs.
COMMANDS = {
    "qubo": "MAXCUT.commands.qubo",
    "ising": "MAXCUT.commands.ising",
    "max-2-sat": "MAXCUT.commands.max_2_sat",
    "max-dicut": "MAXCUT.commands.max_dicut",
}
