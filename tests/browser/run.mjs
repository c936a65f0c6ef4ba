// The pages in a real browser: node run.mjs BINARY FOLDER; screenshots go to the folder.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { chromium } from "playwright-core";
import { checkMarkup, checkPage, watchOver } from "./checks.mjs";
import { eventually, startDaemon, startDemo } from "./demo.mjs";

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const DESK = { viewport: { width: 1280, height: 900 } };
const LOOKS = {
  desk: DESK,
  dark: { ...DESK, colorScheme: "dark" },
  phone: { viewport: { width: 320, height: 640 } },
  "phone-dark": { viewport: { width: 320, height: 640 }, colorScheme: "dark" },
};

const [binary, folder] = process.argv.slice(2);
assert.ok(binary && folder, "usage: node run.mjs BINARY FOLDER");
await mkdir(folder, { recursive: true });

const demo = await startDemo(binary);
const { base } = demo;
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });

/** Runs one story in a fresh context. */
async function story(name, options, tell) {
  const origin = options.baseURL ?? base;
  const context = await browser.newContext({ ...options, baseURL: origin });
  const isClean = watchOver(context, origin);
  try {
    await tell(await context.newPage());
    isClean();
  } finally {
    await context.close();
  }
  console.log(`ok  ${name}`);
}

const rows = (page) => page.locator("table.pairs tbody tr");
const failedStep = (page) => page.locator("ol.chain > li.broken");

/** Loads the page anew until it holds what the demo is still to bring. */
async function afterReloads(page, what, holds) {
  await eventually(what, async () => await holds() || (await page.reload(), await holds()));
}

async function expectFailedChain(page) {
  await page.waitForURL(/\/watches\/demo\/.+\/.+/);
  assert.match(await page.locator("h1").innerText(), /^Push to user_\d+$/);
  const step = failedStep(page).first();
  assert.match(await step.locator(".outcome").innerText(), /failure/);
  assert.match(await step.innerText(), /code -?\d+[\s\S]*Who must act: \w+/);
}

async function threeClicks(page) {
  await page.goto("/");
  await page.locator("#latest tbody a").first().click();
  await expectFailedChain(page);
  // The long way: by the platform that fails, its app's failed pairs, one of them.
  await page.goto("/");
  assert.match(await page.locator("#stages").innerText(), /Most failures: \w+ at \w+, \d+ of \d+/);
  await page.locator("#stages table.stack tbody a").first().click();
  await page.waitForURL(/failed=true/);
  await rows(page).first().locator("a").click();
  await expectFailedChain(page);
}

async function search(page) {
  await page.goto("/");
  await page.getByRole("link", { name: "Watches", exact: true }).click();
  await page.getByLabel("Task or user holds").fill("user_000003");
  await page.getByRole("button", { name: "Show" }).click();
  await page.waitForURL(/search=user_000003/);
  const users = await rows(page).locator("th a").allInnerTexts();
  assert.ok(users.length > 0 && users.every((user) => user === "user_000003"), users.join());
  assert.equal(await page.getByLabel("Task or user holds").inputValue(), "user_000003");
  // A pair that was never asked for has no chain yet.
  const answered = rows(page).filter({ hasNot: page.locator("td[data-label='Last polled']", { hasText: "never" }) });
  await afterReloads(page, "a pair of the user was polled", async () => await answered.count() > 0);
  await answered.first().locator("a").click();
  await page.waitForURL(/\/watches\/demo\/.+\/user_000003$/);
  assert.equal(await page.locator("h1").innerText(), "Push to user_000003");
  assert.ok(await page.locator("ol.chain > li").count() >= 3, "a chain has its stages");
}

async function filter(page) {
  for (const state of ["settled", "active"]) {
    await page.goto("/watches");
    await page.getByLabel("State").selectOption(state);
    await page.getByRole("button", { name: "Show" }).click();
    await page.waitForURL(new RegExp(`state=${state}`));
    await afterReloads(page, `a pair is ${state}`, async () => await rows(page).count() > 0);
    const states = await rows(page).locator("td[data-label=State]").allInnerTexts();
    assert.ok(states.length > 0 && states.every((text) => text.endsWith(state)), states.join());
  }
  await page.goto("/watches?failed=true");
  const failed = await rows(page).locator("td[data-label='Failed devices']").allInnerTexts();
  assert.ok(failed.length > 0 && failed.every((text) => /[1-9]/.test(text)), failed.join());
}

/** Clicks a link and waits until its page is there. */
async function follow(page, link) {
  const address = await link.evaluate((a) => a.href);
  await link.click();
  await page.waitForURL(address);
}

async function turnPages(page) {
  await page.goto("/watches");
  const total = Number((await page.locator(".position strong").innerText()).replace(/[^\d]/g, ""));
  assert.equal(total, 1200);
  const seen = new Set();
  for (let turned = 0; turned < 100; turned += 1) {
    for (const href of await rows(page).locator("a").evaluateAll((all) => all.map((a) => a.href))) seen.add(href);
    const next = page.getByRole("link", { name: "Next page" });
    if (await next.count() === 0) break;
    await follow(page, next);
  }
  assert.equal(seen.size, total, "every pair stands on one page");
  await follow(page, page.getByRole("link", { name: "First page" }));
  assert.equal(await rows(page).count(), 50);
}

