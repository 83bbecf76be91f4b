"""`python -m broker.cli` is `credbroker`."""

from broker.cli import main

main()
