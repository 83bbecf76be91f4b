"""Every configured credential minted once, and who each one is: what `credbroker check` does, by minters alone."""

import os
import pwd
from collections.abc import Callable, Iterator

import msgspec

from broker.errors import BrokerError, Denied, IdentityMissing, MintError
from broker.minter import frames
from broker.minter.client import Pool
from broker.model import Ask, CallerFacts, Facts, Given, Minted
from broker.plan import Book, Rendered, Unrenderable, is_required
from broker.secret import Secret


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one credential turned out to be, or why it could not be minted. Seconds."""

    credential: str
    source: str
    caller: str
    facts: Facts = Facts()
    lifetime: float | None = None
    short_lived: bool = True
    skew: float | None = None
    error: str | None = None
    advice: str | None = None
    required: bool = False  # a daemon is not ready without it


class Checker:
    """Mints each rendering of a Book once, bases before what chains from them."""

    def __init__(self, book: Book, pool: Pool, ask_code: Callable[[str], str]) -> None:
        self._book = book
        self._pool = pool
        self._ask_code = ask_code
        self._minted: dict[bytes, frames.Brought | BrokerError] = {}
        self.with_code: set[bytes] = set()
        self._awaited = tuple(one for one in book.warm() if is_required(book, one.label))

    async def findings(self) -> list[Finding]:
        """One finding for each credential and caller that it is granted to, in file order."""
        found = []
        for name, facts in self._granted():
            found.append(await self._finding(name, facts))
        return found

    def missing(self) -> tuple[str, ...]:
        """What `/readyz` of a daemon would name where it meets what was found here, each once for all its callers.

        No daemon has an MFA code before somebody brings one.
        """
        return tuple(sorted({one.label for one in self._awaited if self._is_missing(one)}))

    def _is_missing(self, rendered: Rendered) -> bool:
        failed = isinstance(self._minted.get(rendered.key), BrokerError)
        return failed or rendered.key in self.with_code or bool(rendered.base and self._is_missing(rendered.base))

    def idle(self) -> tuple[str, ...]:
        """What no daemon mints: nobody is granted it, nor anything that is minted from it."""
        book = self._book
        used = {name for caller in book.config.callers for grant in caller.grants for name in book.chain(grant)}
        return tuple(name for name in book.credentials if name not in used)

    def _granted(self) -> Iterator[tuple[str, CallerFacts]]:
        granted: set[str] = set()
        for caller in self._book.config.callers:
            group = next((rule.group for rule in caller.rules if rule.group), None)
            facts = CallerFacts(caller=caller.name, uid=str(os.getuid()), user=_own_name(), group=group)
            for name in caller.grants:
                granted.add(name)
                yield name, facts
        for credential in self._book.config.credentials:
            if credential.name not in granted:
                yield credential.name, CallerFacts(caller="-", uid=str(os.getuid()), user=_own_name())

    async def _finding(self, name: str, facts: CallerFacts) -> Finding:
        credential = self._book.credentials[name]
        finding = Finding(
            credential=name,
            source=credential.source,
            caller=facts.caller,
            short_lived=credential.spec.short_lived,
            required=self._is_required(name),
        )
        try:
            brought = await self._mint(self._book.rendered(name, facts))
        except (MintError, Unrenderable) as error:
            return msgspec.structs.replace(finding, error=error.code, advice=error.advice)
        return msgspec.structs.replace(
            finding,
            facts=_joined(brought.minted, brought.facts),
            lifetime=brought.minted.lifetime,
            skew=brought.minted.skew,
        )

    def _is_required(self, name: str) -> bool:
        return any(one.label == name for one in self._awaited)

    async def _mint(self, rendered: Rendered) -> frames.Brought:
        """Once a rendering; a second caller of the same one is told the same."""
        if rendered.key not in self._minted:
            try:
                self._minted[rendered.key] = await self._mint_now(rendered)
            except BrokerError as error:
                self._minted[rendered.key] = error
        known = self._minted[rendered.key]
        if isinstance(known, BrokerError):
            raise known
        return known

    async def _mint_now(self, rendered: Rendered) -> frames.Brought:
        base = (await self._mint(rendered.base)).minted.value if rendered.base else None
        if not rendered.wants_code:
            try:
                return await self._who(rendered, Given(base=base))
            except IdentityMissing as error:
                if error.code != "MfaRequired":  # by the profile that the identity is found in
                    raise
        self.with_code.add(rendered.key)
        return await self._who(rendered, Given(base=base, mfa_code=Secret(self._ask_code(rendered.label))))

    async def _who(self, rendered: Rendered, given: Given) -> frames.Brought:
        generation = self._book.config.generation
        ask = Ask(credential=rendered.label, facts=rendered.facts, generation=generation, given=given)
        brought = await self._pool.call(frames.Call(do="who", ask=ask))
        assert isinstance(brought, frames.Brought)
        return brought


class Looked(msgspec.Struct, frozen=True):
    """The credentials for which there is an identity, and those that no minter could look for, each with why."""

    found: tuple[str, ...]
    lost: tuple[tuple[str, MintError], ...]


async def found_identities(book: Book, pool: Pool) -> tuple[str, ...]:
    """The credentials of a zero configuration for which there is an identity. Raises as `looked_for` does."""
    return (await looked_for(book, pool)).found


async def looked_for(book: Book, pool: Pool) -> Looked:
    """A look for the identity of each credential.

    Raises the MintError of a look that was not answered where no other found any: nobody knows then that there is none.
    """
    caller = CallerFacts(caller=next(iter(book.callers)))
    generation = book.config.generation
    asks = [Ask(credential=name, facts=caller, generation=generation) for name in book.credentials]
    answers = await pool.calls([frames.Call(do="find", ask=ask) for ask in asks])
    told = tuple(zip(book.credentials, answers, strict=True))
    found = tuple(name for name, answer in told if _is_there(answer))
    lost = tuple((name, answer) for name, answer in told if isinstance(answer, MintError) and name not in found)
    if lost and not found:
        raise lost[0][1]
    return Looked(found, lost)


def _is_there(answer: object) -> bool:
    """Whether an identity was found; a broken one counts, so that its mint says what is wrong with it."""
    return isinstance(answer, IdentityMissing | Denied) or (isinstance(answer, frames.Found) and bool(answer.identity))


def _joined(minted: Minted, who: Facts | None) -> Facts:
    """What the mint told, and what upstream said when asked."""
    told = {name: value for name, value in msgspec.structs.asdict(who or Facts()).items() if value}
    return msgspec.structs.replace(minted.facts, **told)


def _own_name() -> str | None:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return None
