"""Config -> Book: templates rendered for callers, chains followed, what to warm. Pure.

The Book of a generation is one frozen value; a reload makes a new one. Daemon and minter both render from their own
reading of the configuration, so that nothing but names and facts travels between them.
"""

import math
import re
import socket
from collections import defaultdict
from collections.abc import Container, Iterator
from typing import Any

import msgspec

from broker import schedule
from broker.config.shape import CallerEntry, Config, Credential
from broker.errors import BrokerError, ConfigError, Mistake
from broker.model import CallerFacts, Kind, Reference, Spec

_FACT = re.compile(r"(?!\.\.?$)[A-Za-z0-9._@-]{1,64}")  # it may stand in a path
_PLACE = re.compile(r"\{(caller|hostname|uid|user|group)\}")
_OF_ONE_CALLER = re.compile(r"\{(uid|user|group)\}")
HOUR = 3600  # the life of what does not say how long it is to live
FOR_REFRESHES = 0.5  # of the budget of upstream calls; the rest is for retries and for what only workers ask for

_FIRST_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")


class Unrenderable(BrokerError):
    """A template cannot be filled for this caller; the advice names the field, never the value."""

    status = 403


class Rendered(msgspec.Struct, frozen=True, eq=False):
    """A credential rendered for a caller.

    `key` is the canonical encoding of everything that decides what is minted, and of the name: two credentials of one
    spec may differ in who may be handed them, in what a denial does and in whether readiness waits.
    """

    key: bytes
    credential: Credential
    facts: CallerFacts
    spec: Spec
    audience: str | None = None
    base: "Rendered | None" = None

    @property
    def family(self) -> str:
        """Which upstream it is minted at, for the budget of calls: the first word of its source."""
        return self.credential.source.partition("-")[0]

    @property
    def label(self) -> str:
        """The credential's name: one label value, however many callers it renders for."""
        return self.credential.name

    @property
    def job(self) -> str | None:
        """The one that it is for; None where jobs share it."""
        return self.facts.job if self.spec.per_job else None

    @property
    def wants_code(self) -> bool:
        """Whether a mint is configured to need an MFA code; only upstream knows whether a profile does."""
        return bool(getattr(self.spec, "mfa_serial", None))


class Book(msgspec.Struct, frozen=True, eq=False):
    """Everything that decides about requests, for one generation of the configuration."""

    config: Config
    credentials: dict[str, Credential]
    callers: dict[str, CallerEntry]
    hostname: str
    of_processes: frozenset[str]  # the credentials whose own spec renders {uid}, {user} or {group}

    def rendered(self, name: str, facts: CallerFacts, audience: str | None = None) -> Rendered:
        """The credential as this caller gets it, its chain of bases included.

        Raises Unrenderable where a template needs a fact that the caller does not have.
        """
        credential = self.credentials[name]
        base = self.rendered(credential.base, facts) if credential.base else None
        spec = _render_spec(credential, {**_facts(facts), "hostname": self.hostname})
        chain = msgspec.Raw(base.key) if base else None
        job = (facts.job,) if spec.per_job else ()
        key = msgspec.json.encode((name, credential.source, spec, audience, chain, *job), order="sorted")
        return Rendered(key, credential, facts, spec, audience, base)

    def chain(self, name: str) -> tuple[str, ...]:
        """A credential and, by name, all that it is minted from."""
        base = self.credentials[name].base
        return (name, *self.chain(base)) if base else (name,)

    def warm(self) -> tuple[Rendered, ...]:
        """What is minted at start: everything granted that renders without knowing the process, its bases before it."""
        found: dict[bytes, Rendered] = {}
        for caller in self.config.callers:
            for name in caller.grants:
                if warms_at_start(self, name):
                    self._warm_chain(self.rendered(name, CallerFacts(caller=caller.name)), found)
        for rendered in self.per_job():
            if rendered.base:  # the first request of a job then waits for one mint and not for two
                self._warm_chain(rendered.base, found)
        return tuple(found.values())

    def per_job(self) -> tuple[Rendered, ...]:
        """What is made for each job, as callers share it who are no job: what jobs leave behind is found by it."""
        found: dict[bytes, Rendered] = {}
        for caller in self.config.callers:
            for name in caller.grants:
                if self.credentials[name].spec.per_job and not of_one_caller(self, name):
                    rendered = self.rendered(name, CallerFacts(caller=caller.name))
                    found.setdefault(rendered.key, rendered)
        return tuple(found.values())

    def _warm_chain(self, rendered: Rendered, found: dict[bytes, Rendered]) -> None:
        if rendered.base:
            self._warm_chain(rendered.base, found)
        found.setdefault(rendered.key, rendered)


class Fault(msgspec.Struct, frozen=True):
    """A mistake that shows only once all is read: the way to where it stands, and what is wrong there."""

    steps: tuple[str, str, str]
    text: str


def make_book(config: Config, hostname: str | None = None) -> Book:
    """The Book of a configuration that has been read.

    Raises ConfigError where `faults` finds any.
    """
    book = book_of(config, hostname)
    mistakes = tuple(
        Mistake(f"[{fault.steps[0]}.{fault.steps[1]}] {fault.steps[2]}", fault.text) for fault in faults(book)
    )
    if mistakes:
        raise ConfigError(*mistakes)
    return book


def book_of(config: Config, hostname: str | None = None) -> Book:
    """The Book of a configuration, whatever `faults` says of it."""
    return Book(
        config,
        {credential.name: credential for credential in config.credentials},
        {caller.name: caller for caller in config.callers},
        hostname or _short_hostname(),
        frozenset(credential.name for credential in config.credentials if process_facts(credential)),
    )


