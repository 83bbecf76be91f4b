"""Logging: structlog to standard error, JSON unless it is a terminal. No locals in tracebacks."""

import logging
import sys
from collections.abc import Callable

import structlog

from broker.details import MintBegun, SocketAnswered, TurnedAway
from broker.events import (
    ClockMoved,
    Event,
    KeysLeft,
    KeysRetired,
    LeaseEvicted,
    LeaseMinted,
    LeasesTakenOver,
    Limited,
    MinterLost,
    MintFailed,
    OlderLease,
    Reloaded,
    RequestDenied,
    ReviewsFail,
    ReviewsWork,
    SealedDropped,
    StateOff,
    TokensDropped,
    UpstreamAsked,
    WriteFailed,
    WriteHealed,
)

MOST_NAMED = 10
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: str = "info", *, plain: bool | None = None) -> None:
    """Set up logging for this process. Foreign loggers never speak below INFO: at DEBUG they print credentials."""
    plain = sys.stderr.isatty() if plain is None else plain
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback, pad_event_to=0)
        if plain
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if plain else [structlog.processors.format_exc_info]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(LEVELS[level], logging.INFO), stream=sys.stderr, format="%(levelname)s %(message)s")


def hush() -> None:
    """Say nothing until `configure`."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def listen(event: Event) -> None:
    """The line of the log that an event deserves, if any."""
    log = structlog.get_logger()
    match event:
        case LeaseMinted():
            log.info(
                "lease minted",
                credential=event.credential,
                identity=event.facts.identity,
                serial=event.serial,
                took=round(event.took, 3),
            )
        case OlderLease():
            log.debug("upstream gave no newer lease yet", credential=event.credential)
        case MintFailed():
            say = log.warning if event.held else log.error
            say(
                "mint failed",
                credential=event.credential,
                code=event.code,
                advice=event.advice,
                retry_in=round(event.retry_in, 1),
                still_serving=event.held,
            )
        case LeaseEvicted():
            log.error("lease evicted: upstream denied it twice", credential=event.credential, serial=event.serial)
        case MinterLost():
            log.warning("minter lost and replaced", why=event.why)
        case ReviewsFail():
            text = "tokens of pods cannot be reviewed" if event.what == "review" else "the cluster's keys cannot be had"
            log.warning(text, code=event.code, advice=event.advice, judged_by_keys=event.by_keys)
        case ReviewsWork():
            log.info("the API server answers again")
        case Reloaded(error=None):
            log.info("configuration reloaded", generation=event.generation[:12])
        case Reloaded():
            log.error("reload refused, nothing changed", mistakes=event.error)
        case _:
            _of_the_house(event)


def listeners(level: str) -> tuple[Callable[[Event], None], ...]:
    """What listens for a log of this level: the details cost nothing where nobody reads them."""
    return (listen, in_detail) if level == "debug" else (listen,)


def in_detail(event: Event) -> None:
    """The line of a log at debug level, for what goes on all the time; of workers' requests the audit tells."""
    log = structlog.get_logger()
    match event:
        case MintBegun():
            log.debug("mint begun", credential=event.credential, caller=event.caller, with_code=event.with_code)
        case UpstreamAsked():
            log.debug("upstream asked", source=event.source, code=event.code)
        case SocketAnswered():
            log.debug(
                "control socket answered",
                method=event.method,
                path=event.path,
                credential=event.credential,
                status=event.status,
                uid=event.uid,
                took=round(event.took, 3),
            )
        case RequestDenied(dialect="socket"):
            log.debug("denied on the control socket", reason=event.reason, uid=event.uid, request_id=event.request_id)
        case TurnedAway():
            log.debug("no room for a connection", where=event.where, uid=event.uid, count=event.count)
        case _:
            pass


def _of_the_house(event: Event) -> None:
    log = structlog.get_logger()
    match event:
        case Limited():
            log.warning("held back", limit=event.limit, count=event.count, uid=event.uid, caller=event.caller)
        case KeysRetired() | KeysLeft():
            _of_a_job(event)
        case ClockMoved():
            log.warning(
                "the clocks moved: leases that may have ended are minted anew",
                asleep=round(event.asleep, 1),
                wall_clock_ahead=round(event.ahead, 1),
            )
        case TokensDropped():
            log.warning("worker tokens were not taken over from before the restart", why=event.why)
        case LeasesTakenOver():
            log.info("leases taken over from before the restart", count=event.count, took=round(event.took, 3))
        case SealedDropped():
            named = event.credentials[:MOST_NAMED]
            log.warning("sealed leases dropped", count=event.count, why=event.why, credentials=named)
        case StateOff():
            log.error("leases are not kept for the next start; serving goes on", why=event.why)
        case WriteFailed(first=True):
            log.error("a file cannot be written; serving goes on", file=event.file, why=event.why)
        case WriteHealed():
            log.warning("a file is written again", file=event.file, missed=event.missed)
        case _:
            pass


def _of_a_job(event: KeysRetired | KeysLeft) -> None:
    log = structlog.get_logger()
    of = {"credential": event.credential, "job": event.job, "keys": event.keys}
    if isinstance(event, KeysRetired):
        log.info("a job is over, and so are its keys", **of)
        return
    say = log.error if event.again_in is None else log.warning
    again = None if event.again_in is None else round(event.again_in, 1)
    why = {"code": event.code, "advice": event.advice, "retry_in": again}
    say("keys of a job that is over are left", **of, **why)
