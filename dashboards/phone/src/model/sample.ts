/** Readings for tests. */
import type { Latest, Node } from "../api/types";

export const latest = (more: Partial<Latest> = {}): Latest => ({
  node: "ao-2",
  plot: "ao-2",
  channel: "salinity",
  quantity: "salinity",
  unit: "[ppth]",
  at: 1_000_000,
  received_at: 1_000_500,
  value: 14.2,
  fault: null,
  estimated: false,
  every_ms: 300_000,
  last_good_at: null,
  spark: null,
  ...more,
});

export const node = (more: Partial<Node> = {}): Node => ({
  id: "ao-2",
  farm: "tan-thuan",
  plot: "ao-2",
  name: "Ao số 2",
  last_seen: null,
  connected: null,
  firmware: null,
  board: null,
  reset_reason: null,
  battery_mv: null,
  rssi_dbm: null,
  received: 0,
  missing: 0,
  dropped: null,
  clock: null,
  ...more,
});
