"""``python -m backpop.cli``."""

from backpop.cli.main import main

main()
