import pytest

from broker.config.shape import Address, Cluster, DaemonSettings, Limits
from tests.config.toy import config, mistakes

SHORT = "a bucket of {}, filled once a second, never gives {} a second: raise requests_burst"
POD = "[callers.pods]\nkubernetes = { namespace = 'ml', service_account = 'trainer', audience = 'credbroker' }"


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
            state_dir = "/var/lib/credbroker/leases"
            state_key.file = "key"
            log_level = "debug"
            operators = ["alice", "group:mlops"]
            imds = true
            include = "conf.d/*.toml"
            limits.connections = 10
            limits.connections_per_uid = 5
            limits.unidentified_per_uid = 2
            limits.requests_per_second = 3
            limits.requests_burst = 4
            kubernetes = { api_server = "https://[fd00::1]:6443", token_file = "token", ca_file = "/ca.crt" }
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
            state_dir="/var/lib/credbroker/leases",
            state_key="/etc/credbroker/key",
            log_level="debug",
            operators=("alice", "group:mlops"),
            imds=True,
            limits=Limits(10, 5, 2, 3, 4, 6),
            kubernetes=Cluster(
                api_server="https://[fd00::1]:6443", token_file="/etc/credbroker/token", ca_file="/ca.crt"
            ),
        )

    def test_a_socket_may_be_as_long_as_the_kernel_allows(self):
        """107 bytes and a closing zero."""
        assert daemon(f"socket = '/{'x' * 106}'").socket == f"/{'x' * 106}"

    def test_a_state_key_is_a_file_relative_to_the_configuration(self):
        """As every path is."""
        settings = daemon("state_dir = 'leases'\nstate_key = { file = '../key' }")

        assert (settings.state_dir, settings.state_key) == ("/etc/credbroker/leases", "/etc/credbroker/../key")

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            ("state_key = { file = '/key' }", "state_key: is of no use without state_dir"),
            ("state_dir = '/s'\nstate_key = '/key'", "state_key: must be a table"),
            ("state_dir = '/s'\nstate_key = {}", 'state_key: names no file; write state_key = { file = "..." }'),
            (
                "state_dir = '/s'\nstate_key = { env = 'K' }",
                'state_key: names no file; write state_key = { file = "..." }',
            ),
            ("state_dir = '/s'\nstate_key = { env = 'K', file = '/k' }", "state_key.env: unknown key"),
            ("state_dir = '/s'\nstate_key = { file = '/s/./key' }", "state_key.file: must not lie in state_dir"),
            ("state_dir = '/s'\nstate_key = { file = '/x/../s/a/key' }", "state_key.file: must not lie in state_dir"),
            ("state_dir = '/s'\nruntime_dir = '/s/'", "state_dir: must be another folder than runtime_dir"),
        ],
    )
    def test_a_key_is_a_file_elsewhere(self, text: str, mistake: str):
        """Whoever copies the folder must not have the key too."""
        assert any(mistake in line for line in mistakes(f"[daemon]\n{text}"))

    def test_a_misspelt_limit_is_a_mistake_too(self):
        """With its own place."""
        assert mistakes("[daemon.limits]\nupstream_per_second = 3\nconections = 3") == [
            "config.toml:3 [daemon.limits] conections: unknown key; did you mean `connections`?",
        ]

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            (
                "connections = 10\nconnections_per_uid = 11",
                "3 [daemon.limits] connections_per_uid: is more than connections, which is 10",
            ),
            (
                "connections_per_uid = 10\nunidentified_per_uid = 11",
                "3 [daemon.limits] unidentified_per_uid: is more than connections_per_uid, which is 10",
            ),
            (
                "unidentified_per_uid = 11\nconnections = 10",
                "2 [daemon.limits] unidentified_per_uid: is more than connections, which is 10",
            ),
            ("requests_burst = 999", f"2 [daemon.limits] requests_burst: {SHORT.format(999, 1000)}"),
            ("requests_per_second = 20001", f"2 [daemon.limits] requests_per_second: {SHORT.format(20000, 20001)}"),
        ],
    )
    def test_limits_that_contradict_each_other_are_mistakes(self, text: str, mistake: str):
        """One of the two would never be reached."""
        assert mistakes(f"[daemon.limits]\n{text}") == [f"config.toml:{mistake}"]

    @pytest.mark.parametrize("text", ["connections = 10", "connections_per_uid = 10", "requests_burst = 1000"])
    def test_a_default_is_no_contradiction_where_it_gives_way(self, text: str):
        """Whoever says how many connections there are has not said how many of them may be nobody's."""
        assert mistakes(f"[daemon.limits]\n{text}") == []

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


