// Drives a rendered report, or a history's page, in Chromium and fails on any broken promise.
//
//   npm install --no-package-lock && node check.mjs report.html [folder for screenshots]
//
// CHROMIUM names the browser (default /usr/bin/chromium).

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [file, shots] = process.argv.slice(2);
if (!file || !existsSync(file)) {
  console.error("usage: node check.mjs report.html [folder for screenshots]");
  process.exit(2);
}
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
if (!existsSync(executablePath)) {
  console.error(`SKIPPED: no Chromium at ${executablePath}; nothing was tested. Install it or set CHROMIUM.`);
  process.exit(0);
}
const { chromium } = await import("playwright-core");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const url = pathToFileURL(resolve(file)).href;
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

// A history has no leaderboard of one run: what only reports have is not asked of it.
const isReport = readFileSync(file, "utf8").includes('<table class="board"');

let done = 0;
async function check(name, options, body) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const said = [];
  const asked = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("request", (request) => {
    if (request.url() !== url && !request.url().startsWith("data:")) asked.push(request.url());
  });
  try {
    await page.goto(url);
    await body(page);
    assert.deepEqual(said, [], "the console is silent");
    assert.deepEqual(asked, [], "no request leaves the page");
    done += 1;
    console.log(`ok ${done} - ${name}`);
  } catch (error) {
    console.error(`not ok - ${name}\n${error.stack}`);
    process.exitCode = 1;
  } finally {
    await context.close().catch(() => {});
  }
}

async function shot(page, name, fullPage = true) {
  if (!shots) return;
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage });
}

const names = (page) => page.$$eval(".board tbody tr:not([hidden]) th a", (links) => links.map((a) => a.textContent));

// axe-core runs in a world of its own, which the page's policy does not govern.
async function violations(page) {
  const client = await page.context().newCDPSession(page);
  const { frameTree } = await client.send("Page.getFrameTree");
  const { executionContextId: contextId } = await client.send("Page.createIsolatedWorld", {
    frameId: frameTree.frame.id, worldName: "axe",
  });
  const evaluate = async (expression, awaitPromise = false) => {
    const { result, exceptionDetails } = await client.send("Runtime.evaluate", {
      expression, contextId, awaitPromise, returnByValue: true,
    });
    assert.equal(exceptionDetails, undefined, exceptionDetails?.exception?.description);
    return result.value;
  };
  await evaluate(axe);
  return JSON.parse(await evaluate(
    `axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })
      .then((r) => JSON.stringify(r.violations.map((v) =>
        [v.id, v.nodes.length, v.nodes[0].html.slice(0, 160), v.nodes[0].failureSummary])))`,
    true,
  ));
}

await check("the policy lets nothing in, and foreign text ran nothing", {}, async (page) => {
  const policy = await page.getAttribute('meta[http-equiv="Content-Security-Policy"]', "content");
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*|https?:/);
  assert.equal(await page.locator("script").count(), 1);
  assert.equal(await page.locator("[onclick], [onload], [onerror], iframe, object, embed").count(), 0);
  assert.equal(await page.evaluate(() => "pwned" in window), false);
});

