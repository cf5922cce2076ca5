// Function node: SenML in, batches of points out. A batch leaves with 1 000 points or once a second.
const records = msg.payload;
const fields = {};
for (const r of records) fields[NAMES[r.n]] = r.v;
const batch = context.get("batch") || [];
batch.push({
  measurement: "reading",
  tags: { node: msg.topic.split("/")[2] },
  fields,
  timestamp: new Date(Math.round(records[0].bt * 1000)),
});
if (batch.length >= 1000) {
  context.set("batch", []);
  return { payload: batch };
}
context.set("batch", batch);
return null;
