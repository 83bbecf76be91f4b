"""The kernel's keyring, as it is here; a kernel that has none is played."""

import errno
import os
import secrets

import pytest

from broker.errors import BrokerError
from broker.state import keyring
from tests.keys import unlink


class TestKept:
    def test_what_was_kept_is_given_back_and_to_another_process_too(self):
        """By the user's own keyring: a session's would end with it."""
        name, secret = f"credbroker-test:{secrets.token_hex(8)}", secrets.token_bytes(32)
        assert keyring.kept(name) is None

        child = os.fork()
        if child == 0:
            keyring.keep(name, secret)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

        assert keyring.kept(name) == secret
        keyring.keep(name, b"another")
        assert keyring.kept(name) == b"another"
        unlink(name)
        assert keyring.kept(name) is None

    @pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.EDQUOT])
    def test_a_kernel_without_one_says_so(self, number: int, monkeypatch: pytest.MonkeyPatch):
        """Containers forbid the call, and some kernels lack it."""

        class Library:
            class syscall:  # noqa: N801 - the name of libc's function
                restype: object = None

                def __new__(cls, *_: object) -> int:  # type: ignore[misc]  # a function that has an attribute
                    return -1

        monkeypatch.setattr("broker.state.keyring.ctypes.CDLL", lambda *_, **__: Library)
        monkeypatch.setattr("broker.state.keyring.ctypes.get_errno", lambda: number)
        with pytest.raises(BrokerError, match="the kernel's keyring cannot be used here"):
            keyring.kept("x")
        with pytest.raises(BrokerError, match="the kernel's keyring cannot be used here"):
            keyring.keep("x", b"y")

    @pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("Linux", "vax")])
    def test_a_system_that_is_not_known_is_not_guessed_at(
        self, system: str, machine: str, monkeypatch: pytest.MonkeyPatch
    ):
        """A wrong number would be another call."""
        monkeypatch.setattr("broker.state.keyring.platform.system", lambda: system)
        monkeypatch.setattr("broker.state.keyring.platform.machine", lambda: machine)
        with pytest.raises(BrokerError, match="no keyring that is known here"):
            keyring.kept("x")
