// A gateway to look at the page with, when there is no gateway: serves dist/ and made-up answers of its API.
// Development only. `node mock/server.mjs [port] [many|one|silent|calm|empty|full]`
//
// many (default): two farms with stale, faulty, estimated, missing and unknown things, wrong clocks and refused points; one: one of its farms;
// silent: no node sends; calm: nothing to do; empty: nothing registered; full: the gateway's disk is.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const port = Number(process.argv[2] ?? 8090);
const scenario = process.argv[3] ?? "many";
const storing = scenario !== "full";
const dist = new URL("../dist/", import.meta.url).pathname;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const started = Date.now() - 50 * HOUR;

// A channel: [node, plot, name, unit, middle, swing, age, extras]
const CHANNELS = [
  ["ruong-dong-1", "ruong-dong", "water_level", "cm", -6, 5, 2 * MINUTE],
  ["ruong-dong-1", "ruong-dong", "salinity", "[ppth]", 1.2, 0.4, 2 * MINUTE],
  ["ruong-dong-1", "ruong-dong", "soil_moisture", "%", 38, 6, 2 * MINUTE],
  ["ruong-dong-2", "ruong-dong", "air_temperature", "Cel", 29, 4, 5 * HOUR],
  ["ruong-dong-2", "ruong-dong", "air_humidity", "%", 82, 12, 5 * HOUR],
  ["ruong-dong-1", "ruong-dong", "battery_voltage", "V", 3.92, 0.1, 2 * MINUTE],
  ["ao-2", "ao-2", "dissolved_oxygen", "mg/L", 4.4, 1.9, 20_000],
  ["ao-2", "ao-2", "water_temperature", "Cel", 29.4, 1.6, 20_000],
  ["ao-2", "ao-2", "ph", "[pH]", 7.9, 0.3, MINUTE, { fault: "open_circuit" }],
  ["ao-2", "ao-2", "salinity", "[ppth]", 14.2, 0.6, MINUTE, { estimated: true }],
  ["ao-2", "ao-2", "salinity_2", "[ppth]", 13.8, 0.6, MINUTE],
  ["ao-2", "ao-2", "ammonia", "mg/L", 0.06, 0.03, 3 * HOUR],
  ["vuon-1", "vuon-quyt", "soil_conductivity", "uS/cm", 412, 40, 3 * MINUTE],
  ["vuon-1", "vuon-quyt", "light", "lx", 26_000, 26_000, 3 * MINUTE],
  ["vuon-1", "vuon-quyt", "par", "umol/(m2.s)", 1_050, 500, 3 * MINUTE],
  ["vuon-1", "vuon-quyt", "rain", "mm", 0.6, 0.6, 3 * MINUTE],
  ["vuon-1", "vuon-quyt", "wind_direction", "deg", 135, 60, 3 * MINUTE],
  ["vuon-1", "vuon-quyt", "vapour_pressure_deficit", "kPa", 1.24, 0.5, 3 * MINUTE],
  ["vuon-1", "vuon-quyt", "co2", "[ppm]", 415, 20, 3 * MINUTE],
  ["vuon-1", "vuon-quyt", "air_pressure", "hPa", 1009, 3, 3 * MINUTE],
];

const FARMS = [
  {
    id: "tan-thuan",
    name: "Trại Tân Thuận",
    commune: "xã Tân Thuận Đông",
    plots: [
      { id: "ruong-dong", name: "Ruộng Đông", crop: "rice", area_ha: 0.5 },
      { id: "ao-2", name: "Ao số 2", crop: "Tôm thẻ", area_ha: 0.3 },
      { id: "ao-3", name: "Ao số 3", crop: null, area_ha: 0.25 },
    ],
  },
  {
    id: "lai-vung",
    name: "Vườn quýt hồng Lai Vung",
    commune: "xã Long Hậu",
    plots: [{ id: "vuon-quyt", name: "Vườn quýt hồng phía sau nhà", crop: "citrus", area_ha: 1.2 }],
  },
];

