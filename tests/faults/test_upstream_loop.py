"""Fault 15: a broker that is configured to fetch from itself, directly or through others."""

from tests.cli.newcomer import CREDBROKER, Newcomer, newcomer, until
from tests.fakes.sts import FakeSts
from tests.faults.outage import ALONE, row
from tests.faults.stage import Broker

SOON = 15.0  # seconds, half of a mint's deadline


class TestFault15:
    def test_15_a_broker_that_is_to_fetch_from_itself_does_not(self, sts: FakeSts, nobody: Newcomer):
        """Its own address is taken out of what its minters are told; it says that it has no identity."""
        broker = Broker(nobody, sts)
        broker.environment = asking(broker)
        try:
            broker.start(warm=False)
            until(lambda: row(broker).error is not None)

            assert row(broker).error == "NoCredentials"
            assert broker.metric("requests_total") == 0
        finally:
            broker.stop()

    def test_15_nor_by_a_command_of_its_own(self, sts: FakeSts, nobody: Newcomer):
        """`credential_process = credbroker get ...` in its own profile: refused at once, not after a deadline."""
        command = " ".join([*CREDBROKER, "get", "train", "--format", "credential-process"])
        nobody.profile(f"region = eu-west-1\ncredential_process = {command}")
        broker = Broker(nobody, sts, ALONE)
        try:
            broker.start(warm=False)
            until(lambda: row(broker).error is not None, SOON)

            assert row(broker).error == "CredentialRetrievalFailed"
        finally:
            broker.stop()

    def test_15_nor_do_two_that_fetch_from_each_other(self, sts: FakeSts):
        """Each waits for the other: neither has anything to hand on, nor asks it more than now and then."""
        with newcomer() as one, newcomer() as other:
            brokers = [Broker(user, sts, ALONE) for user in (one, other)]
            brokers[0].environment, brokers[1].environment = asking(brokers[1]), asking(brokers[0])
            try:
                for broker in brokers:
                    broker.start(warm=False)
                until(lambda: all(row(broker).error is not None for broker in brokers))
                asked = [broker.metric("requests_total", dialect="aws") for broker in brokers]

                assert [row(broker).serial for broker in brokers] == [0, 0]
                assert sts.count("AssumeRole") == 0
                assert max(asked) < 30
            finally:
                for broker in brokers:
                    broker.stop()


def asking(broker: Broker) -> dict[str, str]:
    """The environment of who gets its identity from that broker."""
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{broker.address}/aws/train",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "attested",
    }
