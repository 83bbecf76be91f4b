"""Words for every reason that a denial may have."""

import re
from pathlib import Path

import pytest

from broker.server.reasons import OTHER, REASONS

BROKER = Path(__file__).parents[2] / "broker"
# The lines by which the code refuses, and the reasons in them; the control socket's audit has 401 and 403 alone.
REFUSES = re.compile(r"(?:unidentified|Bad|_refusal|reason)\b.*")
REASON = re.compile(r'"([a-z]+(?:-[a-z0-9]+)+)"')
OF_PODS = re.compile(r'"((?:jwt|no|pods?|review)-[a-z-]+)"')
FACTS = {"pod-name", "pod-uid"}  # what a cluster tells of a pod
CLUSTER = ("callers/kubernetes.py", "jwt.py", "minter/keys.py", "minter/review.py", "server/identifying.py")
SERVER = ("server/identifying.py", "server/reception.py", "server/reviews.py", "server/swap.py")
PLANE = ("callers", "dialects", "desk.py", "head.py", "origin.py", "policy.py", *SERVER)
CODE = re.compile(r'Refused\(\s*4\d\d, "([A-Za-z]+)"')
OF_TOKENS = {"Held", "InvalidTtl", "TooManyTokens"}  # issuing and claiming: 400, 409, 429


def texts(names: tuple[str, ...] = PLANE) -> list[str]:
    """The sources of whatever refuses on the worker plane."""
    places = (BROKER / name for name in names)
    return [file.read_text() for place in places for file in ([place] if place.is_file() else place.rglob("*.py"))]


class TestReasons:
    def test_every_reason_of_the_code_has_words(self):
        """Somebody is refused by it, and asks why."""
        said = {reason for text in texts() for line in REFUSES.findall(text) for reason in REASON.findall(line)}
        said |= {reason for text in texts(CLUSTER) for reason in OF_PODS.findall(text)} - FACTS
        codes = {code for text in texts() for code in CODE.findall(text)} - OF_TOKENS

        assert {"not-granted", "identity-not-shared", "nothing-shown", "imds-v1", "jwt-issuer", "pods-alone"} <= said
        assert sorted((said | codes) - REASONS.keys()) == []

    @pytest.mark.parametrize("name", REASONS)
    def test_they_say_what_happened_and_what_to_do(self, name: str):
        """Two sentences, each a line; no quotation of anything that was sent."""
        reason = REASONS[name]

        assert min(len(reason.what), len(reason.advice)) > 10
        assert not re.search(r"[\n{}]|\.$", reason.what.replace("{uid}", ""))

    def test_one_of_another_version_is_still_something(self):
        """The audit line has what there is."""
        assert "audit" in OTHER.advice
