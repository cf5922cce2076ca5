-- Version 3: bodies with checksums, and what became of damaged files. A released version never changes: a later one is a
-- migration of its own.
--
-- Bodies of `log` and `block` that are written from here on begin with 0xf2 and end in a checksum (seal.rs). Those of before
-- stay as they are and are still read; a program of an older version can't read the new ones, so the version says so.

-- Files that were damaged and have been salvaged. `file` is the name under which the damaged one was set aside, `lost` counts
-- rows, `broken` places that could not be read, `nodes` is a JSON list of the nodes that need a new password.
CREATE TABLE damage (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, file TEXT NOT NULL, noticed TEXT NOT NULL, kept INTEGER NOT NULL,
                     lost INTEGER NOT NULL, broken INTEGER NOT NULL, nodes TEXT NOT NULL) STRICT;
