"""Pages that need JavaScript, in the system's Chromium (extra `browser`).

`rendering.py` is what the rest of the engine uses; `chromium.py` is the process, `gate.py` its only way to the network.
"""
