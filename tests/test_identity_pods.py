"""What a minter needs of a pod's environment."""

from broker.identity import minter_environment, take_identity


class TestCluster:
    def test_a_minter_is_told_where_the_api_server_is(self):
        """By the two variables that every pod has, and by none of the many that name other services."""
        environ = {
            "KUBERNETES_SERVICE_HOST": "10.96.0.1",
            "KUBERNETES_SERVICE_PORT": "443",
            "KUBERNETES_PORT_443_TCP": "tcp://10.96.0.1:443",
            "REDIS_SERVICE_HOST": "10.96.0.9",
        }

        assert minter_environment(take_identity(environ), environ, ()) == {
            "KUBERNETES_SERVICE_HOST": "10.96.0.1",
            "KUBERNETES_SERVICE_PORT": "443",
        }

    def test_a_broker_does_not_fetch_from_its_address_for_pods(self):
        """A daemon in a pod of another broker's cluster may have been given exactly that."""
        identity = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23:9911/aws"}

        assert minter_environment(identity, {}, (("169.254.170.23", 9911),)) == {}
        assert minter_environment(identity, {}, (("127.0.0.1", 9911),)) == identity
