"""Who is asking: worker tokens, the kernel's word on a loopback connection, and which caller that makes."""
