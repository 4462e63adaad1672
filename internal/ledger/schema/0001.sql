-- Every decision, oldest first.
--   time     when it was decided, in ns since 1970
--   verdict  number of the verdict: 1 ban, 2 release, 3 close, 4 open, 5 allow, 6 disallow, 7 tell
--   subject  the subject as an ordered key: 4, the address and the prefix length; or 6 and the same; or the kind and the text
--   rule     the watch that led to it
--   offence  which offence of the subject it is; 0 = none
--   origin   identity of a decision that must be recorded once; NULL = it has none
--   body     the whole decision but its proof, packed
--   proof    what it rests on: j and JSON, or z and deflated JSON; NULL = nothing
CREATE TABLE records (
  seq     INTEGER PRIMARY KEY,
  time    INTEGER NOT NULL,
  verdict INTEGER NOT NULL,
  subject BLOB    NOT NULL,
  rule    TEXT    NOT NULL,
  offence INTEGER NOT NULL,
  origin  BLOB,
  body    BLOB    NOT NULL,
  proof   BLOB
);
CREATE UNIQUE INDEX records_origin ON records (origin) WHERE origin IS NOT NULL;
CREATE INDEX records_subject ON records (subject, time, verdict, offence);

-- What is in force: bans, closed ports, entries of the allow list.
--   what   which state of which subject in which scope this is
--   boot   during which boot of the machine its end was stated
--   body   as in records, with the end as it was stated last
CREATE TABLE live (
  seq   INTEGER PRIMARY KEY,
  what  BLOB    NOT NULL,
  boot  INTEGER NOT NULL,
  body  BLOB    NOT NULL
);
CREATE UNIQUE INDEX live_what ON live (what);

-- The checkpoint: how far each source was read, and the windows at that point.
CREATE TABLE marks (
  source TEXT PRIMARY KEY,
  mark   TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE windows (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  sum  BLOB NOT NULL,
  data BLOB NOT NULL
);

-- Small state of other parts, by namespace.
CREATE TABLE keep (
  namespace TEXT NOT NULL,
  name      TEXT NOT NULL,
  value     BLOB NOT NULL,
  PRIMARY KEY (namespace, name)
) WITHOUT ROWID;