const node = (id, plot, name, age, more = {}) => ({
  id,
  farm: plot === "vuon-quyt" ? "lai-vung" : "tan-thuan",
  plot,
  name,
  last_seen: age === null ? null : Date.now() - age,
  connected: age === null ? false : age < 10 * MINUTE,
  boot: 4294967297,
  firmware: age === null ? null : "0.1.0",
  board: age === null ? null : "esp32c3",
  reset_reason: age === null ? null : "power_on",
  battery_mv: age === null ? null : 3920,
  rssi_dbm: age === null ? null : -71,
  config_version: 3,
  received: age === null ? 0 : 14_400,
  missing: 0,
  dropped: age === null ? null : 0,
  clock: age === null ? null : { state: "right", offset_ms: null, jumps: 0, jumped_at: null, jump_ms: null },
  ...more,
});

const jumped = (state, jump_ms) => ({ state, offset_ms: state === "right" ? null : jump_ms, jumps: 1, jumped_at: Date.now() - 5 * HOUR, jump_ms });

const nodes = () => {
  if (scenario === "empty") return [];
  const silent = scenario === "silent" ? 3 * HOUR : 0;
  const old = scenario === "calm" ? 2 * MINUTE : 5 * HOUR;
  const all = [
    node("ruong-dong-1", "ruong-dong", "Ruộng Đông 1", 2 * MINUTE + silent),
    node("ruong-dong-2", "ruong-dong", "Ruộng Đông 2", old + silent, { received: 14_398, missing: 2, dropped: 2, reset_reason: "brownout", battery_mv: 3310, rssi_dbm: -88, clock: jumped("ahead", 26 * HOUR) }),
    node("ao-2", "ao-2", "Ao số 2", 20_000 + silent, { rssi_dbm: -58, clock: jumped("right", -2 * HOUR) }),
    node("vuon-1", "vuon-quyt", "Vườn quýt", 3 * MINUTE + silent),
  ];
  return scenario === "calm" || scenario === "silent" ? all : [...all, node("ao-3", "ao-3", "Ao số 3", null)];
};

// A day's swing with a little noise, the same at each call.
function valueAt([id, , name, , middle, swing], time) {
  const phase = [...`${id}${name}`].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
  const noise = Math.sin(time / 431_000 + phase) * 0.12 + Math.sin(time / 97_000 + phase) * 0.05;
  const value = middle + swing * (Math.sin((time / HOUR / 24) * 2 * Math.PI + phase) + noise);
  return name === "water_level" ? value : Math.max(value, 0);
}

const missing = (name, time) => name !== "water_level" && (Math.floor(time / HOUR) % 24 === 9 || Math.floor(time / HOUR) % 24 === 10);

const bumps = new Map();

function latest(channel, withSpark) {
  const [id, plot, name, unit, , , ageMs, extras = {}] = channel;
  const calm = scenario === "calm";
  const age = scenario === "silent" ? ageMs + 3 * HOUR : calm ? Math.min(ageMs, 2 * MINUTE) : ageMs;
  const at = bumps.get(channel) ?? Date.now() - age;
  const fault = calm ? null : (extras.fault ?? null);
  const hours = Array.from({ length: 24 }, (_, i) => Date.now() - (23 - i) * HOUR);
  const spark = hours.map((time) => (time > at + HOUR || missing(name, time) || (fault && time > at - 3 * HOUR) ? null : valueAt(channel, time)));
  return {
    node: id,
    plot,
    channel: name,
    quantity: name.replace(/_\d$/, ""),
    unit,
    at,
    received_at: at + 800,
    age_ms: Date.now() - at,
    value: fault ? null : Number(valueAt(channel, at).toFixed(3)),
    fault,
    estimated: extras.estimated === true && !calm,
    every_ms: 5 * MINUTE,
    ...(withSpark ? { spark } : {}),
  };
}

const farms = () => (scenario === "empty" ? [] : scenario === "many" ? FARMS : FARMS.slice(0, 1));

