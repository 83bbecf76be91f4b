"""Mutants: a module of ours compiled from its own source with one thing changed."""

import inspect
from types import ModuleType

import msgspec


class Mutant(msgspec.Struct, frozen=True):
    """What goes wrong, by name, in which module, and how its source says it."""

    name: str
    module: ModuleType
    old: str
    new: str

    def __str__(self) -> str:
        return self.name

    def compiled(self) -> ModuleType:
        """The module with that mistake in it. Fails where the source has moved on."""
        source = inspect.getsource(self.module)
        assert source.count(self.old) == 1, f"{self.old!r} is not once in {self.module.__name__}"
        return compiled(self.module, source.replace(self.old, self.new))


def compiled(module: ModuleType, source: str | None = None) -> ModuleType:
    """A fresh copy of a module, from its own source unless told."""
    copy = ModuleType(module.__name__)
    text = inspect.getsource(module) if source is None else source
    exec(compile(text, f"mutant of {module.__name__}", "exec"), copy.__dict__)  # noqa: S102 - our own source
    return copy