def faults(book: Book) -> tuple[Fault, ...]:
    """Grants that a caller's name, or this host's, does not fit into, and a budget too small for what is warm."""
    misfits = {(caller, name): text for caller, name, text in _misfits(book)}
    unfit = (Fault(("callers", caller, "grants"), text) for (caller, _), text in misfits.items())
    return (*unfit, *_overdrawn(_without(book, misfits) if misfits else book))


def _without(book: Book, misfits: Container[tuple[str, str]]) -> Book:
    """The same without the grants that can never be served."""
    callers = tuple(
        msgspec.structs.replace(one, grants=tuple(name for name in one.grants if (one.name, name) not in misfits))
        for one in book.config.callers
    )
    return book_of(msgspec.structs.replace(book.config, callers=callers), book.hostname)


def _misfits(book: Book) -> Iterator[tuple[str, str, str]]:
    """What is known now to be denied for ever: templates whose rendering breaks the limits of a field."""
    for caller in book.config.callers:
        for name in caller.grants:
            if not of_one_caller(book, name):
                try:
                    book.rendered(name, CallerFacts(caller=caller.name))
                except Unrenderable as error:
                    yield caller.name, name, error.advice


def _overdrawn(book: Book) -> Iterator[Fault]:
    """The families of sources whose leases, each minted anew as early as may be, need more than there is."""
    calls: defaultdict[str, list[float]] = defaultdict(list)
    for rendered in book.warm():
        spec = rendered.spec
        life = getattr(spec, "duration", None) or getattr(spec, "lifetime", None) or HOUR
        calls[rendered.family].append(1 / schedule.refresh_at(0.0, life, jitter=-1.0))
    rate = book.config.daemon.limits.upstream_per_second
    for family, each in sorted(calls.items()):
        if (needed := sum(each)) > rate * FOR_REFRESHES:
            text = (
                f"{len(each)} {family} leases need {needed:.1f} calls a second, minted anew at 45 % of their lives; of "
                f"{rate} a second, half is for that and half for retries: ask for longer lives, grant fewer, "
                f"or set it to {math.ceil(needed / FOR_REFRESHES)} if the cloud allows so many"
            )
            yield Fault(("daemon", "limits", "upstream_per_second"), text)


def warms_at_start(book: Book, name: str) -> bool:
    """Whether a credential is minted before anybody asks: `warm`, else whether its templates allow it."""
    credential = book.credentials[name]
    if credential.spec.per_job:
        return False
    if credential.warm is not None:
        return credential.warm == "start" and not of_one_caller(book, name)
    return not of_one_caller(book, name)


def is_required(book: Book, name: str) -> bool:
    """Whether readiness waits for it: `required`, else whether it is minted at start."""
    credential = book.credentials[name]
    return warms_at_start(book, name) if credential.required is None else credential.required


def of_one_caller(book: Book, name: str) -> bool:
    """Whether the credential, or one it chains from, renders {uid}, {user} or {group}."""
    base = book.credentials[name].base
    return name in book.of_processes or bool(base and of_one_caller(book, base))


def gives(credential: Credential, kind: Kind | None, audience: str | None) -> bool:
    """Whether a lease of this kind (and, for ID tokens, audience) can come from this credential."""
    if kind is Kind.GOOGLE_ID:
        return audience in getattr(credential.spec, "audiences", ())
    return kind is None or credential.spec.kind is kind


def process_facts(credential: Credential) -> frozenset[str]:
    """Which of a process's uid, user and group a credential's own spec renders."""
    return frozenset(_OF_ONE_CALLER.findall(msgspec.json.encode(credential.spec).decode()))


def _facts(facts: CallerFacts) -> dict[str, str | None]:
    return {"caller": facts.caller, "uid": facts.uid, "user": facts.user, "group": facts.group}


def _render_spec(credential: Credential, facts: dict[str, str | None]) -> Spec:
    spec = credential.spec
    changes = {}
    for name, written in zip(spec.__struct_fields__, spec.__struct_encode_fields__, strict=True):
        template = getattr(spec, name)
        value = _render(template, facts, f"credential {credential.name!r}, {written}")
        if value != template:
            changes[name] = value
    if not changes:
        return spec
    try:
        return msgspec.convert(msgspec.to_builtins(msgspec.structs.replace(spec, **changes)), type(spec))
    except msgspec.ValidationError:
        names = ", ".join(sorted(changes))
        raise Unrenderable(f"credential {credential.name!r}: {names} is out of its limits for this caller") from None


def _render(template: Any, facts: dict[str, str | None], place: str) -> Any:
    match template:
        case str():
            return _PLACE.sub(lambda found: _fact(found[1], facts, place), template) if "{" in template else template
        case tuple() | list():
            return type(template)(_render(item, facts, place) for item in template)
        case Reference(file=str(path)):
            return Reference(file=_render(path, facts, place))
        case dict():
            return {_render(name, facts, place): _render(item, facts, place) for name, item in template.items()}
    return template


def _fact(name: str, facts: dict[str, str | None], place: str) -> str:
    value = facts[name]
    if value is None or not _FACT.fullmatch(value):
        raise Unrenderable(f"{place}: {{{name}}} is not known for this caller, or not usable in a name")
    return value


def _short_hostname() -> str:
    found = _FIRST_LABEL.match(socket.gethostname())
    return found[0] if found else "localhost"
