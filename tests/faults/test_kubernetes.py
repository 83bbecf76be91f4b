"""Fault 28: tokens of pods that are no good, and an API server that is away, against the running daemon."""

import contextlib
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from tests.fakes.cluster import Signer
from tests.fakes.google.registry import key_of
from tests.faults.podstage import PodStage, staged
from tests.faults.stage import SOON
from tests.jwts import AUDIENCE, forgeries


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodStage]:
    """One daemon for all that leave it as they found it."""
    with staged(tmp_path_factory.mktemp("pods")) as found:
        yield found


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[PodStage]:
    """A daemon of a test's own."""
    with staged(tmp_path) as found:
        yield found


class TestFault28Forgeries:
    def test_a_good_token_gets_the_lease(self, stage: PodStage):
        """Else all that follows would prove nothing."""
        reply = stage.ask_on(stage.token())

        assert reply.status == 200
        assert reply.json["AccessKeyId"].startswith("ASIA")

    def test_fault_28_no_forgery_gets_anything(self, stage: PodStage):
        """Unsigned, HS256 with the public key, another audience or issuer, expired, future, unknown key: 401."""
        found = {
            name: {stage.ask_on(token, path).status for path in ("/aws", "/env/train")}
            for name, token in forgeries(stage.api.cluster, stage.pod).items()
        }

        assert {name: statuses for name, statuses in found.items() if statuses != {401}} == {}

    def test_fault_28_nor_while_the_api_server_is_away(self, stage: PodStage):
        """Then each is judged by its signature, issuer, audience and times."""
        made = forgeries(stage.api.cluster, stage.pod)
        stage.api.go_away()
        try:
            assert stage.ask_on(stage.token()).status == 200
            found = {name: stage.ask_on(token).status for name, token in made.items()}
        finally:
            stage.api.come_back()
            stage.pass_time(11)

        assert {name: status for name, status in found.items() if status != 401} == {}

    def test_fault_28_a_megabyte_is_refused_unread(self, stage: PodStage):
        """431, as any head of that size; the daemon goes on."""
        signed, _, signature = stage.token().rpartition(".")
        host, port = stage.address.split(":")
        head = f"GET /aws HTTP/1.1\r\nHost: {stage.address}\r\nAuthorization: {signed}.{signature * 4000}\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            with contextlib.suppress(ConnectionError):  # it may have heard enough before we have said all
                connection.sendall(head.encode())
            with contextlib.suppress(ConnectionError):
                assert connection.recv(100)[:12] in {b"HTTP/1.1 431", b""}

        assert len(head) > 1_000_000
        assert stage.ask_on(stage.token()).status == 200

    def test_a_token_that_fills_the_head_is_refused(self, stage: PodStage):
        """Within the limit of the head, and no token all the same."""
        assert stage.ask(f"a.b.{'c' * 15_800}").status == 401

    def test_what_is_written_holds_no_part_of_a_token(self, stage: PodStage):
        """Neither log nor audit, at debug."""
        token = stage.token()
        stage.ask_on(token)
        path_token = stage.ask_on(token, "/worker-token", "PUT").json["token"]
        written = stage.everything_written()

        assert [part for part in (*token.split("."), path_token) if part in written] == []
        assert "worker-0" in written


class TestFault28Storm:
    def test_fault_28_unknown_keys_in_a_storm(self, stage: PodStage):
        """Every one is refused, the keys are not asked for again, and a pod that is known is served meanwhile."""
        claims = stage.api.cluster.claims(stage.pod, AUDIENCE)
        storm = [stage.api.cluster.signed({**claims, "jti": str(n)}, kid=f"storm-{n}") for n in range(300)]
        good, before = stage.token(), stage.api.calls["jwks"]
        assert stage.ask_on(good).status == 200

        with ThreadPoolExecutor(8) as threads:
            answers = [threads.submit(stage.ask, token) for token in storm]
            meanwhile = [stage.ask(good) for _ in range(50)]
            statuses = {answer.result().status for answer in answers}

        assert statuses <= {401, 503}
        assert {reply.status for reply in meanwhile} == {200}
        assert max(reply.took for reply in meanwhile) < SOON
        assert stage.api.calls["jwks"] == before


