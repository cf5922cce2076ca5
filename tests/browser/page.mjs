// Looks at the phone page as a farmer would: `node page.mjs URL DICTIONARIES`.
//
// URL is a gateway that runs `sen demo`, DICTIONARIES the folder with the page's vi.ts and en.ts.
// Waits for the test at `open` (and is told when the gateway was started, in ms), `killed` and `restarted`.
import { must, open, shot, wait } from "./eyes.mjs";

const [url, dictionaries] = process.argv.slice(2);
const { page, look, oneLanguage, close } = await open(dictionaries, 390, 844);

// The browser is ready before the gateway is started: its own start is not what is measured.
const started = Number(await wait("open"));

const row = page.locator('[data-testid^="channel-"]');
const shown = () => row.locator('[data-testid="value"] data').allInnerTexts();

await look("first-value", async () => {
  // As somebody does who has just started it: tries until it answers.
  for (;;) {
    if (await page.goto(url, { waitUntil: "commit" }).then(() => true, () => false)) break;
    await new Promise((r) => setTimeout(r, 50));
  }
  await page.waitForSelector('body[data-ready="1"]');
  return `${Date.now() - started} ms`;
});

await look("rows", async () => {
  await page.goto(`${url}/#/plots`);
  await row.first().waitFor();
  const count = await row.count();
  must(count >= 12, `${count} channels for twelve nodes`);
  for (const name of ["value", "age"]) {
    const of = await row.locator(`[data-testid="${name}"]`).count();
    must(of === count, `${of} of ${count} channels have ${name}`);
  }
  return `${count} channels`;
});

await look("live", async () => {
  const before = await shown();
  await page.waitForFunction(
    (old) => [...document.querySelectorAll('[data-testid^="channel-"] data')].some((e, i) => e.innerText !== old[i]),
    before,
    { timeout: 60_000 },
  );
  const state = await page.getByTestId("conn").getAttribute("data-state");
  must(state === "live", `conn says ${state}`);
});
await page.screenshot({ path: shot("plots-390"), fullPage: true });

for (const path of ["#/", "#/plots", "#/more"]) {
  await look(`language${path.replace("#/", "-") || "-today"}`, async () => {
    await page.goto(`${url}/${path}`);
    await page.waitForTimeout(200);
    const first = await oneLanguage();
    await page.getByTestId("lang").click();
    await page.waitForFunction((old) => document.documentElement.lang !== old, first);
    const second = await oneLanguage();
    await page.screenshot({ path: shot(`page${path.replace("#/", "-")}-${second}`), fullPage: true });
    await page.getByTestId("lang").click();
    return `${first}, ${second}`;
  });
}

await look("completeness", async () => {
  await page.goto(`${url}/#/more`);
  const complete = page.locator('[data-testid^="complete-"]').first();
  await complete.waitFor();
  await complete.locator("summary").click();
  const days = await complete.locator("dd").count();
  must(days === 14, `${days} days`);
  must((await complete.locator(".bar").count()) === days, "not a bar a day");
  await oneLanguage();
  await complete.screenshot({ path: shot("completeness") });
  return (await complete.locator("p").first().innerText()).trim();
});

await look("chart", async () => {
  await page.goto(`${url}/#/plots`);
  await row.locator('[data-testid="value"] data').first().click();
  const drawn = [];
  for (const range of ["day", "week", "month"]) {
    await page.getByTestId(`range-${range}`).click();
    await page.locator(`[data-span="${range}"][aria-busy="false"] canvas, [data-span="${range}"]:not([aria-busy="true"]) canvas`).first().waitFor();
    // Something other than the empty canvas: pixels that are not transparent.
    const painted = await page.waitForFunction(() => {
      const canvas = document.querySelector('[data-testid="chart"] canvas');
      if (!canvas || canvas.width < 200) return false;
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let i = 3; i < data.length; i += 4) if (data[i] !== 0) count += 1;
      return count > 500 ? count : false;
    });
    drawn.push(`${range} ${await painted.jsonValue()}`);
    await oneLanguage();
    await page.screenshot({ path: shot(`chart-${range}`) });
  }
  return drawn.join(", ");
});

await look("width-320", async () => {
  await page.setViewportSize({ width: 320, height: 640 });
  const wide = [];
  const chart = await page.evaluate(() => location.hash);
  for (const path of ["#/", "#/plots", "#/more", chart]) {
    for (const language of [0, 1]) {
      await page.goto(`${url}/${path}`);
      await page.waitForTimeout(300);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      if (width > 320) wide.push(`${path} ${width}`);
      await page.screenshot({ path: shot(`w320-${path.replace(/\W+/g, "-")}-${language}`) });
      await page.getByTestId("lang").click();
    }
  }
  await page.setViewportSize({ width: 390, height: 844 });
  must(wide.length === 0, `wider than the screen: ${wide.join(", ")}`);
});

await look("touch-targets", async () => {
  await page.goto(`${url}/#/`);
  await page.waitForTimeout(200);
  const small = await page.evaluate(() =>
    [...document.querySelectorAll("button, nav a")]
      .map((e) => [e.innerText.trim() || e.getAttribute("aria-label"), e.getBoundingClientRect()])
      .filter(([, box]) => box.width > 0 && box.height < 40)
      .map(([name, box]) => `${name} ${Math.round(box.height)} px`),
  );
  must(small.length === 0, small.join(", "));
});

await page.goto(`${url}/#/plots`);
await row.first().waitFor();
const before = await row.count();
await wait("killed");
await look("lost", async () => {
  await page.waitForSelector('[data-testid="conn"][data-state="lost"]');
  await page.getByTestId("banner").waitFor();
  must((await row.count()) === before, "what was on screen is gone");
  must((await shown()).length > 0, "no values any more");
  await oneLanguage();
  await page.screenshot({ path: shot("lost") });
});

await wait("restarted");
await look("regained", async () => {
  await page.waitForSelector('[data-testid="conn"][data-state="live"]', { timeout: 60_000 });
});

await close();
