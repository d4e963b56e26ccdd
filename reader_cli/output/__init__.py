"""How events and pages are shown or written. It never makes a request."""
