// Looks at the technician's pages: `node technician.mjs URL DICTIONARIES NODE CHANNEL`.
//
// URL is a gateway on this machine that runs `sen demo` with an image of an esp32c3 ready, DICTIONARIES the folder with the
// technician's vi.ts and en.ts, NODE and CHANNEL one of its channels whose probe gives the quantity itself.
import { fakeBoard } from "./board.mjs";
import { must, open, shot } from "./eyes.mjs";

const [url, dictionaries, node, channel] = process.argv.slice(2);
const { page, look, oneLanguage, close } = await open(dictionaries, 320, 640);
const go = async (path) => {
  await page.goto(`${url}/#/tech${path}`);
  await page.getByTestId("tech").waitFor();
};
const id = (name) => page.getByTestId(name);
const field = (name) => page.locator(`[name="${name}"]`);

/** As it looks on a small phone and at a desk, in both languages: no wider than the screen, and not mixed. */
async function everywhere(name) {
  for (const [width, height] of [
    [320, 640],
    [1280, 900],
  ]) {
    await page.setViewportSize({ width, height });
    for (let i = 0; i < 2; i += 1) {
      await page.waitForTimeout(150);
      const language = await oneLanguage();
      await page.screenshot({ path: shot(`tech-${name}-${width}-${language}`), fullPage: true });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      must(wide <= width, `${wide} px in ${width}, ${language}`);
      await id("lang").click();
    }
  }
  await page.setViewportSize({ width: 320, height: 640 });
}

await look("list", async () => {
  await go("");
  await id("token").and(page.locator('[data-state="in"]')).waitFor();
  await id(`tech-${node}`).waitFor();
  await everywhere("list");
});

let code = "";
await look("add", async () => {
  await go("/add");
  await field("id").fill("pond-9");
  await field("name").fill("Ao số 9");
  await field("board").fill("esp32c3");
  await everywhere("add");
  await id("add").click();
  must((await id("password").innerText()).length === 26, "no password");
  code = await id("claim-code").innerText();
  must(/^\w{4}-\w{4}$/.test(code), code);
  await everywhere("made");
  const label = page.waitForEvent("popup");
  await id("label").click();
  const paper = await label;
  await paper.waitForSelector("svg");
  must((await paper.locator("body").innerText()).includes(code), "the label has no code");
  await paper.screenshot({ path: shot("tech-label") });
  await paper.close();
  return code;
});

await look("wrong-code", async () => {
  await go("/claim");
  await field("code").fill("0000 0000");
  await field("plot").selectOption({ index: 1 });
  await id("claim").click();
  await id("outcome").and(page.locator('[data-state="failed"]')).first().waitFor();
  await everywhere("claim");
});

await look("claim", async () => {
  await field("code").fill(code.toLowerCase().replace("-", " "));
  await field("who").fill("Linh");
  await id("claim").click();
  await id("claimed").waitFor();
});

await look("configure", async () => {
  await go(`/node/${node}`);
  await id("save-config").waitFor();
  await field("sample").fill("0");
  await id("save-config").click();
  await id("outcome").and(page.locator('[data-state="failed"]')).waitFor();
  await everywhere("node");
  await field("sample").fill("60");
  await field("who").fill("Linh");
  await id("save-config").click();
  await page.waitForFunction(() => document.querySelector('[data-testid="config-state"]')?.dataset.state === "in_force");
  await id("history").locator("summary").click();
  const line = await id("history").locator("li").first().innerText();
  must(line.includes("Linh"), line);
  return line;
});

await look("revoke", async () => {
  await go("/node/pond-9");
  await id("revoke").click();
  await id("revoke-sure").waitFor();
  await everywhere("revoke");
  await id("revoke-sure").click();
  await id("access").and(page.locator('[data-state="revoked"]')).waitFor();
  await id("admit").click();
  await id("admit-sure").click();
  must((await id("password").innerText()).length === 26, "no new password");
});

await look("calibrate", async () => {
  await go(`/node/${node}/cal/${channel}`);
  const raw = id("raw");
  await raw.locator("data").waitFor();
  await field("curve").selectOption("offset");
  await page.waitForFunction(() => document.querySelector('[data-testid="raw"]')?.dataset.state === "yes", undefined, { timeout: 90_000 });
  const value = Number(await raw.locator("data").getAttribute("value"));
  await field("reference").fill(String(Math.round((value + 0.5) * 10) / 10).replace(".", ","));
  await id("take").click();
  await id("review").waitFor();
  await field("who").fill("Hoa");
  await everywhere("calibrate");
  await id("save-calibration").click();
  await id("cal-saved").and(page.locator('[data-state="in_force"]')).waitFor();
  const line = await id("calibrations").locator("li").first().innerText();
  must(line.includes("Hoa"), line);
  await everywhere("calibrated");
  return line.split("\n")[0];
});

/** Fills in the form and has it shown what would be written. */
async function show(board) {
  await page.goto("about:blank");
  await go(`/flash/${board}`);
  await field("host").fill("192.168.1.10");
  await page.locator('input[type="checkbox"]').check();
  await id("show").click();
  await id("part-0").waitFor();
}

await look("flash-another-chip", async () => {
  await page.addInitScript(fakeBoard, { chip: 9 });
  await show("pond-9");
  let asked = 0;
  page.on("request", (request) => (asked += Number(request.postData()?.includes('"write":true') ?? false)));
  await id("write").click();
  await page.getByText("ESP32-S3").waitFor();
  must((await page.evaluate(() => onBoard())).length === 0, "written all the same");
  must(asked === 0, "the node lost its password");
  await oneLanguage();
});

await look("flash", async () => {
  await page.addInitScript(fakeBoard, { chip: 5 });
  await show("pond-9");
  const given = page.waitForResponse((r) => r.request().postData()?.includes('"write":true') ?? false);
  await id("write").click();
  const parts = await (await given).json();
  await page.waitForSelector('[data-testid="progress"][data-percent="100"]', { timeout: 60_000 });
  const wanted = parts.writes.map(({ offset, length, sha256 }) => ({ offset, length, sha256 }));
  const found = await page.evaluate(() => onBoard());
  must(JSON.stringify(found) === JSON.stringify(wanted), `${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
  must((await id("password").innerText()) === parts.password, "not the password that is on the board");
  await everywhere("flashed");
  return wanted.map(({ offset, length }) => `${length} bytes at ${offset}`).join(", ");
});

await look("flash-without-serial", async () => {
  // A page that is no secure one, or another browser.
  await page.addInitScript(() => delete Navigator.prototype.serial);
  await show("pond-9");
  must((await id("no-serial").innerText()).includes("sen flash pond-9 --board esp32c3"), "no command");
  must((await id(`part-${0xb000}`).innerText()).includes("0xb000"), "no node configuration");
  must((await id("write").count()) === 0, "offers what it can't do");
  await everywhere("flash");
});

await look("no-token-in-an-address", async () => {
  await go("");
  await field("token").count();
  const kept = await page.evaluate(() => [location.href, JSON.stringify(localStorage)]);
  must(!kept.join(" ").includes("operator"), kept.join(" "));
});

await close();
