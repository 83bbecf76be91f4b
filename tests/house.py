"""The house rules as data: rooms and arrows, what is kept where, how long things get; `house_rules.py` looks."""

from pathlib import Path

TREE = Path(__file__).resolve().parent.parent

PURE = {"errors", "secret", "model", "details", "events", "wire", "clock", "schedule", "drift", "runway", "safefile"}
PURE |= {"variables"}
SHAPE = PURE | {"config.shape"}
DECISIONS = SHAPE | {"plan", "policy", "keeper"}
LAYERS = (DECISIONS, SHAPE, PURE)  # the widest first

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
    "wire": set(),
    "model": {"secret"},
    "details": set(),
    "events": {"details", "model"},
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
    "codes": DECISIONS | {"rounds"},
    "retiring": DECISIONS | {"desk", "rounds", "waiting"},
    "desk": DECISIONS | {"rounds"},
    # What is and what happened, told.
    "status": {"control_api", "keeper", "plan"},
    "metrics": {"events", "keeper"},
    "audit": {"clock", "events"},
    "audit_file": {"errors"},
    "logs": {"details", "events"},
    "ledger": {"events"},
    # Processes.
    "process": set(),
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
    | {"callers", "codes", "control_api", "desk", "dialects", "explaining", "head", "metrics", "origin"}
    | {"rounds", "server.sockets", "state", "status", "threads", "waiting"}
    | {"worker_env"},  # what a pod sets, told with its path token
    # The worker's and the command line's side.
    "worker_env": SHAPE,
    "identity": {"worker_env"},
    "control_client": SHAPE | {"control_api", "server.sockets"},
    "doctor": SHAPE | {"control_api", "control_client", "server.sockets", "worker_env"},
    "hold": {"control_api", "control_client", "errors"},
    "files": PURE,
    "run_command": {"errors", "process"},
    # The tops: they put the rest together.
    "vetting": SHAPE | {"config", "plan"},
    "reloading": SHAPE | {"plan", "supervisor", "threads", "vetting"},
    "upstream": SHAPE | {"config", "identity", "minter.asking", "minter.client"},
    "daemon": DECISIONS
    | {"audit", "audit_file", "callers", "checking", "config", "desk", "kept_leases", "ledger", "logs", "metrics"}
    | {"minter.asking", "process", "reloading", "retiring", "rounds", "server", "supervisor", "upstream"},
    "cli": SHAPE
    | {"checking", "config", "control_api", "control_client", "daemon", "doctor", "files", "hold", "identity", "logs"}
    | {"explaining", "minter.client", "plan", "process", "run_command", "server.sockets", "state", "vetting"}
    | {"callers", "worker_env"},
}

LOOPS = {"reloading", "retiring", "rounds", "threads", "kept_leases", "server", "minter.client", "daemon", "cli"}
LOOPS |= {"waiting"}
# Who may import what others wrote; what stands in neither table is free.
KEPT_IN = {
    "asyncio": LOOPS,
    "uvloop": {"cli"},
    "aiohttp": {"server"},
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
