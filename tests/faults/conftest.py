"""The newcomer of the command line's tests is the clumsy administrator here."""

from tests.cli.conftest import nobody, sts, user

__all__ = ["nobody", "sts", "user"]
