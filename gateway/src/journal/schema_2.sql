-- Version 2: the ledger by day. A released version never changes: a later one is a migration of its own.

-- When the first and the last reading of a range were taken, ms UTC; NULL for what version 1 had stored.
ALTER TABLE arrived ADD COLUMN lo_at INTEGER;
ALTER TABLE arrived ADD COLUMN hi_at INTEGER;
-- What arrived of each farm's day (days since 1970 at UTC+7), as of log row `ledger_upto`. `late` and `refused` are part of
-- `received`; `unnumbered` came from devices that do not number their readings and is part of nothing else.
CREATE TABLE day_account (node INTEGER NOT NULL, day INTEGER NOT NULL, received INTEGER NOT NULL, late INTEGER NOT NULL,
                          refused INTEGER NOT NULL, unnumbered INTEGER NOT NULL, PRIMARY KEY (node, day)) WITHOUT ROWID, STRICT;
