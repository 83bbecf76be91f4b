"""The house rules as data and as plain functions over syntax trees; `test_house.py` holds the code to them.

Every function takes modules and gives breaches, each a line for people: "broker/desk.py:7: what is wrong".
"""

import ast
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

TREE = Path(__file__).resolve().parent.parent

PURE = {"errors", "secret", "model", "events", "wire", "clock", "schedule", "drift", "runway", "safefile", "variables"}
SHAPE = PURE | {"config.shape"}
DECISIONS = SHAPE | {"plan", "policy", "keeper"}

# Who may import whom. A room is a module or a folder of broker/; the longest name that fits decides.
ARROWS: dict[str, set[str]] = {
    # The pure layer.
    "errors": set(),
    "secret": set(),
    "clock": set(),
    "schedule": set(),
    "drift": set(),
    "runway": set(),
    "variables": set(),
    "waiting": set(),
    "threads": set(),
    "wire": {"errors"},
    "model": {"secret"},
    "events": {"model"},
    "jwt": set(),
    "safefile": {"errors"},
    "config.shape": {"model"},
    "control_api": {"model"},
    "head": {"errors", "wire"},
    "origin": {"errors", "wire"},
    # Who asks, in which protocol, minted how, kept where: none of these knows another.
    "dialects": PURE,
    "callers": SHAPE | {"jwt"},
    "sources": PURE,
    "state": PURE,
    # The core: from what is written to what is answered.
    "config": SHAPE | {"sources"},
    "plan": SHAPE,
    "policy": SHAPE | {"plan"},
    "keeper": SHAPE | {"plan"},
    "kept_leases": DECISIONS | {"desk", "rounds", "state", "threads"},
    "rounds": DECISIONS | {"waiting"},
    "desk": DECISIONS | {"rounds"},
    # What is and what happened, told.
    "status": {"control_api", "keeper", "model", "plan"},
    "metrics": {"events", "keeper", "model"},
    "audit": {"clock", "events", "model", "safefile"},
    "audit_file": {"errors"},
    "logs": {"errors", "events", "model"},
    "ledger": {"audit", "events", "logs", "metrics"},
    # Processes.
    "process": {"errors"},
    "supervisor": {"process"},
    "minter": set(),  # the folder itself holds nothing but a sentence
    "minter.frames": PURE,
    "minter.client": SHAPE | {"minter.frames"},
    "minter.admission": SHAPE | {"minter.frames", "plan"},
    "minter.reading": SHAPE | {"config", "minter.admission", "minter.frames", "plan"},
    "minter.service": SHAPE
    | {"audit", "config", "identity", "minter.admission", "minter.child", "minter.frames", "minter.reading"}
    | {"plan", "process", "server.sockets"},
    "minter.asking": PURE | {"minter.client", "minter.frames", "plan"},
    "minter.keys": PURE | {"jwt"},
    "minter.review": SHAPE | {"jwt", "minter.keys"},  # no source: it mints nothing, and belongs to no cloud
    "minter.child": SHAPE | {"config", "minter.frames", "minter.review", "plan", "process", "sources"},
    "explaining": DECISIONS | {"callers", "config", "control_api", "sources"},
    "checking": SHAPE | {"minter.client", "minter.frames", "plan"},
    "server.sockets": SHAPE | {"callers"},
    "server": DECISIONS
    | {"callers", "control_api", "desk", "dialects", "explaining", "head", "ledger", "metrics", "origin", "rounds"}
    | {"server.sockets", "state", "status", "threads", "waiting"}
    | {"worker_env"},  # what a pod sets, told with its path token
    # The worker's and the command line's side.
    "worker_env": SHAPE | {"dialects"},
    "identity": {"worker_env"},
    "control_client": SHAPE | {"control_api", "server.sockets"},
    "doctor": SHAPE | {"control_api", "control_client", "server.sockets", "worker_env"},
    "hold": {"control_api", "control_client", "errors"},
    "files": PURE | {"control_client"},
    "run_command": {"errors", "process"},
    # The tops: they put the rest together.
    "reloading": SHAPE | {"config", "plan", "supervisor", "threads"},
    "daemon": DECISIONS
    | {"audit", "audit_file", "callers", "checking", "config", "control_api", "desk", "dialects", "identity", "ledger"}
    | {"kept_leases", "logs", "metrics", "minter.asking", "minter.client", "process", "reloading", "rounds", "server"}
    | {"server.sockets", "sources", "state", "status", "supervisor", "waiting", "worker_env"},
    "cli": SHAPE
    | {"checking", "config", "control_api", "control_client", "daemon", "doctor", "files", "hold", "identity", "logs"}
    | {"minter.client", "minter.frames", "plan", "process", "run_command", "server.sockets", "sources", "worker_env"}
    | {"explaining", "state"},
}

LOOPS = {"reloading", "rounds", "threads", "kept_leases", "server", "minter.client", "daemon", "cli"}
# Who may import what others wrote; what stands in neither table is free.
KEPT_IN = {
    "asyncio": LOOPS,
    "uvloop": LOOPS,
    "aiohttp": LOOPS,
    "prometheus_client": {"metrics"},
    "structlog": {"logs"},
    "click": {"cli"},
    **{sdk: {"sources"} for sdk in ("azure", "boto3", "botocore", "google", "oci")},
    "requests": {"minter.review", "sources"},
    "grpc": set[str](),
    "cryptography": {"minter.keys", "sources", "state"},
}
# Too big for the daemon: imported inside functions, so that only the process that calls them pays.
LATE = {"azure", "boto3", "botocore", "google", "oci", "requests", "cryptography"}

TASKS = {"create_task", "ensure_future"}
OPENERS = {"minter.frames", "minter.review", "dialects", "sources", "state", "worker_env", "files", "cli", "server"}
OPENERS |= {"control_client"}
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "manager", "base", "misc", "common"}
LONGEST_FILE = 300
LONGEST_FUNCTION = 40

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
            target = room(step.name if step.name in known else step.name.rpartition(".")[0])
            if module.room is not None and target not in {"", module.room, *ARROWS.get(module.room, ())}:
                breaches.append(module.at(step.node, f"{module.room} may not know {target}"))
    return breaches


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
