-- Version 3: nodes that can be revoked and claimed, and what they were told to do. A released version never changes: a later
-- one is a migration of its own.

-- Since when a node is refused, ms UTC; NULL: it is let in.
ALTER TABLE node ADD COLUMN revoked INTEGER;
-- The board that it was flashed for, as its hello should say; NULL: any.
ALTER TABLE node ADD COLUMN board TEXT;
-- The code that binds a node to a plot, once. `used`: when that was done.
CREATE TABLE claim (node INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, made INTEGER NOT NULL, used INTEGER, who TEXT) STRICT;
-- Every configuration that a node was given, as it is published; the highest version is in force.
CREATE TABLE node_config (node INTEGER NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL,
                          body BLOB NOT NULL, PRIMARY KEY (node, version)) WITHOUT ROWID, STRICT;
