-- Version 1. A released version never changes: a later one is a migration of its own.

-- What is known of the farm: written by `sen registry` and `sen node`, read by everyone.
CREATE TABLE farm (id TEXT PRIMARY KEY, name TEXT NOT NULL, commune TEXT) STRICT;
CREATE TABLE plot (id TEXT PRIMARY KEY, farm TEXT NOT NULL REFERENCES farm(id), name TEXT NOT NULL, crop TEXT, area_ha REAL) STRICT;
-- `num` is never reused: it is the key of a node's readings. `secret` is SHA-256 of a generated password.
CREATE TABLE node (num INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, plot TEXT NOT NULL REFERENCES plot(id),
                   name TEXT NOT NULL, secret BLOB NOT NULL) STRICT;
-- The last hello of each node, as it came.
CREATE TABLE hello (node INTEGER PRIMARY KEY, received INTEGER NOT NULL, body BLOB NOT NULL) STRICT;

-- One row an uplink, ascending ids that never repeat. boot and seq are NULL for devices that do not number their readings.
-- `n` places from `seq` on; `body` is described in record.rs.
CREATE TABLE log (id INTEGER PRIMARY KEY, node INTEGER NOT NULL, received INTEGER NOT NULL,
                  boot INTEGER, seq INTEGER, n INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
-- One row a channel and UTC day (days since 1970); `body` is described in block.rs.
CREATE TABLE block (node INTEGER NOT NULL, channel INTEGER NOT NULL, day INTEGER NOT NULL,
                    readings INTEGER NOT NULL, vals INTEGER NOT NULL, min REAL NOT NULL, max REAL NOT NULL, sum REAL NOT NULL,
                    body BLOB NOT NULL, PRIMARY KEY (node, channel, day)) WITHOUT ROWID, STRICT;
-- Blocks that could not be read when new readings belonged into them. Kept, reported, never in the way.
CREATE TABLE set_aside (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, node INTEGER, channel INTEGER, day INTEGER, body BLOB) STRICT;
-- Arrived places of every node's sequence, as of log row `ledger_upto`.
CREATE TABLE arrived (node INTEGER NOT NULL, boot INTEGER NOT NULL, lo INTEGER NOT NULL, hi INTEGER NOT NULL,
                      PRIMARY KEY (node, boot, lo)) WITHOUT ROWID, STRICT;
-- How far each reader of the log has come.
CREATE TABLE cursor (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
-- Counters: head (highest id ever given), folded_upto, ledger_upto.
CREATE TABLE mark (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT;
INSERT INTO mark VALUES ('head', 0), ('folded_upto', 0), ('ledger_upto', 0);
-- Retained MQTT messages of the embedded broker (node configurations).
CREATE TABLE retained (topic TEXT PRIMARY KEY, qos INTEGER NOT NULL, payload BLOB NOT NULL) STRICT;
-- Points that a sink's server refused for good, with its reason. Kept to look at and to send again.
CREATE TABLE dead_letter (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, sink TEXT NOT NULL, line TEXT NOT NULL, reason TEXT NOT NULL) STRICT;
