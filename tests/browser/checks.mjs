// What every page must hold: accessible, valid, whole at its width, silent, asking nobody but us.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { HtmlValidate } from "html-validate";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

const validator = new HtmlValidate({
  extends: ["html-validate:recommended", "html-validate:a11y"],
  rules: {
    // A matter of taste, not of the standard: lines are as long as their sentences.
    "long-title": "off",
    "no-trailing-whitespace": "off",
    // Our only style and script are inline, named by their hashes in the policy.
    "require-sri": "off",
  },
});

/** Fails the test on any error a page logs, any violation of its policy, any request to another origin. */
export function watchOver(context, base) {
  const broken = [];
  context.on("console", (message) => {
    const isExpected = message.text().includes("status of 4") && /^http/.test(message.location().url);
    if (["error", "warning"].includes(message.type()) && !isExpected) broken.push(`console: ${message.text()}`);
  });
  context.on("weberror", (error) => broken.push(`script: ${error.error()}`));
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:" && url.origin !== base) broken.push(`request to ${url.origin}`);
  });
  return () => assert.deepEqual(broken, []);
}

/** Fails where the accessibility checker finds anything, or where the page is wider than the screen. */
export async function checkPage(page) {
  // Evaluated by the browser's own tools, which the policy of the page does not hold back.
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate(
    (tags) => globalThis.axe.run(document, { runOnly: tags }),
    AXE_TAGS,
  );
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map((node) => node.html).join("\n  ")}`);
  assert.deepEqual(told, [], `${page.url()}:\n${told.join("\n")}`);
  assert.ok(passes.length > 10, `only ${passes.length} rules looked at ${page.url()}`);
  const wide = await page.evaluate(() => {
    // The table of shares alone may scroll in its frame; all others change their form.
    const frames = [...document.querySelectorAll("table:not(.shares)")].map((table) => table.parentElement);
    const parts = [document.documentElement, ...frames];
    return parts.filter((part) => part.scrollWidth > part.clientWidth).map((part) => part.outerHTML.slice(0, 200));
  });
  assert.deepEqual(wide, [], `${page.url()} is wider than its place: ${wide}`);
}

/** Fails where the markup of that page is not valid. */
export async function checkMarkup(url) {
  const answer = await fetch(url);
  const html = await answer.text();
  const report = await validator.validateString(html, url);
  const told = report.results.flatMap(({ messages }) => messages);
  const lines = told.map(({ ruleId, message, line, column }) => `${line}:${column} ${ruleId}: ${message}`);
  assert.deepEqual(lines, [], `${url}:\n${lines.join("\n")}`);
}
