"""Faults 22 to 24 against the running program: browsers, what forwards for others, URLs that somebody is made to fetch.

The heads are those that the programs send, line for line. All come from a uid that is granted a lease: the worst case.
"""

import pytest

from tests.faults.stage import Broker, everything, statuses

SECRET = b"SecretAccessKey"
PATHS = (
    "/aws/train",
    "/aws",
    "/env/train",
    "/token/train",
    "/computeMetadata/v1/instance/service-accounts/default/token",
)

CHROME = """\
Connection: keep-alive
sec-ch-ua: "Chromium";v="131", "Not_A Brand";v="24"
sec-ch-ua-mobile: ?0
sec-ch-ua-platform: "Linux"
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-US,en;q=0.9
"""
NAVIGATION = """\
Upgrade-Insecure-Requests: 1
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8
Sec-Fetch-Site: none
Sec-Fetch-Mode: navigate
Sec-Fetch-User: ?1
Sec-Fetch-Dest: document
"""
IMAGE = """\
Accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8
Sec-Fetch-Site: cross-site
Sec-Fetch-Mode: no-cors
Sec-Fetch-Dest: image
Referer: https://evil.example/
"""
FETCH = """\
Accept: */*
Authorization: attested
Metadata-Flavor: Google
Origin: https://evil.example
Sec-Fetch-Site: cross-site
Sec-Fetch-Mode: cors
Sec-Fetch-Dest: empty
"""
SAME_ORIGIN = """\
Accept: */*
Authorization: attested
Sec-Fetch-Site: same-origin
Sec-Fetch-Mode: cors
Sec-Fetch-Dest: empty
"""
PREFLIGHT = """\
Accept: */*
Access-Control-Request-Method: GET
Access-Control-Request-Headers: authorization
Access-Control-Request-Private-Network: true
Origin: https://evil.example
Sec-Fetch-Mode: cors
Sec-Fetch-Site: cross-site
Sec-Fetch-Dest: empty
"""
WEBSOCKET = """\
Pragma: no-cache
Upgrade: websocket
Origin: https://evil.example
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Authorization: attested
"""
FORM = """\
Content-Type: application/x-www-form-urlencoded
Content-Length: 3
Origin: null
Sec-Fetch-Site: cross-site
Sec-Fetch-Mode: navigate
Sec-Fetch-Dest: document
"""
# Safari before 16.4 sends no Sec-Fetch field; a page without a referrer leaves nothing that tells a browser.
OLD_SAFARI = """\
Accept: image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5
User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/16.1 Safari/605.1.15
Accept-Language: en-us
Connection: keep-alive
"""
BROWSERS = {
    "a link that is followed": ("GET", CHROME + NAVIGATION),
    "an image of a page": ("GET", CHROME + IMAGE),
    "a fetch with the right fields": ("GET", CHROME + FETCH),
    "a fetch of a page that was rebound": ("GET", CHROME + SAME_ORIGIN),
    "a preflight": ("OPTIONS", CHROME + PREFLIGHT),
    "a WebSocket": ("GET", CHROME + WEBSOCKET),
    "a form": ("POST", CHROME + FORM),
    "an image in an old Safari": ("GET", OLD_SAFARI),
}
FORWARDED = [
    *(("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Host", "127.0.0.1"), ("X-Forwarded-Proto", "http")),
    *(("X-Forwarded-Port", "911"), ("X-Forwarded", "127.0.0.1"), ("Forwarded-For", "127.0.0.1"), ("Via", "1.1 squid")),
    *(("Forwarded", "for=127.0.0.1;host=localhost"), ("X-Real-IP", "127.0.0.1"), ("via", ""), ("x-forwarded-for", "")),
    *(("X-Original-Forwarded-For", "::1"), ("X-Forwarded-Context", "/user/alice/proxy/911"), ("X-Forwarded-User", "a")),
]
FETCHERS = {
    "urllib": "Accept-Encoding: identity\nUser-Agent: Python-urllib/3.11\nConnection: close\n",
    "requests": "User-Agent: python-requests/2.32.3\nAccept-Encoding: gzip, deflate\nAccept: */*\n",
    "curl": "User-Agent: curl/8.5.0\nAccept: */*\n",
    "Java": "User-Agent: Java/17.0.9\nAccept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2\n",
    "a password in the URL": "Authorization: Basic YXR0ZXN0ZWQ6YXR0ZXN0ZWQ=\nUser-Agent: curl/8.5.0\nAccept: */*\n",
}


