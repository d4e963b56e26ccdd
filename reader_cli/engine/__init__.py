"""The embedded engine: a second implementation of the Reader API. The client never imports it."""
