-- The ledger, schema 5. Times are Unix seconds, but for those named `elapsed`: seconds on the ledger's own clock, which
-- nobody can set (`meta`). Look at it with the sqlite3 shell; the daemon need not stop.

CREATE TABLE app (
  id        INTEGER PRIMARY KEY,
  name      TEXT NOT NULL UNIQUE,
  settled   INTEGER NOT NULL DEFAULT 0,   -- timpush_pairs_ended_total by reason
  expired   INTEGER NOT NULL DEFAULT 0,
  removed   INTEGER NOT NULL DEFAULT 0,
  detection TEXT NOT NULL DEFAULT '{}'    -- histogram, as in the table delay
) STRICT;

CREATE TABLE task (
  id   INTEGER PRIMARY KEY,
  app  INTEGER NOT NULL REFERENCES app (id),
  name TEXT NOT NULL,                     -- TaskID
  UNIQUE (app, name)
) STRICT;

CREATE TABLE pair (
  id            INTEGER PRIMARY KEY,
  task          INTEGER NOT NULL REFERENCES task (id),
  user          TEXT NOT NULL,            -- UserID
  added_at      INTEGER NOT NULL,         -- as the wall clock said
  added_elapsed INTEGER NOT NULL,
  named_elapsed INTEGER NOT NULL,         -- when a source named it last, give or take some days
  pushed_at     INTEGER,                  -- as the watch list says
  polled_at     INTEGER,                  -- latest answer
  ended         TEXT CHECK (ended IN ('settled', 'expired', 'damaged')),
  record        BLOB,                     -- what is known of its devices; unreadable where it is damaged
  UNIQUE (task, user)
) STRICT;

CREATE TABLE learned (                    -- how fast news comes, as the schedule has learned it; with a checksum
  app     INTEGER PRIMARY KEY REFERENCES app (id),
  learned BLOB NOT NULL
) STRICT;

CREATE TABLE result (                     -- timpush_stage_results_total
  app INTEGER NOT NULL REFERENCES app (id), labels TEXT NOT NULL, route TEXT NOT NULL, platform TEXT NOT NULL,
  stage TEXT NOT NULL, outcome TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (app, labels, route, platform, stage, outcome)
) STRICT, WITHOUT ROWID;

CREATE TABLE failure (                    -- timpush_stage_failures_total
  app INTEGER NOT NULL REFERENCES app (id), labels TEXT NOT NULL, route TEXT NOT NULL, platform TEXT NOT NULL,
  stage TEXT NOT NULL, reason TEXT NOT NULL, code TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (app, labels, route, platform, stage, reason, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE delay (                      -- timpush_stage_delay_seconds: {"counts":[...],"sum":n}, not cumulative
  app INTEGER NOT NULL REFERENCES app (id), labels TEXT NOT NULL, route TEXT NOT NULL, platform TEXT NOT NULL,
  stage TEXT NOT NULL, histogram TEXT NOT NULL,
  PRIMARY KEY (app, labels, route, platform, stage)
) STRICT, WITHOUT ROWID;

CREATE TABLE sample_result (              -- timpush_sample_results_total
  app INTEGER NOT NULL REFERENCES app (id), labels TEXT NOT NULL, route TEXT NOT NULL, platform TEXT NOT NULL,
  stage TEXT NOT NULL, outcome TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (app, labels, route, platform, stage, outcome)
) STRICT, WITHOUT ROWID;

CREATE TABLE sample_closed (              -- timpush_sample_closed_devices_total
  app INTEGER NOT NULL REFERENCES app (id), labels TEXT NOT NULL, route TEXT NOT NULL, platform TEXT NOT NULL,
  result TEXT NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (app, labels, route, platform, result)
) STRICT, WITHOUT ROWID;

CREATE TABLE sample_delivery (            -- timpush_sample_delivery_seconds, as in the table delay
  app INTEGER NOT NULL REFERENCES app (id), labels TEXT NOT NULL, route TEXT NOT NULL, platform TEXT NOT NULL,
  histogram TEXT NOT NULL,
  PRIMARY KEY (app, labels, route, platform)
) STRICT, WITHOUT ROWID;

CREATE TABLE seal (                       -- checksums of the sums; of those of the app itself where the rest is ''
  app INTEGER NOT NULL, labels TEXT NOT NULL, route TEXT NOT NULL, platform TEXT NOT NULL,
  crc INTEGER NOT NULL,                   -- CRC-32
  PRIMARY KEY (app, labels, route, platform)
) STRICT, WITHOUT ROWID;

CREATE TABLE label_set (                  -- sets of watch labels that have sums
  app        INTEGER NOT NULL REFERENCES app (id),
  labels     TEXT NOT NULL,               -- as in the table result
  watched_at INTEGER NOT NULL,            -- when a pair with them was last watched, give or take a day
  retired    INTEGER NOT NULL,            -- 1: not on /metrics until a pair with them is watched again
  crc        INTEGER NOT NULL,            -- CRC-32 of the row
  PRIMARY KEY (app, labels)
) STRICT, WITHOUT ROWID;

CREATE TABLE posted (                     -- what the watch API was told to watch
  app          INTEGER NOT NULL REFERENCES app (id),
  task         TEXT NOT NULL,
  user         TEXT NOT NULL,
  labels       TEXT NOT NULL,             -- as in the table result
  pushed_at    INTEGER,
  kept_elapsed INTEGER NOT NULL,          -- kept until then
  crc          INTEGER NOT NULL,          -- CRC-32 of the row
  PRIMARY KEY (app, task, user)
) STRICT, WITHOUT ROWID;

-- In `meta`, `clock` holds the elapsed seconds, the milliseconds since boot at that moment, and the id of that boot.
-- `returned <id of an app>` is when a set of its labels came back last; `sample key` is the key of the random order of pairs.
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL,
  crc   INTEGER NOT NULL                  -- CRC-32 of the row
) STRICT, WITHOUT ROWID;
