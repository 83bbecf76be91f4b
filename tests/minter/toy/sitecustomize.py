"""Python imports this first where PYTHONPATH says so: it puts the toys into the table of a real minter."""

from broker.sources import TABLE
from tests.minter.toys import SOURCES

TABLE.update(SOURCES)
