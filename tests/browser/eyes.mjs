// Eyes for the scripts that look at the phone page: a phone's browser, findings, and the check for one language at a time.
//
// Prints `ok NAME DETAIL` or `fail NAME DETAIL` a finding, and `wait NAME` when the test has to do its part; a script goes on
// when it is sent a line. Screenshots go to SEN_SCREENSHOTS.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const shots = process.env.SEN_SCREENSHOTS;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

export const shot = (name) => join(shots, `${name}.png`);

export const say = (good, name, detail = "") => console.log(`${good ? "ok" : "fail"} ${name} ${detail}`.trim());

/** Has the test do its part. Returns the line that it answers with. */
export async function wait(name) {
  console.log(`wait ${name}`);
  return (await lines.next()).value;
}

export function must(good, message) {
  if (!good) throw new Error(message);
}

/** The texts of a language that stand for themselves; a language's own name is shown in every language. */
function words(dictionaries, language) {
  const source = readFileSync(join(dictionaries, `${language}.ts`), "utf8");
  const found = [...source.matchAll(/^\s*"(?!language\.name)[\w.]+":\s*"((?:[^"\\]|\\.)*)"/gm)].map((m) => JSON.parse(`"${m[1]}"`));
  return new Set(found.filter((text) => !text.includes("{") && text.length > 3));
}

/** A phone with the page's dictionaries, `width` by `height` CSS pixels. */
export async function open(dictionaries, width, height) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
  const context = await browser.newContext({
    viewport: { width, height },
    deviceScaleFactor: 2,
    isMobile: true,
    hasTouch: true,
    locale: "vi-VN",
    timezoneId: "Asia/Ho_Chi_Minh",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));

  /** Runs one look; what it throws is a bad finding, not the end. */
  async function look(name, what) {
    try {
      say(true, name, (await what()) ?? "");
    } catch (error) {
      say(false, name, String(error.message ?? error).split("\n")[0]);
      await page.screenshot({ path: shot(`failed-${name}`) }).catch(() => {});
    }
  }

  /** Every piece of text on screen, and the labels that a screen reader speaks; not the language button. */
  const texts = () =>
    page.evaluate(() => {
      const found = [];
      const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walk.nextNode()) {
        if (walk.currentNode.parentElement.closest("[data-testid=lang], script, style")) continue;
        const text = walk.currentNode.textContent.trim();
        if (text) found.push(text);
      }
      for (const element of document.querySelectorAll("[aria-label]:not([data-testid=lang])")) {
        found.push(element.getAttribute("aria-label"));
      }
      return found;
    });

  const vi = words(dictionaries, "vi");
  const en = words(dictionaries, "en");
  const onlyVi = new Set([...vi].filter((w) => !en.has(w)));
  const onlyEn = new Set([...en].filter((w) => !vi.has(w)));

  async function oneLanguage() {
    const code = await page.evaluate(() => document.documentElement.lang);
    const [own, other] = code === "vi" ? [onlyVi, onlyEn] : [onlyEn, onlyVi];
    const seen = await texts();
    must(seen.some((t) => own.has(t)), `lang=${code} and not one of its words`);
    const strays = seen.filter((t) => other.has(t));
    must(strays.length === 0, `lang=${code} and ${strays.slice(0, 3).join(" | ")}`);
    return code;
  }

  /** Ends the script; errors of the page are a finding. */
  async function close() {
    await look("errors", async () => {
      must(complaints.length === 0, complaints.slice(0, 2).join(" | "));
    });
    await browser.close();
    process.exit(0);
  }

  return { page, look, oneLanguage, close };
}
