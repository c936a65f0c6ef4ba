-- From schema 3 to schema 4: ages of pairs by the ledger's own clock, which begins now at 0, and which sets of watch labels
-- are shown. Checksums are written after this.

ALTER TABLE pair RENAME TO pair_3;
ALTER TABLE posted RENAME TO posted_3;

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

-- Until when the store was used at least. What is older is older by as much; time since then is not counted.
CREATE TEMP TABLE used AS SELECT min(unixepoch(), coalesce(max(at), unixepoch())) AS until FROM (
  SELECT max(added_at, coalesce(polled_at, 0)) AS at FROM pair_3 UNION ALL SELECT added_at FROM posted_3
);

INSERT INTO pair
  SELECT id, task, user, added_at, min(0, added_at - until), 0, pushed_at, polled_at, ended, record FROM pair_3, used;
INSERT INTO label_set SELECT DISTINCT app, labels, unixepoch(), 0, 0 FROM result WHERE labels <> '{}';
INSERT INTO posted
  SELECT app, task, user, labels, pushed_at, max(0, max(added_at, coalesce(pushed_at, 0)) - until) + 8 * 86400, 0
  FROM posted_3, used;

DROP TABLE temp.used;
DROP TABLE pair_3;
DROP TABLE posted_3;

-- What it held stood for users in links.
ALTER TABLE meta RENAME TO meta_3;
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL,
  crc   INTEGER NOT NULL                  -- CRC-32 of the row
) STRICT, WITHOUT ROWID;
DROP TABLE meta_3;
