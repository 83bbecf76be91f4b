"""Who may have what, as rows: a caller, a want, and the name of the credential that answers or the reason why none."""

from types import ModuleType
from typing import Any

from broker.model import Caller, CallerFacts, Kind, Want
from tests.made import SERVICE, a_book, a_caller, a_role, a_session, an_adc, an_entry

BOOK = a_book(
    a_session("secret"),
    a_role("train"),
    a_role("eval"),
    a_role("home", session_name="job-{user}"),
    an_adc("data"),
    an_adc("ident", audiences=(SERVICE,)),
    an_entry("trainer", "train", "eval", "data"),
    an_entry("vision", "home", "ident", "eval"),
    an_entry("idle"),
)
NAMELESS = Caller(matches=(CallerFacts(caller="vision"),), how="token", token_id="t1")

AWS, GOOGLE, ANY = Want(Kind.AWS), Want(Kind.GOOGLE), Want(None)
ID = Want(Kind.GOOGLE_ID, audience=SERVICE)
ID_BY_NAME = Want(Kind.GOOGLE_ID, "ident", audience=SERVICE)
ID_OF_KEYS = Want(Kind.GOOGLE_ID, "home", audience=SERVICE)

# name: (caller, want, the name that answers or the reason)
ROWS: dict[str, tuple[Caller, Want, str]] = {
    "a grant by name": (a_caller("trainer"), Want(Kind.AWS, "eval"), "eval"),
    "the first of a kind": (a_caller("trainer"), AWS, "train"),
    "the first of another kind": (a_caller("trainer"), GOOGLE, "data"),
    "the first of all": (a_caller("trainer"), ANY, "train"),
    "by name whatever its kind": (a_caller("trainer"), Want(None, "data"), "data"),
    "by name, of another kind": (a_caller("trainer"), Want(Kind.GOOGLE, "train"), "denied: not-granted"),
    "not granted": (a_caller("trainer"), Want(Kind.AWS, "secret"), "denied: not-granted"),
    "granted to another caller": (a_caller("trainer"), Want(Kind.GOOGLE, "ident"), "denied: not-granted"),
    "not existing": (a_caller("trainer"), Want(Kind.AWS, "nothing"), "denied: not-granted"),
    "an empty name": (a_caller("trainer"), Want(Kind.AWS, ""), "denied: not-granted"),
    "nothing is granted": (a_caller("idle"), ANY, "denied: not-granted"),
    "a caller that is gone": (a_caller("gone"), ANY, "denied: not-granted"),
    "a caller that matched nothing": (Caller(matches=(), how="uid", uid=7), ANY, "denied: not-granted"),
    "one gone and one there": (a_caller("gone", "vision"), AWS, "home"),
    "a union has the second's grants": (a_caller("trainer", "vision"), Want(Kind.AWS, "home"), "home"),
    "a union is in order": (a_caller("trainer", "vision"), GOOGLE, "data"),
    "a union the other way round": (a_caller("vision", "trainer"), AWS, "home"),
    "an ID token for its audience": (a_caller("vision"), ID, f"ident for {SERVICE}"),
    "an ID token for another": (a_caller("vision"), Want(Kind.GOOGLE_ID, audience="x"), "denied: not-granted"),
    "an ID token by name": (a_caller("vision"), ID_BY_NAME, f"ident for {SERVICE}"),
    "an ID token from keys": (a_caller("vision"), ID_OF_KEYS, "denied: not-granted"),
    "an ID token without a grant": (a_caller("trainer"), ID, "denied: not-granted"),
    "a template that cannot be filled": (NAMELESS, Want(Kind.AWS, "home"), "denied: unrenderable"),
    "the next after one that cannot be filled": (NAMELESS, AWS, "eval"),
    "narrowed to one": (a_caller("trainer", only=("eval",)), AWS, "eval"),
    "narrowed away": (a_caller("trainer", only=("eval",)), Want(Kind.AWS, "train"), "denied: not-granted"),
    "narrowed sets the order": (a_caller("trainer", only=("data", "eval", "train")), AWS, "eval"),
    "narrowed to nothing": (a_caller("trainer", only=()), ANY, "denied: not-granted"),
    "narrowed never widens": (a_caller("trainer", only=("secret",)), ANY, "denied: not-granted"),
}  # fmt: skip


def decided(policy: ModuleType, name: str) -> str:
    """What a policy says to a row."""
    caller, want, _ = ROWS[name]
    decision: Any = policy.decide(BOOK, caller, want)
    if isinstance(decision, policy.Denied):
        return f"denied: {decision.reason}"
    rendered = decision.rendered
    return f"{rendered.label} for {rendered.audience}" if rendered.audience else str(rendered.label)


def facts_given(policy: ModuleType, *names: str) -> CallerFacts:
    """For whom a policy renders what two callers are granted alike."""
    decision: Any = policy.decide(BOOK, a_caller(*names), Want(Kind.AWS, "eval"))
    facts = decision.rendered.facts
    assert isinstance(facts, CallerFacts)
    return facts