function overview() {
  const withChannels = (plot) => ({ ...plot, channels: CHANNELS.filter(([, own]) => own === plot.id).map((channel) => latest(channel, true)) });
  const own = farms().map((farm) => ({ ...farm, plots: farm.plots.map(withChannels) }));
  return { now: Date.now(), demo: true, ...system(), farms: own, nodes: nodes().filter((entry) => own.some((farm) => farm.id === entry.farm)) };
}

function history(query) {
  const channel = CHANNELS.find(([id, , name]) => id === query.get("node") && name === query.get("channel"));
  if (!channel) return null;
  const [from, to, buckets] = ["from", "to", "buckets"].map((name) => Number(query.get(name)));
  const bucket = Math.max((to - from) / buckets, 5 * MINUTE);
  const out = { node: channel[0], channel: channel[2], unit: channel[3], from, to, bucket_ms: bucket, gap_ms: Math.max(3 * bucket, 15 * MINUTE), t: [], mean: [], min: [], max: [], n: [], estimated: [] };
  // Nothing before the node was set up, eleven days ago.
  const end = Math.min(to, latest(channel, false).at);
  for (let time = Math.max(from, to - 11 * 24 * HOUR); time < end; time += bucket) {
    if (missing(channel[2], time)) continue;
    const failed = channel[7]?.fault && time > to - 3 * HOUR;
    const mean = valueAt(channel, time);
    const spread = channel[5] * 0.08 * Math.sqrt(bucket / (5 * MINUTE));
    out.t.push(Math.round(time));
    out.mean.push(failed ? null : mean);
    out.min.push(failed ? null : channel[2] === "water_level" ? mean - spread : Math.max(mean - spread, 0));
    out.max.push(failed ? null : mean + spread);
    out.n.push(failed ? 0 : Math.round(bucket / (5 * MINUTE)));
    out.estimated.push(channel[7]?.estimated && time > to - 6 * HOUR && time < to - 3 * HOUR ? 1 : 0);
  }
  return out;
}

const refused = () => ({
  counts: scenario === "calm" ? {} : { bad_cbor: 3, unknown_channel: 1 },
  last:
    scenario === "calm"
      ? []
      : [
          { at: Date.now() - 40 * MINUTE, node: "ao-2", topic: "sen/1/ao-2/pack", reason: "unknown_channel", detail: "record 3: no quantity has the code `xy`", excerpt: '[{"bn":"ao-2/","n":"xy","v":1.5}]' },
          { at: Date.now() - 26 * HOUR, node: null, topic: "sen/1/la/pack", reason: "bad_cbor", detail: "byte 17: unexpected end of input", excerpt: "85 a3 21 64 61 6f 2d 32 22 fb 41 d9 5e 3c 77" },
        ],
});

// Twelve days of readings, one of them with a hole, one late; the fourteen days before today as the gateway counts them.
function ledger() {
  const DAY = 24 * HOUR;
  const date = (age) => new Date(Date.now() + 7 * HOUR - age * DAY).toISOString().slice(0, 10);
  const at = (age, hour, minute) => Date.parse(`${date(age)}T00:00:00+07:00`) + hour * HOUR + minute * MINUTE;
  const account = ({ id, received, missing }) => {
    const days = Array.from({ length: 14 }, (_, i) => {
      const age = 13 - i;
      const lost = missing > 0 && age === 1 ? 12 : missing > 0 && age === 5 ? 400 : 0;
      return { day: date(age), received: received === 0 || age > 11 ? 0 : 1_200 - lost, missing: lost, late: lost > 0 ? 44 : 0, history: !storing && age > 10 ? "deleted" : "kept" };
    });
    const ranges = [
      { count: 12, after: at(1, 14, 5), before: at(1, 15, 40) },
      { count: 399, after: at(6, 22, 0), before: at(5, 9, 30) },
      { count: 1, after: null, before: at(5, 11, 0) },
    ];
    return { node: id, days, missing_ranges: missing > 0 ? ranges : [], missing_ranges_left_off: missing > 0 ? 2 : 0 };
  };
  return { now: Date.now(), late_after_ms: HOUR, nodes: nodes().map(account) };
}

