"""The tables of the engine's main database."""

from __future__ import annotations

from reader_cli.engine.database import Schema
from reader_cli.engine.webhooks import rows as webhooks

# A job's `request` is the validated request as JSON. `seq` numbers its outcomes: an entry carries the number of its
# latest one, so that "what happened since" is an index range even after a retry. `rev` numbers changes over all jobs.
# `budget` is what `credits` can come to before the job ends.
# An item is one URL to read, `trusted` to lead to a private address; its `position` is its entry's place in the
# results, once it has one.
SCHEMA = Schema(
    """
CREATE TABLE jobs (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, mode TEXT NOT NULL, status TEXT NOT NULL, run INTEGER NOT NULL,
  request BLOB NOT NULL, total INTEGER NOT NULL,
  completed INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
  credits INTEGER NOT NULL DEFAULT 0, budget INTEGER NOT NULL DEFAULT 0,
  entries INTEGER NOT NULL DEFAULT 0, seq INTEGER NOT NULL DEFAULT 0,
  rev INTEGER NOT NULL, error TEXT, created_at TEXT NOT NULL, started_at TEXT, completed_at TEXT
);
CREATE UNIQUE INDEX jobs_rev ON jobs (rev);
CREATE INDEX jobs_status ON jobs (status);
CREATE TABLE items (
  job INTEGER NOT NULL, n INTEGER NOT NULL, url TEXT NOT NULL, depth INTEGER NOT NULL, trusted INTEGER NOT NULL,
  state TEXT NOT NULL, position INTEGER, identity TEXT, PRIMARY KEY (job, n)
) WITHOUT ROWID;
CREATE TABLE results (
  job INTEGER NOT NULL, position INTEGER NOT NULL, seq INTEGER NOT NULL, failed INTEGER NOT NULL, page BLOB NOT NULL
);
CREATE UNIQUE INDEX results_position ON results (job, position);
CREATE UNIQUE INDEX results_seq ON results (job, seq);
CREATE TABLE usage (
  key INTEGER PRIMARY KEY, url TEXT NOT NULL, duration INTEGER NOT NULL, failed INTEGER NOT NULL,
  cached INTEGER NOT NULL, proxy_mode TEXT NOT NULL, credits INTEGER NOT NULL, error TEXT, created_at TEXT NOT NULL
);
CREATE INDEX usage_created ON usage (created_at);
CREATE TABLE answers (
  key TEXT PRIMARY KEY, status INTEGER NOT NULL, created_at TEXT NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
"""
    + webhooks.SCHEMA,
    upgrades=(
        "ALTER TABLE jobs ADD COLUMN budget INTEGER NOT NULL DEFAULT 0;\n"
        "DELETE FROM items WHERE state = 'dropped';\n",  # of cancelled jobs; they were kept once
        # Completed crawls kept the links that they had no room for. The webhooks' tables are not in every older folder;
        # a later change of them leaves this text here, and adds an upgrade.
        "DELETE FROM items WHERE state = 'waiting' AND job IN (SELECT key FROM jobs WHERE status = 'completed');\n"
        + webhooks.SCHEMA,
    ),
)
