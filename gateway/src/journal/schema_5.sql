-- Version 5: rules, their alarms and what led to them; when plots were sown; groups of farms. A released version never
-- changes: a later one is a migration of its own.

-- The day that the crop was sown, or the pond stocked: YYYY-MM-DD; NULL: nobody has said.
ALTER TABLE plot ADD COLUMN sown TEXT;
-- Groups that a farm belongs to: a cooperative, a canal.
CREATE TABLE farm_group (farm TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (farm, name)) WITHOUT ROWID, STRICT;
-- Every version of every rule; the highest is in force. `awake` 0: switched off. `body`: JSON; NULL: deleted.
CREATE TABLE rule (id TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL, awake INTEGER NOT NULL,
                   body TEXT, PRIMARY KEY (id, version)) WITHOUT ROWID, STRICT;
-- What the engine remembers of a node (0: of the gateway) at the row where the cursor `alarms` stands: JSON.
CREATE TABLE alarm_state (node INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
-- Every change of every alarm, with the readings that caused it, and what was found in readings that came late: JSON.
CREATE TABLE alarm_event (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, noted INTEGER NOT NULL, rule TEXT, node INTEGER,
                          body TEXT NOT NULL) STRICT;
CREATE INDEX alarm_event_by_time ON alarm_event (at);
-- Readings that are remarkable, and whether they are believed all the same.
CREATE TABLE doubt (node INTEGER NOT NULL, channel INTEGER NOT NULL, at INTEGER NOT NULL, marks INTEGER NOT NULL,
                    believed INTEGER NOT NULL, PRIMARY KEY (node, channel, at)) WITHOUT ROWID, STRICT;
-- Every version of every preset that people have made from one that Sen brings. `body`: JSON; NULL: deleted.
CREATE TABLE preset (id TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL, body TEXT,
                     PRIMARY KEY (id, version)) WITHOUT ROWID, STRICT;
