/**
 * The shapes of the gateway's HTTP API (`/api/v1`), as far as this page uses them.
 * Times are milliseconds UTC; names are kept as the API writes them.
 */

/** The newest state of one channel of one node. */
export interface Latest {
  node: string;
  plot: string | null;
  channel: string;
  quantity: string;
  /** UCUM code. */
  unit: string;
  at: number;
  received_at: number;
  /** null when the reading is a fault. */
  value: number | null;
  fault: string | null;
  /** The node had no clock: its time was placed backwards. */
  estimated: boolean;
  /** Usual distance between two readings. */
  every_ms: number | null;
  /** When the last reading with a value was taken; the page keeps it up when the API does not say. */
  last_good_at: number | null;
  /** Hourly means of the last 24 hours, oldest first. Absent from the stream. */
  spark: (number | null)[] | null;
}

export interface Plot {
  id: string;
  name: string;
  crop: string | null;
  area_ha: number | null;
  channels: Latest[];
}

export interface Farm {
  id: string;
  name: string;
  commune: string | null;
  plots: Plot[];
}

export interface Node {
  id: string;
  farm: string | null;
  plot: string | null;
  name: string;
  last_seen: number | null;
  connected: boolean | null;
  firmware: string | null;
  board: string | null;
  reset_reason: string | null;
  battery_mv: number | null;
  rssi_dbm: number | null;
  received: number;
  missing: number;
  /** Readings that the node overwrote before they could be sent. */
  dropped: number | null;
  /** null before its first stamp since the gateway's start. */
  clock: NodeClock | null;
}

/** The last time that a clock was found to have jumped. */
export interface Jump {
  at: number;
  /** How far; below zero: back. */
  by_ms: number;
}

/** A node's clock, as its stamps show it. */
export interface NodeClock {
  state: "right" | "none" | "unset" | "ahead" | "back" | "behind";
  /** About how far it is from the gateway's; only while it is wrong. */
  offset_ms: number | null;
  last_jump: Jump | null;
}

/** The gateway's own clock. */
export interface GatewayClock {
  /** False: times are estimated until somebody sets it. */
  right: boolean;
  last_jump: Jump | null;
}

/** What the gateway says of itself. */
export interface System {
  clock: GatewayClock;
  /** Points that the server of the InfluxDB sink refused, and that wait to be sent again. */
  dead_letters: number;
  /** New readings are stored; not while the gateway's disk is full. */
  storing: boolean;
  /** Damaged files of the journal, the newest last. */
  damage: Damage[];
}

/** A damaged file of the journal, and what became of it; shown until that file is moved away. */
export interface Damage {
  at: number;
  file: string;
  noticed: string;
  kept_rows: number;
  /** Known to be lost; more may be. */
  lost_rows: number;
  broken_places: number;
  nodes_without_password: string[];
}

export interface Overview {
  now: number;
  demo: boolean;
  system: System;
  farms: Farm[];
  nodes: Node[];
}

/** Columns: the i-th entries of t, mean, min, max, n and estimated belong together. */
export interface History {
  unit: string;
  from: number;
  to: number;
  bucket_ms: number;
  gap_ms: number;
  t: number[];
  mean: (number | null)[];
  min: (number | null)[];
  max: (number | null)[];
  n: number[];
  /** Readings whose time was worked out afterwards. */
  estimated: number[];
}

export interface Refused {
  counts: Record<string, number>;
  last: { at: number; node: string | null; topic: string; reason: string; detail: string; excerpt: string }[];
}

/** One day of the farm, of one node. */
export interface LedgerDay {
  /** yyyy-mm-dd */
  day: string;
  received: number;
  missing: number;
  late: number;
  /** Deleted here to make room or for their age; what is deleted is not missing. */
  deleted: boolean;
}

/** Readings that are known to exist and have not arrived, between two that have. */
export interface MissingRange {
  count: number;
  /** When the readings on either side were taken. */
  after: number | null;
  before: number | null;
}

export interface NodeLedger {
  node: string;
  /** Ascending, without a gap; the last one is today. */
  days: LedgerDay[];
  /** The newest ones, newest first. */
  missing_ranges: MissingRange[];
  missing_ranges_left_off: number;
}

export interface Ledger {
  late_after_ms: number;
  nodes: NodeLedger[];
}

/** What waits on the gateway for a database. */
export interface Waiting {
  name: string;
  /** How much of the room that it may take it does. */
  room_pct: number;
  hours_left: number | null;
  /** What the database will never get. */
  given_up: { readings: number; first_at: number | null; last_at: number | null };
}

export interface Disk {
  free_bytes: number;
  deleted_before: number | null;
  sinks: Waiting[];
}

export interface About {
  name: string;
  version: string;
  demo: boolean;
  system: System;
  started_at: number;
  now: number;
}
