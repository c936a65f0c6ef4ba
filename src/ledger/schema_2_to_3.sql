-- From schema 2 to schema 3: checksums of the watch API's pairs and of the key of this daemon, written after this.

ALTER TABLE posted RENAME TO posted_2;
ALTER TABLE meta RENAME TO meta_2;

CREATE TABLE posted (                     -- what the watch API was told to watch
  app       INTEGER NOT NULL REFERENCES app (id),
  task      TEXT NOT NULL,
  user      TEXT NOT NULL,
  labels    TEXT NOT NULL,                -- as in the table result
  pushed_at INTEGER,
  added_at  INTEGER NOT NULL,
  crc       INTEGER NOT NULL,             -- CRC-32 of the row
  PRIMARY KEY (app, task, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,                 -- veil_key: makes the hashes that stand for users in links
  value BLOB NOT NULL,
  crc   INTEGER NOT NULL                  -- CRC-32 of the row
) STRICT, WITHOUT ROWID;

INSERT INTO posted SELECT *, 0 FROM posted_2;
INSERT INTO meta SELECT *, 0 FROM meta_2;
DROP TABLE posted_2;
DROP TABLE meta_2;