class TestCluster:
    @pytest.mark.parametrize(
        "url",
        ["https://10.0.0.1", "https://kubernetes.default.svc:443", "https://[fd00::1]:6443", "https://a"],
    )
    def test_the_api_server_is_reached_by_tls(self, url: str):
        """By a name or an address, with a port or without."""
        assert daemon(f'kubernetes.api_server = "{url}"').kubernetes.api_server == url

    @pytest.mark.parametrize(
        "url",
        [
            *("http://10.0.0.1", "https://", "https://a/", "https://a/path", "https://a?x", "https://u:p@a"),
            *("10.0.0.1", "https://a:", "https://a:123456", "https://a b", "https://-a", "https://[x]"),
        ],
    )
    def test_it_is_nothing_but_a_host_and_a_port(self, url: str):
        """Paths are the API's, and who asks is told by the token file."""
        mistake = "api_server: must be text of at most 300 characters such as https://10.0.0.1:6443"

        assert mistakes(f'[daemon.kubernetes]\napi_server = "{url}"') == [
            f"config.toml:2 [daemon.kubernetes] {mistake}"
        ]

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            ("token = 'x'", "token: unknown key; did you mean `token_file`?"),
            ("ca_file = ''", "ca_file: must be text that is not empty"),
            ("token_file = '~/x'", "token_file: ~ is not expanded; write the whole path"),
        ],
    )
    def test_each_setting_is_held_to_its_type(self, text: str, mistake: str):
        """And told in words."""
        assert mistakes(f"[daemon.kubernetes]\n{text}") == [f"config.toml:2 [daemon.kubernetes] {mistake}"]


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
        ["0.0.0.0:80", "[::]:80", "192.168.1.1:80", "169.254.170.2:80", "[fd00:ec2::254]:80", "[::ffff:127.0.0.1]:80"],
    )
    def test_only_loopback_is_taken(self, address: str):
        """And two addresses for Kubernetes callers."""
        assert told(f'listen = ["{address}"]') == [
            "listen[0]: must be a loopback address, or 169.254.170.23 or [fd00:ec2::23] for Kubernetes callers"
        ]
        assert told(f'admin = "{address}"') == ["admin: must be a loopback address"]

    @pytest.mark.parametrize("address", ["169.254.170.23:80", "[fd00:ec2::23]:9911", "[fd00:ec2:0::23]:80"])
    def test_pods_have_two_addresses_of_their_own(self, address: str):
        """Only where a caller is a pod: nobody else is served there. Probes of the control plane are on loopback."""
        listen = f'[daemon]\nlisten = ["127.0.0.1:1", "{address}"]\n'

        assert config(listen + POD).daemon.listen[1].for_pods
        assert config(listen + POD.replace("kubernetes", "any = [{ kubernetes") + "}]").daemon.listen[1].for_pods
        assert mistakes(listen + "[callers.x]\nuid = 5") == [
            "config.toml:2 [daemon] listen[1]: is for Kubernetes callers alone, and no caller has kubernetes = {...}"
        ]
        assert told(f'admin = "{address}"') == ["admin: must be a loopback address"]

    def test_a_pod_with_a_mistake_is_one_mistake(self):
        """Not one more about the address that it would listen on."""
        assert mistakes(f'[daemon]\nlisten = ["169.254.170.23:80"]\n{POD.replace("ml", "M L")}') == [
            "config.toml:4 [callers.pods] kubernetes.namespace: must be text such as ml"
        ]

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
