-- From schema 1 to schema 2: the watch API's pairs, and the key of this daemon.

CREATE TABLE posted (                     -- what the watch API was told to watch
  app       INTEGER NOT NULL REFERENCES app (id),
  task      TEXT NOT NULL,
  user      TEXT NOT NULL,
  labels    TEXT NOT NULL,                -- as in the table result
  pushed_at INTEGER,
  added_at  INTEGER NOT NULL,
  PRIMARY KEY (app, task, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,                 -- veil_key: makes the hashes that stand for users in links
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
