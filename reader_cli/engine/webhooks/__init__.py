"""The engine's webhooks: what is registered, what is owed to whom, and its delivery (contract: webhooks)."""
