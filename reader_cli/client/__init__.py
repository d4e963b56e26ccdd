"""The client: HTTP in, events and bytes out. It never prints and never exits."""
