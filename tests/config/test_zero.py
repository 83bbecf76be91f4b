import pytest

from broker import sources
from broker.config import zero
from broker.config.shape import Address, Rule
from broker.config.zero import configuration, narrowed
from broker.plan import is_required, make_book
from tests.config.toy import TABLE


class TestConfiguration:
    def test_serves_one_user_whatever_identity_is_found(self):
        """Both clouds, on a free port, without a word of configuration."""
        found = configuration("/run/user/5/credbroker", 5, table=TABLE)

        assert [(each.name, each.source, each.share_identity) for each in found.credentials] == [
            ("aws", "aws-session", True),
            ("gcp", "gcp-adc", True),
        ]
        (caller,) = found.callers
        assert (caller.name, caller.rules, caller.grants) == ("local", (Rule(uid=5),), ("aws", "gcp"))
        assert found.daemon.listen == (Address("127.0.0.1", 0),)
        assert found.daemon.admin is None
        assert found.daemon.socket == "/run/user/5/credbroker/broker.sock"
        assert found.daemon.runtime_dir == "/run/user/5/credbroker"
        assert (found.zero, found.files) == (True, ())

    def test_root_is_let_in_by_its_token_alone(self):
        """Every daemon of a machine or a container may have uid 0."""
        (caller,) = configuration("/run/x", 0, table=TABLE).callers

        assert (caller.rules, caller.allow_root, caller.worker_token) == ((), False, True)

    @pytest.mark.parametrize("uid", [0, 5])
    def test_daemon_and_minter_make_the_same_one(self, uid: int):
        """From the same two arguments."""
        first, second = (configuration("/run/x", uid, table=TABLE) for _ in range(2))

        assert first == second
        assert first.generation == zero.GENERATION

    def test_the_real_sources_need_no_word_either(self):
        """Every field of theirs has a default, and both are minted at start."""
        book = make_book(configuration("/run/x", 5, table=sources.TABLE))

        assert all(is_required(book, name) for name in zero.CREDENTIALS)


class TestNarrowed:
    def test_keeps_only_what_an_identity_was_found_for(self):
        """Neither configured nor granted: nothing fails at each start because a cloud is not used."""
        found = narrowed(configuration("/run/x", 5, table=TABLE), {"gcp"})

        assert [credential.name for credential in found.credentials] == ["gcp"]
        assert [caller.grants for caller in found.callers] == [("gcp",)]
        assert found.generation == zero.GENERATION
