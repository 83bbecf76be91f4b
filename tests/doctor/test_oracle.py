"""Oracle's SDK and ocifs; `tests/clients/test_doctor_others.py` holds them against both."""

import pytest

from broker.doctor.chain import NONE, OK, SHADOWED, Chain, winner
from broker.doctor.oracle import OCIFS, SDK
from tests.doctor.made import HOME, facts

MARK = {"CREDBROKER_WORKER_TOKEN_FILE": "/run/w/token"}
PAIR = ("/run/w/oci/current/rpst", "/run/w/oci/current/private.pem")
SESSION = MARK | {
    "OCI_RESOURCE_PRINCIPAL_VERSION": "2.2",
    "OCI_RESOURCE_PRINCIPAL_RPST": PAIR[0],
    "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM": PAIR[1],
    "OCIFS_IAM_TYPE": "resource_principal",
}
CONFIG = "/run/w/oci/current/config"
API_KEY = MARK | {"OCI_CONFIG_FILE": CONFIG, "OCIFS_CONFIG_LOCATION": CONFIG, "OCIFS_IAM_TYPE": "api_key"}
OWN = f"{HOME}/.oci/config"


class TestSession:
    @pytest.mark.parametrize("chain", [SDK, OCIFS])
    def test_the_pair_of_the_worker_is_the_brokers(self, chain: Chain):
        """Also beside a config file of the user's own."""
        found = winner(chain, facts(SESSION, files=frozenset({*PAIR, OWN})))

        assert (found.provider, found.verdict) == ("resource principal", OK)

    @pytest.mark.parametrize(
        "more",
        [
            {"OCI_RESOURCE_PRINCIPAL_VERSION": "1.1"},
            {"OCI_RESOURCE_PRINCIPAL_RPST": "/etc/rpst"},
            {"OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM": ""},
            {"CREDBROKER_WORKER_TOKEN_FILE": "/run/other/token"},
        ],
    )
    def test_what_damages_it(self, more: dict[str, str]):
        """Half a pair is none."""
        assert winner(SDK, facts(SESSION | more, files=frozenset({*PAIR, "/etc/rpst"}))).verdict == SHADOWED

    def test_files_that_are_gone_are_told(self):
        """The worker's folder went with its `exec`."""
        assert "is not there" in winner(SDK, facts(SESSION)).why

    def test_no_token_is_shown(self):
        """The variable may hold the token itself rather than a path."""
        found = winner(SDK, facts(SESSION | {"OCI_RESOURCE_PRINCIPAL_RPST": "eyJ.secret"}))

        assert "eyJ" not in found.why + (found.remedy or "")


class TestApiKey:
    @pytest.mark.parametrize("chain", [SDK, OCIFS])
    def test_the_config_file_of_the_worker_is_the_brokers(self, chain: Chain):
        """By the variables that either reads."""
        assert winner(chain, facts(API_KEY, files=frozenset({CONFIG}))).verdict == OK

    def test_the_sdk_reads_the_home_folder_first(self):
        """Whatever OCI_CONFIG_FILE says; ocifs is told a path of its own."""
        files = frozenset({CONFIG, OWN})

        assert "--private-home" in (winner(SDK, facts(API_KEY, files=files)).remedy or "")
        assert winner(OCIFS, facts(API_KEY, files=files)).verdict == OK

    def test_a_file_of_another_is_none_of_ours(self):
        """Nor is what is found where nothing is told."""
        assert winner(SDK, facts(API_KEY | {"OCI_CONFIG_FILE": "~/mine"})).verdict == SHADOWED
        assert winner(SDK, facts(files=frozenset({f"{HOME}/.oraclebmc/config"}))).provider == "config file"
        assert winner(SDK, facts()).verdict == NONE


class TestOcifs:
    def test_it_may_be_told_something_else(self):
        """The instance's own identity, say."""
        assert winner(OCIFS, facts(SESSION | {"OCIFS_IAM_TYPE": "instance_principal"})).provider == "iam type"

    def test_told_nothing_it_looks_for_a_resource_principal(self):
        """And fails without one."""
        assert winner(OCIFS, facts(SESSION | {"OCIFS_IAM_TYPE": ""}, files=frozenset(PAIR))).verdict == OK
        assert winner(OCIFS, facts(files=frozenset({OWN}))).verdict == NONE
