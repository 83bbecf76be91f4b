"""A worker's environment as text, for `credbroker env`. A renderer: secrets are opened here, and nowhere before."""

import json
import re
import shlex
from collections.abc import Callable

from broker.worker_env.environment import Environment, opened
from broker.worker_env.outer import OUTER

SLURM_LINE = 4094  # bytes; what slurmstepd reads at once (task.c)
_PLAIN = re.compile(r"[\w@%+=:,./-]*", re.ASCII)


def to_shell(environment: Environment) -> str:
    """Lines for `eval "$(credbroker env)"` in any POSIX shell."""
    lines = [f"unset {' '.join(environment.unset)}"] if environment.unset else []
    lines += [f"export {name}={shlex.quote(opened(value))}" for name, value in environment.set]
    return _text(lines)


def to_json(environment: Environment) -> str:
    """One object: `set` as names and values, `unset` as a list of names."""
    return json.dumps({"set": _elsewhere(environment), "unset": list(environment.unset)}, indent=2) + "\n"


def to_dotenv(environment: Environment) -> str:
    """NAME=value lines for `docker --env-file`, systemd's EnvironmentFile and dotenv libraries.

    They cannot unset, and an empty value is not the same to an SDK (AWS_PROFILE), so the unsets are one comment.
    Values that need no quotes have none: docker takes quotes literally.
    """
    lines = [f"# unset: {' '.join(environment.unset)}"] if environment.unset else []
    lines += [f"{name}={_dotenv(value)}" for name, value in _elsewhere(environment).items()]
    return _text(lines)


def to_slurm(environment: Environment) -> str:
    """What a TaskProlog prints for Slurm to change a task's environment.

    slurmstepd reads `export NAME=value` and `unset NAME`, one a line, values verbatim (its task.c). What does not fit
    is left out; no variable that an SDK reads is near it.
    """
    lines = [f"unset {name}" for name in environment.unset]
    lines += [f"export {name}={opened(value)}" for name, value in environment.set]
    return _text(
        [line for line in lines if len(line.encode(errors="surrogateescape")) < SLURM_LINE and "\n" not in line]
    )


FORMATS: dict[str, Callable[[Environment], str]] = {
    "sh": to_shell,
    "json": to_json,
    "dotenv": to_dotenv,
    "slurm": to_slurm,
}


def _elsewhere(environment: Environment) -> dict[str, str]:
    """The variables for an environment that is not the one they were made in: there is nothing to go back to."""
    return {name: opened(value) for name, value in environment.set if name != OUTER}


def _dotenv(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    return '"' + re.sub(r'(["\\$`])', r"\\\1", value).replace("\n", "\\n") + '"'


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
