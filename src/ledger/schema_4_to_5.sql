-- From schema 4 to schema 5: what is counted of the random sample. Which pairs are in it stands in their records.

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
