"""Keepers -> what `status`, `whoami` and readiness say of them. Pure."""

from collections.abc import Iterable, Iterator

from broker.control_api import Granted, LeaseRow
from broker.keeper import NEVER, Keeper
from broker.plan import Book, Rendered, is_required, process_facts


def lease_row(keeper: Keeper, now: float) -> LeaseRow:
    """One keeper as a row. Whose it is stands in it only where that decides what is minted."""
    rendered, lease, error = keeper.rendered, keeper.lease, keeper.error
    left = lease.left(now) if lease else None
    facts, who = rendered.facts, _rendered_for(rendered)
    of_a_user = rendered.job is not None or bool(who & {"uid", "user"})
    return LeaseRow(
        credential=rendered.credential.name,
        source=rendered.credential.source,
        kind="gcp-id" if rendered.audience else str(rendered.spec.kind),
        caller=rendered.facts.caller,
        identity=lease.facts.identity if lease else None,
        account=lease.facts.account if lease else None,
        state=_state(keeper, now),
        serial=lease.serial if lease else 0,
        expires_at=lease.expires_at if lease else None,
        left=left,
        refreshed_at=lease.issued_at if lease else None,
        next_refresh_in=None if keeper.due == NEVER else max(keeper.due - now, 0.0),
        served=keeper.served,
        error=error.code if error else None,
        advice=error.advice if error else None,
        note=lease.facts.note if lease else None,
        short_lived=rendered.spec.short_lived,
        uid=int(facts.uid) if of_a_user and facts.uid else None,
        user=facts.user if of_a_user else None,
        group=facts.group if "group" in who else None,
        job=rendered.job,
    )


def granted(keepers: Iterable[tuple[Keeper, bool]], now: float) -> Iterator[Granted]:
    """What a worker's environment needs to know of what it is granted; `keepers` with whether each is first."""
    for keeper, first in keepers:
        spec, lease = keeper.rendered.spec, keeper.held(now)
        facts = lease.facts if lease else None
        yield Granted(
            name=keeper.rendered.credential.name,
            kind=str(spec.kind),
            first=first,
            settings=keeper.rendered.credential.settings,
            region=(facts and facts.region) or getattr(spec, "region", None),
            project=(facts and facts.project) or getattr(spec, "project", None),
            quota_project=(facts and facts.quota_project) or getattr(spec, "quota_project", None),
            profile=getattr(spec, "profile", None),
        )


def missing(book: Book, keepers: Iterable[Keeper], now: float) -> tuple[str, ...]:
    """The required credentials without a valid lease: until there are none, the daemon is not ready.

    Each by its name, once, however many callers it is rendered for. What is minted only because somebody asked is none
    of them, as the base of a credential that waits for its first use.
    """
    return tuple(
        sorted(
            {
                keeper.rendered.label
                for keeper in keepers
                if keeper.kept and is_required(book, keeper.rendered.label) and keeper.held(now) is None
            }
        )
    )


def degraded(keepers: Iterable[Keeper]) -> tuple[str, ...]:
    """The credentials whose last mint failed, whether or not a lease is still held."""
    return tuple(sorted({keeper.rendered.label for keeper in keepers if keeper.failures}))


def _rendered_for(rendered: Rendered) -> frozenset[str]:
    """Which facts of a process the templates of a credential, and of what it chains from, name."""
    named = process_facts(rendered.credential)
    return named | _rendered_for(rendered.base) if rendered.base else named


def _state(keeper: Keeper, now: float) -> str:
    if keeper.held(now) is not None:
        return "stale" if keeper.failures else "fresh"
    if keeper.in_flight:
        return "minting"
    if keeper.error is not None:
        return "failing" if keeper.error.transient else "denied"
    return "cold"
