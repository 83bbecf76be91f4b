import pytest

from broker.config.shape import Address, DaemonSettings, Limits
from tests.config.toy import config, mistakes


def daemon(text: str) -> DaemonSettings:
    return config(f"[daemon]\n{text}").daemon


def told(text: str) -> list[str]:
    return [mistake.removeprefix("config.toml:2 [daemon] ") for mistake in mistakes(f"[daemon]\n{text}")]


class TestReadDaemon:
    def test_says_nothing_and_gets_the_defaults(self):
        """An empty table, or none."""
        assert daemon("") == config("").daemon == DaemonSettings()

    def test_reads_every_setting(self):
        """As the contract writes them."""
        settings = daemon(
            """
            listen = ["127.0.0.1:9911", "[::1]:0"]
            admin = "127.0.0.2:1"
            socket = "/run/credbroker/broker.sock"
            runtime_dir = "run"
            minter_socket = "/run/credbroker-minter/minter.sock"
            audit_file = "/var/log/audit"
            log_level = "debug"
            operators = ["alice", "group:mlops"]
            imds = true
            include = "conf.d/*.toml"
            limits.connections = 10
            limits.connections_per_uid = 5
            limits.unidentified_per_uid = 2
            limits.requests_per_second = 3
            limits.requests_burst = 4
            limits.upstream_per_second = 6
            """
        )

        assert settings == DaemonSettings(
            listen=(Address("127.0.0.1", 9911), Address("::1", 0)),
            admin=Address("127.0.0.2", 1),
            socket="/run/credbroker/broker.sock",
            runtime_dir="/etc/credbroker/run",
            minter_socket="/run/credbroker-minter/minter.sock",
            audit_file="/var/log/audit",
            log_level="debug",
            operators=("alice", "group:mlops"),
            imds=True,
            limits=Limits(10, 5, 2, 3, 4, 6),
        )

    def test_a_socket_may_be_as_long_as_the_kernel_allows(self):
        """107 bytes and a closing zero."""
        assert daemon(f"socket = '/{'x' * 106}'").socket == f"/{'x' * 106}"

    @pytest.mark.parametrize("key", ["state_dir", "state_key"])
    def test_what_a_later_version_takes_is_told_so(self, key: str):
        """Neither unknown nor silently without effect."""
        assert told(f"{key} = true") == [f"{key}: is not supported by this version; leave it out"]

    def test_a_misspelt_limit_is_a_mistake_too(self):
        """With its own place."""
        assert mistakes("[daemon.limits]\nupstream_per_second = 3\nconections = 3") == [
            "config.toml:3 [daemon.limits] conections: unknown key; did you mean `connections`?",
        ]

    def test_a_misspelt_key_is_a_mistake(self):
        """With what was meant, probably."""
        assert told("loglevel = 'info'") == ["loglevel: unknown key; did you mean `log_level`?"]

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            ("log_level = 'loud'", "log_level: must be one of debug, error, info, warning"),
            ("limits = { connections = 0 }", "limits] connections: must be a whole number, at least 1"),
            ("limits = 3", "limits]: must be a table"),
            ("operators = ['']", "operators[0]: must be a list, each item text that is not empty"),
            ("operators = ['root', 'group:']", "operators[1]: names no group after `group:`"),
            ("socket = ''", "socket: must be text that is not empty"),
            ("socket = '~/x'", "socket: ~ is not expanded; write the whole path"),
            (f"socket = '/{'x' * 107}'", "socket: is too long for a Unix socket; at most 107 bytes"),
            (f"minter_socket = '/{'x' * 107}'", "minter_socket: is too long for a Unix socket; at most 107 bytes"),
            ("include = ['a']", "include: must be text"),
            ("imds = 'yes'", "imds: must be true or false"),
        ],
    )
    def test_each_setting_is_held_to_its_type(self, text: str, mistake: str):
        """And told in words."""
        assert [found.removeprefix("config.toml:2 [daemon.") for found in told(text)] == [mistake]


class TestAddresses:
    @pytest.mark.parametrize(
        "address",
        [
            "localhost:9911",
            "127.0.0.1",
            ":9911",
            "127.0.0.1:",
            "127.0.0.1:x",
            "127.0.0.1:65536",
            "127.1:80",
            "::1:80",
            "[127.0.0.1]:80",
            "[::1%lo]:80",
            "[::1]",
            "[x]:80",
            "127.0.0.1:\u0669",
            "",
            "http://127.0.0.1:80",
            "[::g]:1",
        ],
    )
    def test_only_literal_addresses_with_a_port_are_taken(self, address: str):
        """A name may become another address tomorrow."""
        mistake = 'must be a literal IP address and a port, such as "127.0.0.1:9911" or "[::1]:9911"'

        assert told(f'listen = ["{address}"]') == [f"listen[0]: {mistake}"]
        assert told(f'admin = "{address}"') == [f"admin: {mistake}"]

    @pytest.mark.parametrize(
        "address",
        ["0.0.0.0:80", "[::]:80", "192.168.1.1:80", "169.254.170.23:80", "[fd00:ec2::23]:80", "[::ffff:127.0.0.1]:80"],
    )
    def test_only_loopback_is_taken(self, address: str):
        """Others are for Kubernetes callers."""
        (mistake,) = told(f'listen = ["{address}"]')

        assert mistake.startswith("listen[0]: must be a loopback address; others are for Kubernetes callers")
        assert len(told(f'admin = "{address}"')) == 1

    def test_two_listeners_cannot_share_an_address(self):
        """Worker plane and control plane neither."""
        mistake = "is the address of another listener too (admin is 127.0.0.1:9912 unless told)"

        assert told('listen = ["127.0.0.1:1", "127.0.0.1:1"]') == [f"listen[1]: {mistake}"]
        assert told('listen = ["127.0.0.1:9912"]') == [f"listen[0]: {mistake}"]

    def test_a_free_port_is_another_one_each_time(self):
        """Port 0 may be asked for twice."""
        assert told('listen = ["127.0.0.1:0", "127.0.0.1:0"]') == []

    def test_no_listener_at_all_is_a_mistake(self):
        """A daemon that nobody can ask."""
        assert told("listen = []") == ["listen: must be a list that is not empty, each item text"]