// Seven refused points of two kinds. Sent again, the first kind is taken and the second refused again.
const KINDS = ["field type conflict: input field \"ph\" on measurement \"reading\" is type float, already exists as type integer", "points beyond retention policy"];
let waiting = Array.from({ length: 7 }, (_, i) => ({
  id: i + 1,
  since: started + i * HOUR,
  node: "ao-2",
  at: started + i * HOUR - MINUTE,
  readings: [
    { channel: "ph", quantity: "ph", unit: "[pH]", value: 7.8 + i / 100, fault: null, estimated: i === 2 },
    { channel: "salinity_2", quantity: "salinity", unit: "[ppth]", value: null, fault: "crc", estimated: false },
  ],
  line: "reading,node=ao-2 ph=7.8",
  reason: KINDS[i < 4 ? 0 : 1],
}));
const letters = () => (scenario === "many" ? waiting : []);
const system = () => ({ clock: { right: true, jumps: 0, last_jump: null }, dead_letters: letters().length, storing, damage: [] });

function deadLetters(query) {
  const kind = (reason) => letters().filter((letter) => letter.reason === reason);
  const wanted = query.has("reason") ? kind(query.get("reason")) : letters();
  const kinds = KINDS.map((reason) => ({ reason, total: kind(reason).length, since: kind(reason)[0]?.since ?? 0 })).filter(({ total }) => total > 0);
  return { total: letters().length, kinds, letters: wanted.toReversed().slice(0, Number(query.get("limit") ?? 100)) };
}

function resend({ ids, reason }) {
  const wanted = letters().filter((letter) => (ids?.includes(letter.id) ?? true) && (reason === undefined || letter.reason === reason));
  const sent = wanted.filter((letter) => letter.reason === KINDS[0]);
  waiting = waiting.filter((letter) => !sent.includes(letter));
  return { sent: sent.length, refused: wanted.length - sent.length, left: 0, problem: null };
}

const API = {
  "dead-letters": deadLetters,
  ledger,
  overview,
  nodes: () => overview().nodes,
  refused,
  history,
  health: () => ({
    status: storing ? "ok" : "failing",
    disk: {
      free_bytes: storing ? 42e9 : 0,
      deleted_before: storing ? null : Date.now() - 12 * 24 * HOUR,
      cursors: storing ? [] : [{ name: "influx", room_pct: 84, hours_left: 7, given_up: { readings: 14_400, first_at: Date.now() - 90 * 24 * HOUR, last_at: Date.now() - 80 * 24 * HOUR } }],
    },
  }),
  about: () => ({ name: "sen", version: "0.1.0", demo: true, ...system(), started_at: started, now: Date.now() }),
};

function stream(request, response) {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  response.write(": here\n\n");
  const timer = setInterval(() => {
    if (scenario === "silent" || scenario === "empty") return;
    const lively = CHANNELS.filter(([, plot]) => plot === "ao-2").slice(0, 2);
    for (const channel of lively) bumps.set(channel, Date.now() - 500);
    response.write(`event: latest\ndata: ${JSON.stringify(lively.map((channel) => latest(channel, false)))}\n\n`);
  }, 4_000);
  request.on("close", () => clearInterval(timer));
}

const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  const api = /^\/api\/v1\/([\w-]+)$/.exec(url.pathname)?.[1];
  if (api === "stream") return stream(request, response);
  if (url.pathname === "/api/v1/dead-letters/resend") {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(resend(JSON.parse(body)))));
    return;
  }
  if (api) {
    const answer = API[api]?.(url.searchParams) ?? null;
    response.writeHead(answer === null ? 404 : 200, { "content-type": "application/json" });
    return response.end(JSON.stringify(answer ?? { error: { code: "not_found", message: "no such thing" } }));
  }
  try {
    const name = url.pathname === "/" ? "index.html" : normalize(url.pathname);
    const body = readFileSync(join(dist, name));
    // The gateway's policy, so that what it forbids is noticed here.
    response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "application/octet-stream", "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'" });
    response.end(body);
  } catch {
    response.writeHead(404).end();
  }
}).listen(port, "127.0.0.1", () => console.log(`mock gateway (${scenario}): http://127.0.0.1:${port}`));
