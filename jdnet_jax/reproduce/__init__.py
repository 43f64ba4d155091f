"""The experiments of the paper's tables, each by one command."""
