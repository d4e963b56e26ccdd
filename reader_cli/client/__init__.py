"""The client: HTTP in, events and bytes out. It never prints and never exits."""

import sys

# Where click and rich are installed, httpx imports its own command line and all of both: 100 ms for nothing.
# None makes that import fail, which httpx is prepared for.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
