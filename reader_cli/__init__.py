"""Submit, watch and read web-reading jobs."""

__version__ = "0.1.0"