/** The refresh keeps what the reader holds, and can be stopped. */
async function refresh(page) {
  await page.goto("/");
  const made = () => page.locator(".made time").first().innerText();
  await page.locator("details summary").click();
  const link = page.locator("#apps .links a").last();
  await link.focus();
  await page.evaluate(() => scrollTo(0, 400));
  const [before, y] = [await made(), await page.evaluate(() => scrollY)];
  await eventually("the page is refreshed", async () => (await made()) !== before);
  assert.equal(await page.evaluate(() => scrollY), y, "it stays where it was scrolled to");
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("href")), await link.getAttribute("href"));
  assert.ok(await page.locator("details").evaluate((details) => details.open), "open details stay open");
  const button = page.locator("#refresh button");
  await button.click();
  assert.equal(await button.getAttribute("aria-pressed"), "false");
  await page.reload();
  assert.equal(await page.locator("#refresh button").getAttribute("aria-pressed"), "false", "it is remembered");
}

async function keyboard(page) {
  await page.goto("/");
  await page.keyboard.press("Tab");
  const skip = page.getByRole("link", { name: "Skip to the content" });
  assert.ok(await skip.evaluate((link) => link === document.activeElement && link.offsetWidth > 50), "it shows");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
}

async function withoutScript(page) {
  await page.goto("/");
  assert.equal(await page.locator("#refresh button").count(), 0);
  await threeClicks(page);
  await search(page);
}

/** Ids that look like markup, steps in a path, hashes, or turn the direction of what follows: those marks are trimmed. */
const HOSTILE = [
  "<script>alert(1)</script>", "../..", "..", "50% of #1?&b=c", "\u202eevil\u202c", "\u0645\u0631\u062d\u0628\u0627",
  "\u{1f469}\u200d\u{1f467} family", "~0123456789abcdef0123", "a".repeat(256),
];

async function hostileIds(page) {
  await page.goto("/watches");
  await checkPage(page);
  const links = await rows(page).locator("a").evaluateAll((all) => all.map((a) => a.href));
  assert.equal(links.length, HOSTILE.length);
  for (const [at, link] of links.entries()) {
    const answer = await page.goto(link);
    assert.equal(answer.status(), 200, link);
    const shown = HOSTILE[at].replaceAll(/[\u202e\u202c]/g, "");
    assert.equal(await page.locator("h1 bdi").textContent(), shown);
    await checkPage(page);
    await checkMarkup(link);
  }
}

/** What is not as it should be stands at the top of the status page, with what to do about it. */
async function findings(page, name) {
  await page.goto("/");
  const found = page.locator("#verdict .findings li");
  const about = (source) => found.filter({ hasText: `The watch source ${source} has given no usable list yet` });
  for (const source of ["files[0]", "http[0]"]) {
    await afterReloads(page, `${source} is told`, async () => await about(source).count() === 1);
    assert.match(await about(source).locator(".remedy").innerText(), /Correct the source/);
  }
  assert.equal(await page.locator("#apps details").evaluate((details) => details.open), true);
  assert.equal(await page.locator("#apps strong.state.broken").count(), 2);
  await checkPage(page);
  await page.screenshot({ path: `${folder}/findings-${name}.png`, fullPage: true });
}

/** Every kind of page there is. */
async function paths() {
  const { data } = await (await fetch(`${base}/api/v1/watches?failed=true&limit=1`)).json();
  const { app, task, user } = data.watches[0];
  return {
    status: "/",
    watches: "/watches",
    pair: `/watches/${app}/${task}/${user}`,
    failed: "/watches?failed=true",
    nothing: "/watches?search=nobody",
    fault: "/watches?state=dead",
    lost: "/watches/demo/t/nobody",
  };
}

async function lookAt(page, name, all) {
  for (const [what, path] of Object.entries(all)) {
    await page.goto(path);
    await checkPage(page);
    await page.screenshot({ path: `${folder}/${what}-${name}.png`, fullPage: what !== "watches" });
  }
}

try {
  await story("a failing push is found from the front page within three clicks", DESK, threeClicks);
  await story("a user is searched and the timeline read", DESK, search);
  await story("pairs are filtered by state and by failure", DESK, filter);
  await story("all pairs are on the pages, each once", DESK, turnPages);
  await story("the refresh keeps scroll, focus and open details, and can be stopped", DESK, refresh);
  await story("the keyboard skips to the content", DESK, keyboard);
  await story("all of it works without script", { ...DESK, javaScriptEnabled: false }, withoutScript);
  const all = await paths();
  for (const [name, options] of Object.entries(LOOKS)) {
    await story(`every page is accessible and fits: ${name}`, options, (page) => lookAt(page, name, all));
  }
  const daemon = await startDaemon(binary, "t/1 100%?#&<b>", HOSTILE);
  try {
    const options = { ...LOOKS.phone, baseURL: daemon.base };
    await story("ids of any kind break no page and no link", options, hostileIds);
    for (const [name, look] of Object.entries(LOOKS)) {
      const here = { ...look, baseURL: daemon.base };
      await story(`what is wrong is told, accessible and fits: ${name}`, here, (page) => findings(page, name));
    }
    await checkMarkup(`${daemon.base}/`);
  } finally {
    await daemon.stop();
  }
  for (const path of Object.values(all)) await checkMarkup(base + path);
  console.log("ok  the markup of every page is valid");
} finally {
  await browser.close();
  await demo.stop();
}
