"""Events -> everything that listens to them: metrics, audit, logs. No listener can hurt the one who notes."""

from collections.abc import Callable

from broker.events import Event

Listener = Callable[[Event], None]


class Ledger:
    """Hands each event to every listener, in order; a listener that fails is counted and passed over."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)
        self.lost = 0

    def add(self, listener: Listener) -> None:
        """One more, from now on: it may note events of its own."""
        self._listeners.append(listener)

    def note(self, event: Event) -> None:
        """Write an event down. Never raises."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - a full disk under the audit must not stop a lease from being served
                self.lost += 1
