from reader_cli.commands.webhooks.manage import app
from reader_cli.commands.webhooks.receive import listen, resend, verify

for command in (listen, resend, verify):
    app.command()(command)

__all__ = ["app"]
