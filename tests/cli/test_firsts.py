"""What a worker starts with, of all that it is granted."""

import click
import msgspec
import pytest

from broker.cli.firsts import Firsts, Making, firsts
from broker.model import Kind
from tests.cli.grants import BLOB, DATA, LAKE, TRAIN, VAULT, WORKER


class TestMaking:
    def test_lists_are_read_as_people_type_them(self):
        """With or without spaces."""
        making = Making.from_options(use="a, b,,c", without="gcp", caller=None)

        assert (making.use, making.without) == (("a", "b", "c"), frozenset({Kind.GOOGLE}))

    def test_a_cloud_that_is_none_is_wrong_usage(self):
        """With those that are."""
        with pytest.raises(
            click.BadParameter,
            match="'moon' is not a cloud: aws, gcp, gcs-hmac, azure, azure-sas, databricks, oci, alipan, env",
        ):
            Making.from_options(use=None, without="moon")


class TestFirsts:
    def test_each_cloud_has_one(self):
        """What SDKs get that cannot name another."""
        assert firsts(WORKER, Making()) == Firsts(TRAIN, DATA)

    def test_a_cloud_that_is_left_alone_has_none(self):
        """The machine's own role takes over there."""
        assert firsts(WORKER, Making(without=frozenset({Kind.AWS}))) == Firsts(None, DATA)

    def test_clouds_of_their_own_protocols_have_one_each(self):
        """And no more: a second one is asked for by its name."""
        worker = msgspec.structs.replace(WORKER, granted=(BLOB, VAULT, LAKE))

        assert firsts(worker, Making()) == Firsts(None, None, azure=BLOB, databricks=LAKE)
        assert firsts(worker, Making(without=frozenset({Kind.AZURE}))) == Firsts(None, None, databricks=LAKE)

    def test_a_key_that_no_client_would_look_at_is_not_asked_for(self):
        """It would be made for that, and there are ten."""
        hmac = msgspec.structs.replace(VAULT, name="hmac", kind=str(Kind.GCS_HMAC), first=True)
        worker = msgspec.structs.replace(WORKER, granted=(DATA, hmac))
        alone = Making(without=frozenset({Kind.GOOGLE}))

        assert firsts(worker, Making()) == Firsts(None, DATA, left_out=(hmac,))
        assert firsts(worker, alone) == Firsts(None, None, variables=(hmac,))
