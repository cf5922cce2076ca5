// Looks at what the phone page says when something is wrong: `node trouble.mjs URL DICTIONARIES`, on the narrowest phone.
//
// URL is a gateway whose InfluxDB has refused six points for three reasons, three of ph, two of salinity and one of
// water_temperature, all of node-01; the clock of node-02 is a day ahead. Waits for the test at `away` (the server answers 503),
// `mended` (it takes everything) and `behind` (the gateway has been started again with a clock that is wrong).
import { must, open, shot, wait } from "./eyes.mjs";

const [url, dictionaries] = process.argv.slice(2);
const { page, look, oneLanguage, close } = await open(dictionaries, 320, 640);

const letters = page.getByTestId("letter");
const kinds = page.getByTestId("letter-kind");
const result = page.getByTestId("resent");
const notice = (kind) => page.getByTestId(`system-${kind}`);

/** Both languages, one after the other: nothing of the other one, nothing wider than the screen, a picture of each. */
async function both(name) {
  for (let i = 0; i < 2; i += 1) {
    const language = await oneLanguage();
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    must(width <= 320, `${width} px wide`);
    await page.screenshot({ path: shot(`trouble-${name}-${language}`), fullPage: true });
    await page.getByTestId("lang").click();
    await page.waitForFunction((old) => document.documentElement.lang !== old, language);
  }
}

/** Presses a button of the list, and waits for what came of it. */
async function press(button) {
  await button.click();
  await page.waitForSelector('[data-testid="resent"]:not([data-state="busy"])');
  return (await result.innerText()).trim();
}

/** Numbers of kinds and of letters. */
async function listed(kindCount, letterCount) {
  const right = ([k, l]) =>
    document.querySelectorAll('[data-testid="letter-kind"]').length === k && document.querySelectorAll('[data-testid="letter"]').length === l;
  await page.waitForFunction(right, [kindCount, letterCount], { timeout: 10_000 }).catch(async () => {
    throw new Error(`${await kinds.count()} kinds with ${await letters.count()} letters, not ${kindCount} with ${letterCount}`);
  });
}

await page.goto(url);

await look("banner", async () => {
  await notice("letters").waitFor();
  must((await notice("letters").innerText()).includes("6"), "does not say how many");
  await both("today");
});

await look("node-clock", async () => {
  await page.goto(`${url}/#/more`);
  const card = page.getByTestId("device-node-02");
  await card.waitFor();
  must(/nhanh 2[34] giờ.*ước tính.*nhảy tới/.test(await card.innerText()), await card.innerText());
  must(!/Đồng hồ/.test(await page.getByTestId("device-node-01").innerText()), "a clock that is right is mentioned");
  await notice("letters").waitFor();
  await both("more");
});

await look("estimated", async () => {
  await page.goto(`${url}/#/c/node-02/ph`);
  const key = page.getByTestId("chart-estimated");
  await key.waitFor();
  must((await key.innerText()).includes("3"), await key.innerText());
  await page.locator('[data-testid="chart"] canvas').first().waitFor();
  await both("chart");
  await page.goto(`${url}/#/c/node-01/ph`);
  await page.locator('[data-testid="chart"] canvas').first().waitFor();
  must((await key.count()) === 0, "times of node-01 are called estimated");
});

await look("list", async () => {
  await page.goto(`${url}/#/`);
  await notice("letters").locator("a").click();
  await listed(3, 6);
  const all = await page.getByTestId("letters").innerText();
  for (const text of ["points beyond retention policy", "field type conflict", "Độ pH", "7,83", "‰", "°C", "Nút node-01"]) {
    must(all.includes(text), `no ${text} in ${all}`);
  }
  must((await notice("letters").count()) === 0, "the banner leads to where it stands");
  await both("letters");
});

await look("refused-again", async () => {
  const said = await press(kinds.first().getByTestId("send-one").first());
  must(said === "Vẫn bị từ chối: 1", said);
  await listed(3, 6);
  await both("refused-again");
});

await wait("away");
await look("server-away", async () => {
  const said = await press(page.getByTestId("send-all"));
  must(said.includes("Chưa gửi được: 6") && said.includes("503"), said);
  await listed(3, 6);
  await both("away");
});

await wait("mended");
await look("send-one", async () => {
  const said = await press(kinds.first().getByTestId("send-one").last());
  must(said === "Máy chủ đã nhận: 1", said);
  await listed(3, 5);
  await both("sent");
});
await look("send-kind", async () => {
  const salinity = kinds.filter({ hasText: "points beyond retention policy" });
  const said = await press(salinity.getByTestId("send-kind"));
  must(said === "Máy chủ đã nhận: 2", said);
  await listed(2, 3);
  must((await salinity.count()) === 0, "the kind is still listed");
});
await look("send-all", async () => {
  const said = await press(page.getByTestId("send-all"));
  must(said === "Máy chủ đã nhận: 3", said);
  await page.getByText("Không có điểm dữ liệu nào bị từ chối.").waitFor();
  await both("empty");
  await page.goto(`${url}/#/`);
  await page.locator('[data-testid^="channel-"]').first().waitFor();
  must((await notice("letters").count()) === 0, "the banner is still there");
});

const again = await wait("behind");
await look("gateway-clock", async () => {
  await page.goto(again);
  await notice("clock").waitFor();
  await both("clock");
  await page.goto(`${again}/#/more`);
  await page.locator(".about").getByText("sai; giờ đo là ước tính").waitFor();
});

await close();
