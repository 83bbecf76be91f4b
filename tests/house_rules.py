"""The house rules as plain functions over syntax trees; `test_house.py` holds the code to them.

Every rule takes modules and gives breaches, each a line for people: "broker/desk.py:7: what is wrong".
"""

import ast
from collections.abc import Callable, Iterable, Iterator

import msgspec

from tests.house import (
    ARROWS,
    EMPTY_NAMES,
    KEPT_IN,
    LATE,
    LAYERS,
    LONGEST_FILE,
    LONGEST_FUNCTION,
    OPENERS,
    TASKS,
    TREE,
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module(msgspec.Struct, frozen=True):
    """One file of Python: its dotted name, where it is for people, its text and its tree."""

    name: str
    place: str
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, name: str, text: str) -> "Module":
        """A module from its text."""
        return cls(name, name.replace(".", "/") + ".py", text, ast.parse(text))

    @property
    def room(self) -> str | None:
        """The room it belongs to, or None."""
        return room(self.name)

    def at(self, node: ast.stmt | ast.expr, breach: str) -> str:
        """A breach with its place."""
        return f"{self.place}:{node.lineno}: {breach}"


class Import(msgspec.Struct, frozen=True):
    """One imported name; `late` is inside a function or for type checkers alone."""

    name: str
    node: ast.stmt
    late: bool


def modules(folder: str) -> list[Module]:
    """Every module below a folder of the tree."""
    found = []
    for path in sorted((TREE / folder).rglob("*.py")):
        place = path.relative_to(TREE)
        name = ".".join(place.with_suffix("").parts).removesuffix(".__init__")
        found.append(Module(name, str(place), text := path.read_text("utf-8"), ast.parse(text)))
    return found


def room(name: str) -> str | None:
    """The room of a dotted name such as broker.minter.frames; "" for the package itself."""
    parts = name.split(".")[1:]
    if not parts:
        return ""
    steps = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((step for step in steps if step in ARROWS), None)


def imports(module: Module) -> Iterator[Import]:
    """Everything a module imports: `from a import b` is a.b."""
    yield from _imports(module.tree, late=False)


def _imports(node: ast.AST, *, late: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child, late) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            start = "." * child.level + (child.module or "")
            yield from (Import(f"{start}.{alias.name}", child, late) for alias in child.names)
        typing_only = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        yield from _imports(child, late=late or typing_only or isinstance(child, Function))


def homeless(found: Iterable[Module]) -> list[str]:
    """Modules that belong to no room, or are named after nothing."""
    breaches = [f"{module.place}:1: belongs to no room of the house" for module in found if module.room is None]
    empty = [module for module in found if EMPTY_NAMES & set(module.name.split("."))]
    return breaches + [f"{module.place}:1: its name says nothing" for module in empty]


def crossings(found: Iterable[Module]) -> list[str]:
    """Imports between rooms that no arrow allows."""
    known = {module.name for module in found}
    breaches = []
    for module in found:
        for step in imports(module):
            if step.name.startswith("."):
                breaches.append(module.at(step.node, "say the whole name: broker..."))
            if not step.name.startswith("broker."):
                continue
            target = _target(step, known)
            if module.room is not None and target not in {"", module.room, *ARROWS.get(module.room, ())}:
                breaches.append(module.at(step.node, f"{module.room} may not know {target}"))
    return breaches


def idle(found: list[Module]) -> list[str]:
    """Arrows that no import goes along. Those of a layer are given together: they need not all be used."""
    known, used = {module.name for module in found}, set[tuple[str | None, str | None]]()
    for module in found:
        used |= {(module.room, _target(step, known)) for step in imports(module) if step.name.startswith("broker.")}
    layers = {name: next((layer for layer in LAYERS if layer <= arrows), set()) for name, arrows in ARROWS.items()}
    return [
        f"{name} need not know {target}"
        for name, arrows in ARROWS.items()
        for target in sorted(arrows - layers[name])
        if (name, target) not in used
    ]


def _target(step: Import, known: set[str]) -> str | None:
    """The room that an import of ours leads to: `from broker.a import b` may mean the module or what is in it."""
    return room(step.name if step.name in known else step.name.rpartition(".")[0])


def strangers(found: Iterable[Module]) -> list[str]:
    """Imports of libraries that are kept in other rooms, or that would load with the daemon."""
    breaches = []
    for module in found:
        for step in imports(module):
            library = step.name.split(".")[0]
            if module.room not in KEPT_IN.get(library, {module.room}):
                breaches.append(module.at(step.node, f"{library} is none of {module.room}'s business"))
            elif library in LATE and not step.late:
                breaches.append(module.at(step.node, f"{library} is imported inside functions only"))
    return breaches


def functions(module: Module) -> Iterator[Function]:
    """Every function of a module, methods and inner ones included."""
    return (node for node in ast.walk(module.tree) if isinstance(node, Function))


def too_long(found: Iterable[Module]) -> list[str]:
    """Files and functions over the size; a function's docstring is not counted."""
    breaches = []
    for module in found:
        if (lines := len(module.text.splitlines())) > LONGEST_FILE:
            breaches.append(f"{module.place}:1: {lines} lines")
        breaches += [
            module.at(function, f"{function.name} has {lines} lines")
            for function in functions(module)
            if (lines := length(function)) > LONGEST_FUNCTION
        ]
    return breaches


def length(function: Function) -> int:
    """Lines of a function from `def` to its end, less its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def lost_tasks(found: Iterable[Module]) -> list[str]:
    """Tasks made outside `rounds`, where nobody keeps them; the daemon's fixed loops live in one TaskGroup."""
    breaches = []
    for module in found:
        for name, node in _called(module):
            receiver, _, method = name.rpartition(".")
            grouped = module.room == "daemon" and method == "create_task" and receiver not in {"", "asyncio"}
            if method in TASKS and module.room != "rounds" and not grouped:
                breaches.append(module.at(node, f"{name} makes a task that nobody keeps"))
    return breaches


def opened(found: Iterable[Module]) -> list[str]:
    """Secrets opened where none is rendered. A file says how it is opened (`path.open("rb")`), a Secret never does."""
    breaches = []
    for module in found:
        called = {id(node.func): node for node in ast.walk(module.tree) if isinstance(node, ast.Call)}
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Attribute) or node.attr != "open":
                continue
            call = called.get(id(node))
            if (call is None or not (call.args or call.keywords)) and module.room not in OPENERS:
                breaches.append(module.at(node, f"opens a secret: {ast.unparse(node)}"))
    return breaches


def _called(module: Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield ast.unparse(node.func), node


Rule = Callable[[list[Module]], list[str]]
RULES: tuple[Rule, ...] = (
    homeless,
    crossings,
    strangers,
    too_long,
    lost_tasks,
    opened,
)
