"""One file a command: options, one core call, one output."""