def said(broker: Broker, method: str, path: str, lines: str, host: str | None = None) -> bytes:
    """All that comes back; our last request ends the connection where theirs does not."""
    text = f"{method} {path} HTTP/1.1\nHost: {host or broker.address}\n{lines}\n"
    body = b"a=b" if "Content-Length: 3" in lines else b""
    with broker.connect() as end:
        end.sendall(text.replace("\n", "\r\n").encode() + body + broker.head("/", Connection="close"))
        return everything(end)


class TestFault22:
    @pytest.mark.parametrize("what", BROWSERS)
    def test_a_browser_gets_nothing(self, broker: Broker, what: str):
        """Neither a lease nor a word that lets a page read or ask more; the preflight is not answered with a yes."""
        method, lines = BROWSERS[what]
        for path in PATHS:
            answer = said(broker, method, path, lines)

            assert statuses(answer)[0] in {401, 403, 405, 413}
            assert SECRET not in answer
            assert b"access-control-" not in answer.lower()

    @pytest.mark.parametrize("what", BROWSERS)
    def test_under_a_rebound_name_likewise(self, broker: Broker, what: str):
        """To the browser it is the page's own origin, so that it sends no Origin and asks nobody."""
        method, lines = BROWSERS[what]
        answer = said(broker, method, "/aws/train", lines, host=f"evil.example:{broker.port}")

        assert statuses(answer)[0] in {403, 405, 413}
        assert SECRET not in answer


class TestFault23:
    @pytest.mark.parametrize(("field", "value"), FORWARDED)
    @pytest.mark.parametrize("shown", ["attested", "a token", "Google"])
    def test_what_was_forwarded_is_refused_and_never_believed(self, broker: Broker, field: str, value: str, shown: str):
        """Whatever it shows beside, a good token too: it says itself that somebody else asks."""
        path = "/computeMetadata/v1/project/project-id" if shown == "Google" else "/aws/train"
        proof = f"Authorization: {broker.token() if shown == 'a token' else shown}\n"
        proof = "Metadata-Flavor: Google\n" if shown == "Google" else proof
        answer = said(broker, "GET", path, f"{proof}{field}: {value}\n")

        assert statuses(answer)[0] == 403
        assert SECRET not in answer


class TestFault24:
    """SSRF: a server of the granted uid is made to fetch a URL of ours. IMDS is in test_imds.py."""

    @pytest.mark.parametrize("fetcher", FETCHERS)
    @pytest.mark.parametrize("path", PATHS)
    def test_a_plain_get_is_401(self, broker: Broker, fetcher: str, path: str):
        """Whoever chooses the URL alone chooses no field."""
        answer = said(broker, "GET", path, FETCHERS[fetcher])

        assert statuses(answer)[0] in {401, 403}
        assert SECRET not in answer

    @pytest.mark.parametrize(
        "path",
        [
            *("/w/attested/computeMetadata/v1/project/project-id", "/w/cbp_/aws/train", "/w/cbw_x/aws", "/w/a/b/c"),
            *("/aws/train?Authorization=attested", "/aws/train%0d%0aAuthorization:%20attested", "/w/{token}/aws/train"),
            *("/aws/train%20HTTP/1.1%0d%0aHost:localhost", "/?alt=json&recursive=true", "/computeMetadata/v1/"),
        ],
    )
    def test_nor_does_any_url_alone(self, broker: Broker, path: str):
        """Only a path token stands in a URL, and it opens no keys: URLs end up in error texts."""
        answer = said(broker, "GET", path.format(token=broker.token(purpose="path")), FETCHERS["curl"])

        assert set(statuses(answer)) <= {200, 400, 401, 403, 404}
        assert SECRET not in answer
