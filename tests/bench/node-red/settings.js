// Node-RED without its editor: only the flow runs. The port is the bench's choice.
module.exports = {
  uiHost: "127.0.0.1",
  uiPort: Number(process.env.BENCH_UI_PORT),
  httpAdminRoot: false,
  credentialSecret: false,
  flowFile: "flows.json",
  logging: { console: { level: "info", metrics: false, audit: false } },
};
