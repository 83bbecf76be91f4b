"""The daemon's own cloud identity, as it stands in environment variables: taken out at start, handed to minters only.

Pure but for the mapping it is given. The kernel still shows what a process was started with in /proc/PID/environ.

A broker started inside another one's `exec` or `env` begins from the user's own environment, as `worker_env.outer`
gives it back: what holds for the first broker of a shell holds for the second.
"""

import ipaddress
import socket
import urllib.parse
from collections.abc import Collection, Mapping, MutableMapping

from broker.worker_env.outer import WORKER, unwrapped

Own = Collection[tuple[str, int]]

_FAMILIES = ("AWS_", "AZURE_", "CLOUDSDK_", "DATABRICKS_", "GCE_METADATA_", "GOOGLE_", "MSI_", "OCI_")
_SINGLE = frozenset(
    {
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",  # GitHub's OIDC identity
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        "BOTO_CONFIG",
        "GCLOUD_PROJECT",
        "GCS_KEY",
        "GCS_SECRET",
        "IDENTITY_ENDPOINT",
        "IDENTITY_HEADER",
        "METADATA_SERVER_DETECTION",
        "NO_GCE_CHECK",
        "SERVICE_ACCOUNT",
    }
)

# LD_LIBRARY_PATH: interpreters of module systems do not start without it. XDG_*: where programs named by
# credential_process keep their own files. No PYTHON*, no LD_PRELOAD: nobody needs them, and they change what runs.
_ALLOWED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"),  # where a pod finds its API server
        *("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"),
    }
)

# What is nothing without the address beside it.
_COMPANIONS = {
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ),
    "GCE_METADATA_HOST": ("METADATA_SERVER_DETECTION", "CLOUDSDK_AUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"),
    "IDENTITY_ENDPOINT": ("IDENTITY_HEADER",),
    "MSI_ENDPOINT": ("MSI_SECRET",),
    "DATABRICKS_METADATA_SERVICE_URL": ("DATABRICKS_AUTH_TYPE",),
}
# What only a broker puts beside it: `deploy/profile.d/credbroker.sh` remembers no outer environment.
_GENERATED = {
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": (
        *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED", "BOTO_CONFIG"),
    ),
    "GCE_METADATA_HOST": ("CLOUDSDK_CONFIG", "GOOGLE_GCLOUD_ADC_PATH_OVERRIDE"),
    "IDENTITY_ENDPOINT": ("AZURE_TOKEN_CREDENTIALS",),
}


def take_identity(environ: MutableMapping[str, str], also: Collection[str] = ()) -> dict[str, str]:
    """Take the identity variables out of `environ` and return them; `also` names more, as `{ env = ... }` may.

    A worker's environment that another broker made is undone first.
    """
    whole = unwrapped(environ)
    identity = {name: value for name, value in whole.items() if _is_identity(name) or name in also}
    rest = {name: value for name, value in whole.items() if name not in identity}
    for name in environ.keys() - rest.keys():
        del environ[name]
    environ.update(rest)
    return identity


def minter_environment(identity: Mapping[str, str], environ: Mapping[str, str], own: Own) -> dict[str, str]:
    """All that a minter is started with: an allow-list of `environ`, and `identity` less what points at ourselves.

    `own` are the addresses of our listeners. A broker that fetched from itself would hand on its own answers.
    """
    ours = {name for name, value in identity.items() if _points_at(value, own)}
    dropped = {companion for name in ours for companion in _COMPANIONS.get(name, ())}
    if WORKER in environ:
        dropped |= {companion for name in ours for companion in _GENERATED.get(name, ())}
    kept = {name: value for name, value in environ.items() if name in _ALLOWED or name.startswith("LC_")}
    return kept | {name: value for name, value in identity.items() if name not in ours | dropped}


def _is_identity(name: str) -> bool:
    return name.startswith(_FAMILIES) or name in _SINGLE


def _points_at(value: str, own: Own) -> bool:
    """Whether a URL or a bare HOST[:PORT][/PATH] is one of our listeners, however its host is spelt."""
    try:
        url = urllib.parse.urlsplit(value if "://" in value else f"//{value}")
        host, port = url.hostname, url.port or (443 if url.scheme == "https" else 80)
    except ValueError:  # nothing that a client could connect to either
        return False
    return host is not None and any(port == ours and _same(host, address) for address, ours in own)


def _same(host: str, other: str) -> bool:
    one, two = _address(host), _address(other)
    if one is None or two is None:
        return False
    return one == two or (_is_local(one) and _is_local(two))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host names without asking anyone, None for other names."""
    name = host.lower().rstrip(".")
    if name in {"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"} or name.endswith(".localhost"):
        return ipaddress.IPv4Address("127.0.0.1")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return mapped or address
    try:
        return ipaddress.IPv4Address(socket.inet_aton(name))  # 127.1, 2130706433, 0x7f000001
    except (OSError, UnicodeError):
        return None


def _is_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_loopback or address.is_unspecified  # Linux connects 0.0.0.0 to itself