class TestFault28Review:
    def test_fault_28_a_deleted_pod_is_nobody_after_a_minute(self, fresh: PodStage):
        """The verdict is remembered for so long, and no longer."""
        token = fresh.token()
        assert fresh.ask_on(token).status == 200
        fresh.api.cluster.delete(fresh.pod)

        assert fresh.ask(token).status == 200
        fresh.pass_time(60)
        assert fresh.ask_on(token).status == 401

    def test_fault_28_nor_does_its_path_token_outlive_it(self, fresh: PodStage):
        """It was swapped for a token that is good for an hour; 403 is who is known, and granted nothing of Google's."""
        swapped = fresh.ask_on(fresh.token(), "/worker-token", "PUT").json["token"]
        path = f"/w/{swapped}/computeMetadata/v1/instance/service-accounts/default/token"
        assert fresh.ask_on(None, path).status == 403
        fresh.api.cluster.delete(fresh.pod)
        fresh.pass_time(60)

        assert fresh.ask_on(None, path).status == 401

    def test_fault_28_a_pod_of_another_namespace_is_nobody(self, stage: PodStage):
        """Nor one of another service account, though their tokens are as good as any."""
        for namespace, account in (("web", "trainer"), ("ml", "eval")):
            pod = stage.api.cluster.run(namespace, account, "stranger")
            assert stage.ask_on(stage.api.cluster.token(pod, AUDIENCE)).status == 401

    def test_fault_28_a_server_that_knows_no_audiences_vouches_for_nobody(self, stage: PodStage):
        """It says authenticated, and not for whom."""
        user = {"username": "system:serviceaccount:ml:trainer"}
        body = msgspec.json.encode({"kind": "TokenReview", "status": {"authenticated": True, "user": user}})
        with stage.api.failing("review", status=201, body=body):
            assert stage.ask_on(stage.token()).status == 401

    @pytest.mark.parametrize(
        ("status", "body"),
        [(200, b"<html>"), (302, b""), (403, b"{}"), (200, b" " * 500_000), (201, b'{"kind": "TokenReview"}')],
        ids=["html", "redirect", "forbidden", "endless", "half"],
    )
    def test_fault_28_nonsense_from_the_api_server_lets_nobody_in(self, stage: PodStage, status: int, body: bytes):
        """503: who it is cannot be told now."""
        token = stage.token()
        with stage.api.failing("review", status=status, body=body, fields={"Location": "http://127.0.0.1:9/"}):
            assert {stage.ask(token).status for _ in range(5)} == {503}
        assert stage.ask_on(token).status == 200

    def test_a_server_that_does_not_answer_keeps_no_worker_waiting(self, stage: PodStage):
        """503 long before it is given up; then the keys answer."""
        token = stage.token()
        with stage.api.failing("review", delay=20.0):
            first = stage.ask(token)
            later = stage.ask_on(token)
        stage.pass_time(11)

        assert (first.status, first.took < SOON) == (503, True)
        assert later.status == 200


class TestFault28Outage:
    def test_fault_28_keys_are_believed_for_ten_minutes_of_an_outage(self, fresh: PodStage):
        """A token that was never seen before is known by its signature; after ten minutes no new one is."""
        assert fresh.ask_on(fresh.token()).status == 200
        fresh.api.go_away()
        for seconds in (120, 420):
            fresh.pass_time(seconds)
            assert fresh.ask_on(fresh.token()).status == 200
        fresh.pass_time(120)
        refused = fresh.ask(fresh.token())

        assert (refused.status, refused.took < SOON) == (503, True)
        fresh.api.come_back()
        fresh.pass_time(11)
        assert fresh.ask_on(fresh.token()).status == 200

    def test_keys_that_the_cluster_has_changed_are_had_in_time(self, fresh: PodStage):
        """Five minutes after the change, an outage no longer matters."""
        fresh.api.cluster.signers.insert(0, Signer(key_of("cluster 2"), "key-2"))
        assert fresh.ask_on(fresh.token()).status == 200
        fresh.pass_time(301)
        time.sleep(1)
        fresh.api.go_away()

        assert fresh.ask_on(fresh.token()).status == 200
