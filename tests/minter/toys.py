"""A made-up source that does what it is told: answer, refuse, hang, crash, talk nonsense. Also for real minters."""

import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import msgspec

from broker.config.read import parse
from broker.config.shape import Config, Snapshot
from broker.errors import Denied, Throttled
from broker.minter.client import Launch
from broker.minter.frames import LONGEST
from broker.model import AccessToken, Ask, CallerFacts, Facts, Given, IdToken, Kind, Minted, Spec, Value
from broker.secret import Secret
from broker.sources import TABLE, Source

HERE = Path(__file__).parent
MAIN = "/etc/credbroker/config.toml"
_KEPT: list[bytearray] = []
EXPIRES_AT = 1_900_000_000.0
FACTS = CallerFacts(caller="trainer", uid="1000", user="alice")


class Toy(Spec, frozen=True, kw_only=True):
    """What to do, and a text to do it with."""

    kind: ClassVar[Kind] = Kind.GOOGLE
    does: str = "answer"
    text: str = "plain"
    audiences: tuple[str, ...] = ()


class JobsToy(Toy, frozen=True, kw_only=True):
    """The same for each job; what is ended is written to the file `text`."""

    per_job: ClassVar[bool] = True


def mint_key(spec: Toy, given: Given) -> Minted:
    """One token, as the key `key-1`."""
    return msgspec.structs.replace(mint(spec, given), facts=Facts(principal="key-1"))


def retire(spec: Toy, given: Given) -> None:
    """Write down what is to be ended."""
    base = given.base.token.open() if isinstance(given.base, AccessToken) else "-"
    Path(spec.text).write_text(f"{base} {','.join(given.spent)}")


def mint(spec: Toy, given: Given) -> Minted:
    """One token, or whatever else was told."""
    told = getattr(sys.modules[__name__], f"_{spec.does}")(spec, given)
    return Minted(AccessToken(Secret(told)), EXPIRES_AT, 3600.0, Facts(email="toy@example"), skew=0.5)


def id_token(spec: Toy, given: Given) -> Minted:
    """One ID token."""
    assert given.audience is not None
    return Minted(IdToken(Secret("ey." + spec.text), given.audience), EXPIRES_AT, 3600.0)


def who(spec: Toy, value: Value) -> Facts:
    """Whose token it is: its own text."""
    assert isinstance(value, AccessToken)
    return Facts(email=f"{value.token.open()}@example")


def _answer(spec: Toy, _: Given) -> str:
    return spec.text


def _repeat_base(_: Toy, given: Given) -> str:
    assert isinstance(given.base, AccessToken)
    code = given.mfa_code.open() if given.mfa_code else ""
    return f"{given.base.token.open()}{code}"


def _deny(_: Toy, __: Given) -> str:
    raise Denied("not allowed: ask for it", code="AccessDenied")


def _throttle(_: Toy, __: Given) -> str:
    raise Throttled("patience", code="SlowDown", retry_after=7.5)


def _break(_: Toy, __: Given) -> str:
    raise LookupError("TOP-SECRET")


def _hang(_: Toy, __: Given) -> str:
    time.sleep(600)
    return ""


def _hang_with_child(spec: Toy, given: Given) -> str:
    started = subprocess.Popen(["sleep", "600"])
    Path(spec.text).write_text(str(started.pid))
    return _hang(spec, given)


def _die(_: Toy, __: Given) -> str:
    os._exit(3)


def _leave(_: Toy, __: Given) -> str:
    raise SystemExit(0)


def _be_huge(_: Toy, __: Given) -> str:
    return "x" * (LONGEST + 1)


def _flood(_: Toy, __: Given) -> str:
    """100 MB where a lease belongs, as one frame."""
    os.write(int(sys.argv[1]), (100 << 20).to_bytes(4, "big"))
    for _part in range(100):
        os.write(int(sys.argv[1]), bytes(1 << 20))
    return ""


def _grow(_: Toy, __: Given) -> str:
    """Keep 300 MB, and answer all the same."""
    _KEPT.append(bytearray(b"x" * (300 << 20)))
    return "large"


def _swell(_: Toy, __: Given) -> str:
    """Take more memory than there is for one minter."""
    return str(len(bytearray(2 << 30)))


def _say_hex(spec: Toy, given: Given) -> str:
    """Write bytes where only frames belong, and answer no more."""
    os.write(int(sys.argv[1]), bytes.fromhex(spec.text))
    return _hang(spec, given)


def _introspect(_: Toy, __: Given) -> str:
    umask = os.umask(0o077)
    return json.dumps(
        {
            "environment": dict(os.environ),
            "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),  # PR_GET_DUMPABLE
            "umask": umask,
            "session": os.getsid(0) == os.getpid(),
            "descriptors": len(list(Path("/proc/self/fd").iterdir())),
            "sdks": sorted({"boto3", "botocore", "google.auth"} & set(sys.modules)),
        }
    )


TOY = Source(name="toy", spec=Toy, mint=mint, who=who, base=Kind.GOOGLE, id_token=id_token, find=lambda spec: spec.text)
DUMB = Source(name="dumb", spec=Toy, mint=mint, who=who)  # neither finds anything nor mints ID tokens
JOBS = Source(name="jobs", spec=JobsToy, mint=mint_key, who=who, base=Kind.GOOGLE, retire=retire)
KEYS = Source(name="keys", spec=Toy, mint=mint_key, who=who, retire=retire)  # everybody's, and not a job's
SOURCES = {source.name: source for source in (TOY, DUMB, JOBS, KEYS)}


def config(**credentials: str) -> str:
    """A configuration of toys: a name, and the lines of its table. The caller of FACTS is granted them all."""
    parts = [f'[credentials.{name}]\nsource = "toy"\n{lines}\n' for name, lines in credentials.items()]
    bases = [name for name in credentials if any(f'from = "{name}"' in lines for lines in credentials.values())]
    granted = ", ".join(f'"{name}"' for name in credentials if name not in bases)
    parts.append(f"[callers.{FACTS.caller}]\nuid = {FACTS.uid}\ngrants = [{granted}]\n")
    return "\n".join(parts).replace('"toy"\nsource = ', "")


def snapshot(**credentials: str) -> Snapshot:
    """The files of such a configuration."""
    return Snapshot(((MAIN, config(**credentials).encode()),))


def generation(launch: Launch | Snapshot) -> str:
    """What a minter of it calls its configuration."""
    return read(launch.snapshot if isinstance(launch, Launch) else launch).generation


def read(found: Snapshot) -> Config:
    """The configuration in it."""
    return parse(found, table={**TABLE, **SOURCES})


def launch(environment: dict[str, str] | None = None, **credentials: str) -> Launch:
    """What a real minter with the toys in its table is started with."""
    paths = os.pathsep.join([str(HERE / "toy"), str(HERE.parent.parent)])
    return Launch(snapshot(**credentials), {"PYTHONPATH": paths, "LC_ALL": "C.UTF-8", **(environment or {})})


def ask(found: Launch | Snapshot, credential: str = "one", given: Given | None = None) -> Ask:
    """A question about one of its credentials."""
    return Ask(credential=credential, facts=FACTS, generation=generation(found), given=given or Given())
