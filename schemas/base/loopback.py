"""The names of this machine that no other machine can reach."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
LOOPBACK_HOSTS = tuple(f"[{name}]" if ":" in name else name for name in LOOPBACK)  # as in a URL and a Host header
