"""Everything that listens: the worker plane, the control plane, their sockets."""
