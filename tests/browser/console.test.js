// The console page of the local stack: where things are, both books, and lines that work as printed.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import http from "node:http";
import { after, afterEach, before, test } from "node:test";
import { Browser, Stack, lowContrast, number } from "./support.js";

let browser;
let stack;
before(async () => {
  [browser, stack] = await Promise.all([Browser.start(), Stack.start()]);
});
after(() => Promise.all([browser.stop(), stack.stop()]));
afterEach(() => browser.done());

const row = (page, name) => page.locator("#orders tr").filter({ hasText: name });
const states = (page, name) => row(page, name).locator("td:nth-last-child(-n+2)").allInnerTexts();
const settled = (page, name, ...wanted) =>
  page.waitForFunction(
    ([name, wanted]) => {
      const rows = [...document.querySelectorAll("#orders tr")];
      const cells = [...(rows.find((row) => row.querySelector("code").textContent === name)?.cells ?? [])];
      return JSON.stringify(cells.slice(-2).map((cell) => cell.innerText)) === JSON.stringify(wanted);
    },
    [name, wanted],
  );

test("it says where things are and leads to the phone", async () => {
  const page = await browser.page(stack.console_url);
  for (const where of [stack.api_url, stack.control_url, stack.simulator_url, stack.aws_url, `${stack.folder}/local.json`]) {
    await page.locator("#places").getByText(where, { exact: true }).waitFor();
  }
  assert.ok(!(await page.content()).includes(stack.merchant_api_key), "the key stays in its file");
  await page.getByRole("link", { name: "Open the phone" }).click();
  await page.getByText("The payer’s phone").waitFor();
  await page.getByText("live", { exact: true }).waitFor();
});

test("orders and refunds are shown as both sides have them, without a reload", async () => {
  const page = await browser.page(stack.console_url);
  const name = number("both");
  await stack.order(name, 12345, "<b>Tea</b>");
  await settled(page, name, "NOTPAY", "NOTPAY");
  const text = await row(page, name).innerText();
  for (const part of ["<b>Tea</b>", "¥123.45"]) assert.ok(text.includes(part), text);
  // The notice is lost: WeChat Pay knows more than the table.
  await fetch(`${stack.control_url}/_sim/faults`, { method: "POST", body: JSON.stringify({ name: "notice_lost", out_trade_no: name }) });
  await fetch(`${stack.control_url}/_sim/orders/${name}/pay`, { method: "POST" });
  await settled(page, name, "NOTPAY", "SUCCESS");
  await stack.paid(name);
  await settled(page, name, "SUCCESS", "SUCCESS");
  await fetch(`${stack.control_url}/_sim/faults`, { method: "DELETE" });
  await stack.refund(name, `${name}-back`, 345);
  await settled(page, `${name}-back`, "SUCCESS", "SUCCESS");
  assert.deepEqual(await states(page, "<b>Tea</b>"), ["SUCCESS", "REFUND"]);
});

test("the lines work as they are printed, one after the other", async () => {
  const context = { permissions: ["clipboard-read", "clipboard-write"] };
  const page = await browser.page(stack.console_url, context);
  await page.getByRole("button", { name: /^Copy/ }).first().waitFor();
  const lines = [];
  for (const copy of await page.getByRole("button", { name: /^Copy/ }).all()) {
    await copy.click();
    lines.push(await page.evaluate(() => navigator.clipboard.readText()));
  }
  assert.deepEqual(lines, await page.locator("#steps pre").allInnerTexts());
  assert.equal(lines.length, 5);
  const [key, order, pay, ask, refund] = lines;
  const script = [key, order, pay, `until ${ask} | grep SUCCESS; do sleep 0.1; done`, refund].join("\n");
  const printed = execFileSync("bash", ["-euo", "pipefail", "-c", script], { encoding: "utf8", timeout: 20_000 });
  assert.match(printed, /"code_url":"weixin:/);
  assert.match(printed, /"trade_state":"SUCCESS"/);
  assert.match(printed, /"out_refund_no":"hello-0001-refund"/);
  // The next ones are about a number that is still free.
  await page.getByText('"out_trade_no":"hello-0002"').waitFor();
});

test("no other page reads it, under its own name or under one that points here", async () => {
  const page = await browser.elsewhere();
  const read = await page.evaluate((url) => fetch(url).then(() => "read", (error) => error.name), `${stack.console_url}/books`);
  assert.equal(read, "TypeError");
  browser.expect("CORS", "403", "frame", "net::ERR", "Cross-Origin"); // the browser says what it stopped
  const status = await new Promise((done, failed) => {
    http.get(`${stack.console_url}/books`, { headers: { Host: "evil.example" } }, (answer) => done(answer.resume().statusCode)).on("error", failed);
  });
  assert.equal(status, 403);
});

test("it is readable in a narrow window, in light and in dark", async () => {
  await stack.order(number("narrow"), 1, "A long description that has to wrap somewhere, 长长的说明".repeat(2));
  for (const colorScheme of ["light", "dark"]) {
    const page = await browser.page(stack.console_url, { colorScheme, viewport: { width: 360, height: 740 } });
    await page.getByText("A long description").waitFor();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wide <= 0, `${wide} px wider than the window`);
    assert.deepEqual(await lowContrast(page), [], colorScheme);
  }
});