if (isReport) {
await check("columns sort both ways, undefined last, by keyboard", {}, async (page) => {
  const before = await names(page);
  const speedup = page.locator(".board thead th", { hasText: "Speedup" });
  await speedup.locator("button").focus();
  await page.keyboard.press("Enter");
  assert.equal(await speedup.getAttribute("aria-sort"), "descending");
  const keys = () => page.$$eval(".board tbody tr", (rows) => rows.map((row) => row.cells[3].dataset.key));
  const defined = (list) => list.filter((k) => k !== "").map(Number);
  const down = await keys();
  assert.deepEqual(defined(down), defined(down).toSorted((a, b) => b - a));
  assert.deepEqual(down.slice(defined(down).length).filter((k) => k !== ""), []);
  await page.keyboard.press("Space");
  assert.equal(await speedup.getAttribute("aria-sort"), "ascending");
  const up = await keys();
  assert.deepEqual(defined(up), defined(up).toSorted((a, b) => a - b));
  assert.deepEqual(up.slice(defined(up).length).filter((k) => k !== ""), []);
  await page.locator(".board thead th").first().locator("button").click();
  assert.deepEqual(await names(page), before);
});

await check("the filter narrows rows and sections", {}, async (page) => {
  const before = await names(page);
  await page.fill("#filter-text", before[0]);
  const after = await names(page);
  assert.ok(after.includes(before[0]) && after.every((name) => name.toLowerCase().includes(before[0].toLowerCase())));
  assert.equal(await page.locator("details.drill:not([hidden])").count(), after.length);
  await page.fill("#filter-text", "no such candidate");
  assert.match(await page.textContent("#filter-shown"), /^0 of /);
  await page.fill("#filter-text", "");
  await page.selectOption("#filter-standing", "control");
  for (const row of await page.$$(".board tbody tr:not([hidden])")) {
    assert.equal(await row.getAttribute("data-standing"), "control");
  }
});

await check("a link opens the candidate; the slider moves by keyboard", {}, async (page) => {
  const index = await page.$$eval("details.drill", (all) => all.findIndex((d) => d.querySelectorAll(".pair img").length));
  assert.ok(index >= 0, "some candidate has pictures");
  await page.locator(".board tbody th a").nth(index).click();
  const section = page.locator("details.drill").nth(index);
  assert.equal(await section.evaluate((d) => d.open), true);
  const pair = section.locator(".pair").first();
  assert.equal(await pair.locator(".diff img").count(), 2);
  const slider = pair.locator("input[type=range]");
  await slider.focus();
  await page.keyboard.press("End");
  assert.equal(await pair.locator(".slide .stack").evaluate((s) => s.style.getPropertyValue("--cut")), "100%");
  for (const image of await pair.locator("img").all()) {
    await image.scrollIntoViewIfNeeded();
    assert.ok(await image.evaluate((i) => i.decode().then(() => i.naturalWidth > 0)), "pictures decode");
  }
});

await check("the skip link comes first", {}, async (page) => {
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => location.hash), "#content");
});

}

for (const colorScheme of ["light", "dark"]) {
  await check(`${colorScheme}: axe-core finds nothing, closed and open`, { colorScheme }, async (page) => {
    await shot(page, colorScheme);
    assert.deepEqual(await violations(page), []);
    const many = (await page.locator("details.drill").count()) > 12;
    if (isReport && !many) {
      await page.click("#open-all");
      assert.deepEqual(await violations(page), []);
      await shot(page, `${colorScheme}-open`);
    }
    const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const before = await paper();
    await page.click("#theme");
    assert.notEqual(await paper(), before);
  });
}

for (const [name, width, height] of [["phone", 390, 844], ["4k", 3840, 2160]]) {
  await check(`${name}: no sideways scrolling, axe-core finds nothing`, { viewport: { width, height } }, async (page) => {
    // A day on which nothing was measured has nothing to open.
    const drill = page.locator("details.drill > summary").first();
    if (await drill.count()) await drill.click();
    const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(inner <= outer, `${inner} > ${outer}`);
    await shot(page, name);
    assert.deepEqual(await violations(page), []);
  });
}

if (!isReport) {
  await check("the days fit without scrolling sideways", { viewport: { width: 1300, height: 900 } }, async (page) => {
    const tables = page.locator('.scroll[aria-label="Runs by day"]');
    const over = await tables.evaluateAll((all) => all.map((table) => table.scrollWidth - table.clientWidth));
    assert.ok(over.every((pixels) => pixels <= 0), `pixels too wide: ${over}`);
  });
}

await check("without script everything stands on the page", { javaScriptEnabled: false }, async (page) => {
  assert.ok((await page.locator("table tbody tr").count()) > 0);
  assert.equal(await page.locator("form.tools:visible").count(), 0);
});

await check("print", {}, async (page) => {
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.locator("nav").isVisible(), false);
  if (shots) {
    mkdirSync(shots, { recursive: true });
    await page.pdf({ path: join(shots, "print.pdf"), format: "A4" });
  }
});

await browser.close();
