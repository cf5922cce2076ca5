-- Notifications: what the plan knows, what is on its way, what went wrong. Times are milliseconds since 1970.

-- The plan's state in parts (case, call, pace, spent), so that an event rewrites only what it touched.
CREATE TABLE notify_state (part TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (part, id)) WITHOUT ROWID, STRICT;

-- One row a message. waiting -> sending -> accepted -> delivered; failed and withdrawn end it.
CREATE TABLE notify_outbox (
    key TEXT PRIMARY KEY,
    channel TEXT NOT NULL,
    person TEXT NOT NULL,
    set_by TEXT NOT NULL,
    critical INTEGER NOT NULL,         -- goes before the others: a backlog of digests holds up no alarm
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sending', 'accepted', 'delivered', 'failed', 'withdrawn')),
    created INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    due INTEGER NOT NULL,              -- the next try; of an accepted one the next look for its receipt
    give_up INTEGER NOT NULL,          -- after this no try begins
    tries INTEGER NOT NULL DEFAULT 0,
    reference TEXT,                    -- what the other side calls it
    gone INTEGER NOT NULL DEFAULT 0,   -- the address does not exist any more
    error TEXT,
    body TEXT NOT NULL                 -- the message, JSON
) STRICT;
CREATE INDEX notify_due ON notify_outbox (channel, state, due);
CREATE INDEX notify_reference ON notify_outbox (channel, reference) WHERE reference IS NOT NULL;

-- What whoever set the policy has to know and no message row says.
CREATE TABLE notify_trouble (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, set_by TEXT, alarm TEXT, body TEXT NOT NULL) STRICT;
