// The console of the local stack, used as a person uses it: a shop, a phone, and what really happens.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import http from "node:http";
import { after, afterEach, before, test } from "node:test";
import { Browser, Stack, lowContrast, number, tabTo, until } from "./support.js";

let browser;
let stack;
before(async () => {
  [browser, stack] = await Promise.all([Browser.start(), Stack.start()]);
});
after(() => Promise.all([browser.stop(), stack.stop()]));
afterEach(() => browser.done());

const open = async (options) => {
  const page = await browser.page(stack.console_url, options);
  await page.getByText("Coffee 咖啡").first().waitFor();
  await page.locator("#balance[data-state]").waitFor();
  return page;
};
const button = (page, name) => page.getByRole("button", { name, exact: true });
const tab = (page, name) => page.getByRole("tab", { name }).click();
const said = (page, text) => page.getByRole("status").filter({ hasText: text }).first().waitFor();
const entry = (page, kind, ...texts) => texts.reduce((rows, text) => rows.filter({ hasText: text }), page.locator(`#entries details.${kind}`)).first();
const unfold = async (row) => {
  await row.waitFor();
  if (!(await row.evaluate((details) => details.open))) await row.locator("> summary").click();
  // What is in it is made when it opens.
  await row.locator("> :not(summary)").first().waitFor();
};
const book = (page, name) => page.locator("#book-rows tr").filter({ has: page.getByTitle(name, { exact: true }) });
const control = (path, body, method = "POST") => fetch(`${stack.control_url}/_sim/${path}`, { method, body: body && JSON.stringify(body) });
const balance = (page, state, text) => page.locator(`#balance[data-state=${state}]`).filter({ hasText: text }).waitFor();

/** Puts an article into the basket and buys it; answers the order's number. */
async function buy(page, what, way) {
  await button(page, `One ${what} more`).click();
  await button(page, way).click();
  const sheet = page.locator(way === "Buy" ? "#screen .sheet .id" : "#till-number");
  await sheet.waitFor();
  return sheet.innerText();
}

/** Presses Pay on the phone; answers what the phone was handed. */
async function pay(page, name) {
  const asked = page.waitForRequest((request) => request.url().endsWith(`/orders/${name}/pay`));
  await button(page, `Pay ${name}`).click();
  return (await asked).postDataJSON();
}

test("what is bought in the mini-program is paid on the phone, and all that happens is shown", async () => {
  const page = await open();
  await button(page, "One Tea 茶 more").click();
  await button(page, "One Tea 茶 more").click();
  await page.locator("#total").getByText("¥6.00").waitFor();
  const name = await buy(page, "Coffee 咖啡", "Buy");
  await page.getByText("checks the signature of the five fields").waitFor();
  assert.ok((await pay(page, name)).pay.paySign, "what the phone was handed is checked");
  await page.getByText("Payment successful").waitFor();
  await button(page, `Timeline ${name}`).click();

  const placed = entry(page, "api", "POST", "/orders", "201");
  await unfold(placed);
  const told = await placed.innerText();
  for (const part of ['"trade_type": "jsapi"', '"sku": "tea"', '"quantity": 2', '"total": 601', '"paySign"']) assert.ok(told.includes(part), told);
  assert.match(told, /\nwx\w+↵\n\d{10}↵\n\w+↵\nprepay_id=\w+↵/, "what paySign is over");
  await placed.getByText(/\d+ headers/).first().click();
  assert.match(await placed.locator(".pairs").first().innerText(), /authorization\s+Bearer …/i, "a credential is masked");

  const notice = entry(page, "notice", "TRANSACTION.SUCCESS", "204");
  await unfold(notice);
  const opened = await notice.locator("pre").first().innerText();
  assert.equal(JSON.parse(opened).out_trade_no, name);
  assert.equal(JSON.parse(opened).trade_state, "SUCCESS");
  assert.match(await notice.locator("pre").nth(2).innerText(), /^\d{10}↵\n\w{32}↵\n\{"id":.*\}↵\n$/s);

  // The notice and the shop's own question race for the record; either may be the one that writes it.
  const change = entry(page, "table", "NOTPAY", "SUCCESS");
  await unfold(change);
  assert.match(await change.innerText(), /NotifyCallback|Query/);
  const row = change.locator("tr.other").filter({ hasText: "trade_state" });
  assert.deepEqual(await row.locator("td").allInnerTexts(), ["NOTPAY", "SUCCESS"]);
  await change.locator("tr.new").filter({ hasText: "transaction_id" }).waitFor();
  await entry(page, "event", "order.paid").waitFor();
  const asked = entry(page, "wechatpay", "POST", "/v3/pay/transactions/jsapi", "200");
  await unfold(asked);
  await asked.getByText("Text that WeChat Pay signed").waitFor();
  const [body, signed, answer, answered] = await asked.locator("pre").allInnerTexts();
  assert.equal(JSON.parse(body).out_trade_no, name);
  assert.match(signed, /^POST↵\n\/v3\/pay\/transactions\/jsapi↵\n\d{10}↵\n\w+↵\n\{.*\}↵\n$/s);
  assert.ok(JSON.parse(answer).prepay_id);
  assert.match(answered, /^\d{10}↵\n\w{32}↵\n\{"prepay_id".*\}↵\n$/s);
  // A timeline is one order's, oldest first, in the order in which things happened.
  const kinds = await page.locator("#entries details").evaluateAll((all) => all.map(({ classList }) => classList[1]));
  const first = (kind) => kinds.indexOf(kind);
  assert.ok(first("api") < first("table") && first("table") < first("wechatpay") && first("wechatpay") < first("notice"), String(kinds));
  assert.ok(first("notice") < first("event"), String(kinds));
  await balance(page, "good", "The books balance.");
  await tab(page, "Both books");
  assert.deepEqual(await book(page, name).locator("td").allInnerTexts(), ["¥6.01", "SUCCESS", "SUCCESS"]);
});

test("at a desk the code is on the screen, is scanned and paid", async () => {
  const page = await open();
  await page.getByLabel("At a desk").check();
  const name = await buy(page, "Cake 蛋糕", "Show code");
  const code = page.getByRole("img", { name: `QR code of order ${name}` });
  await code.waitFor();
  await until("the code is drawn", () => code.evaluate((image) => image.complete && image.naturalWidth > 20));
  await page.locator("#till").getByText("¥25.50").waitFor();
  await button(page, `Scan the code ${name}`).click();
  await page.getByText("the newest one of its order").waitFor();
  await button(page, `Cancel ${name}`).click();
  await said(page, "Cancelled");
  await button(page, `Scan the code ${name}`).click();
  assert.match((await pay(page, name)).code_url, /^weixin:/, "the code that was scanned is checked");
  await page.locator("#till.paid").getByText("Paid. Thank you!").waitFor();
  await code.waitFor({ state: "hidden" });
  await button(page, "Next customer").click();
  await page.locator("#till").waitFor({ state: "hidden" });
});

test("a payer asks for money back, and the merchant rejects and approves", async () => {
  const page = await open();
  const name = await buy(page, "Tea 茶", "Buy");
  await button(page, `Pay ${name}`).click();
  const ask = async (amount, reason) => {
    await button(page, `Ask for a refund ${name}`).click();
    await page.getByLabel("Amount in yuan").fill(amount);
    await page.getByLabel("Reason").fill(reason);
    await page.getByRole("dialog").getByRole("button", { name: "Ask for a refund" }).click();
  };
  await ask("3.01", "too much");
  await page.getByRole("dialog").getByText("at most ¥3.00").waitFor();
  await button(page, "Leave it").click();
  const waits = (reason) => page.locator("#refunds > li").filter({ hasText: reason });
  await ask("1", "it was cold");
  await waits("it was cold").getByText("¥1.00").waitFor();
  await waits("it was cold").getByRole("button", { name: /^Reject/ }).click();
  await waits("it was cold").waitFor({ state: "detached" });
  await ask("2.50", "凉了");
  await waits("凉了").getByRole("button", { name: /^Approve/ }).click();
  await waits("凉了").waitFor({ state: "detached" });
  await tab(page, "Both books");
  const refund = (amount) => page.locator("#book-rows tr.refund").filter({ hasText: amount });
  await refund("¥2.50").locator("td").nth(1).getByText("SUCCESS").waitFor();
  assert.deepEqual(await refund("¥2.50").locator("td").allInnerTexts(), ["¥2.50", "SUCCESS", "SUCCESS"]);
  assert.deepEqual(await refund("¥1.00").locator("td").allInnerTexts(), ["¥1.00", "REJECTED", "not known"]);
  // SUCCESS here and REFUND there is the same payment.
  assert.deepEqual(await book(page, name).locator("td").allInnerTexts(), ["¥3.00", "SUCCESS", "REFUND"]);
  await balance(page, "good", "The books balance.");
});

test("a difference is marked, and goes when somebody asks WeChat Pay", async () => {
  const page = await open();
  await page.getByLabel("At a desk").check();
  const name = await buy(page, "Cake 蛋糕", "Show code");
  await button(page, "Lose the next notification").click();
  await page.getByText("will never arrive").waitFor();
  await button(page, `Scan the code ${name}`).click();
  await button(page, `Pay ${name}`).click();
  await balance(page, "bad", "1 difference");
  await page.locator("#balance").getByText(/Kept ¥[\d,.]+ here, ¥[\d,.]+ at WeChat Pay/).waitFor();
  // The oldest attempt: others follow, and none of them arrives.
  const lost = page.locator("#entries details.notice").filter({ hasText: name }).filter({ hasText: "lost" }).last();
  await unfold(lost);
  await lost.getByText("This notification never arrived.").waitFor();
  await lost.getByText("Opened resource").waitFor();
  await tab(page, /Both books/);
  await page.locator("#book-rows tr.differs").getByText("paid at WeChat Pay, and nobody here knows").waitFor();
  assert.deepEqual(await book(page, name).locator("td").allInnerTexts(), ["¥25.50", "NOTPAY", "SUCCESS"]);
  await stack.paid(name);
  await balance(page, "good", "The books balance.");
  await book(page, name).locator("td").nth(1).getByText("SUCCESS").waitFor();
  assert.equal(await page.locator("#book-rows tr.differs").count(), 0);
});

test("orders of the API appear without a reload, are found, and only as text", async () => {
  const page = await open();
  const name = number("found");
  await stack.order(name, 12345, "<b>Tea</b>");
  await page.locator("#screen").getByText("<b>Tea</b>").waitFor();
  await button(page, `Open ${name}`).click();
  await page.getByText("and no signature").waitFor();
  await button(page, `Payment fails ${name}`).click();
  await said(page, "The payment failed");
  await page.getByPlaceholder("Find a number").fill(`  ${name.toUpperCase()} `);
  await entry(page, "api", "POST", "/orders").waitFor();
  for (const kind of ["API", "Table"]) await page.locator("#kinds").getByRole("button", { name: kind, exact: true }).click();
  await page.locator("#entries details.api").first().waitFor({ state: "detached" });
  assert.deepEqual(await page.locator("#entries details").evaluateAll((all) => all.map(({ classList }) => classList[1])), ["wechatpay"]);
  await page.getByPlaceholder("Find a number").fill("no such thing");
  await page.getByText("Nothing fits.").waitFor();
});

test("business time moves on for both sides", async () => {
  const page = await open();
  const name = number("expires");
  await stack.order(name, 100);
  await button(page, `Open ${name}`).waitFor();
  await button(page, "+2 h").click();
  await page.getByText(/^\d+ h( \d+ min)? ahead$/).waitFor();
  // It has expired: the phone has it no more, and the sweep closes it.
  await button(page, `Open ${name}`).waitFor({ state: "detached" });
  await tab(page, /Both books/);
  await book(page, name).locator("td").nth(1).getByText("CLOSED").waitFor();
});

test("one switch puts all of it into Chinese, and it stays so", async () => {
  const page = await open();
  const missing = await page.evaluate(async () => {
    const { WORDS } = await import("/console/words.js");
    const places = (text) => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort().join();
    const names = Object.keys({ ...WORDS.en, ...WORDS.zh });
    return names.filter((name) => !WORDS.en[name] || !WORDS.zh[name] || places(WORDS.en[name]) !== places(WORDS.zh[name]));
  });
  assert.deepEqual(missing, []);
  await button(page, "中文").click();
  await page.getByText("账目相符。").waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), "zh-CN");
  await page.reload();
  await page.getByRole("button", { name: "增加一份Tea 茶" }).click();
  await button(page, "购买").click();
  const name = await page.locator("#screen .sheet .id").innerText();
  await button(page, `支付 ${name}`).click();
  await page.getByText("支付成功").waitFor();
  await button(page, `时间线 ${name}`).click();
  await unfold(entry(page, "table", "NOTPAY", "SUCCESS"));
  for (const name of ["命令行", /双方账目/]) await tab(page, name);
  // What stays in Latin letters: numbers, states, paths, and names that have no other.
  const english = await page.evaluate(() => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (texts.nextNode()) {
      const element = texts.currentNode.parentElement;
      if (element.closest("code, pre, script, noscript, .chip, .method, .end, .text, #language")) continue;
      if (/[a-z]{2,} [a-z]{2,}/i.test(texts.currentNode.data)) found.push(texts.currentNode.data.trim());
    }
    return found;
  });
  assert.deepEqual(english, []);
  await button(page, "English").click();
  await page.getByText("The books balance.").waitFor();
});

test("the keyboard alone buys, pays and reads what happened", async () => {
  const page = await open();
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await tabTo(page, button(page, "One Tea 茶 more"));
  await press("Enter", "Enter");
  await tabTo(page, button(page, "Buy"));
  await press("Enter");
  // The phone takes over, as it does when a mini-program asks for a payment, and gives the place on.
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? "");
  const label = await until("the phone has the keyboard's place", async () => (/^Pay /.test(await focused()) ? focused() : null));
  const name = label.slice(4);
  await press("Enter");
  await until("it is paid", async () => (await focused()) === `Done ${name}`);
  await press("Space");
  await stack.paid(name);
  await page.evaluate(() => document.querySelector("#balance").scrollIntoView());
  await tabTo(page, page.getByRole("tab", { name: "What really happens" }));
  await press("ArrowRight");
  await page.locator("#books-panel").waitFor();
  await press("Home");
  await page.locator("#timeline-panel").waitFor();
  await tabTo(page, entry(page, "event", "order.paid", name).locator("summary"), 120);
  await press("Enter");
  await entry(page, "event", "order.paid", name).getByText('"detail-type": "order.paid"').waitFor();
});

test("it says where things are, and its lines work as they are printed", async () => {
  const context = { permissions: ["clipboard-read", "clipboard-write"] };
  const page = await open(context);
  await tab(page, "In a terminal");
  for (const where of [stack.api_url, stack.control_url, stack.simulator_url, stack.aws_url, `${stack.folder}/local.json`]) {
    await page.locator("#places").getByText(where, { exact: true }).waitFor();
  }
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
  await page.getByRole("link", { name: "Open the phone" }).click();
  await page.getByText("live", { exact: true }).waitFor();
});

test("no other page uses it, and the merchant's key never leaves the stack", async () => {
  const heard = [];
  const page = await browser.page("about:blank");
  page.on("response", async (response) => heard.push(await response.text().catch(() => "")));
  await page.goto(stack.console_url);
  await page.getByLabel("At a desk").check();
  await buy(page, "Coffee 咖啡", "Show code");
  await entry(page, "api", "/orders").waitFor();
  const all = heard.join("\n") + (await page.content());
  assert.ok(all.includes("desk-") && !all.includes(stack.merchant_api_key), "the key stays in its file");

  const away = await browser.elsewhere();
  const read = await away.evaluate((url) => fetch(url).then(() => "read", (error) => error.name), `${stack.console_url}/books`);
  assert.equal(read, "TypeError");
  browser.expect("CORS", "403", "frame", "net::ERR", "Cross-Origin"); // the browser says what it stopped
  const status = (method, path, headers) => new Promise((done, failed) => {
    http.request(`${stack.console_url}${path}`, { method, headers }, (answer) => done(answer.resume().statusCode)).on("error", failed).end();
  });
  assert.equal(await status("GET", "/books", { Host: "evil.example" }), 403);
  // Another page of this machine may use the API, with a key of its own, and not what adds the merchant's.
  const other = { Origin: "http://localhost:5173" };
  assert.equal(await status("GET", "/../articles", other), 200);
  for (const path of ["/story?after=0", "/books", "/merchant/orders?date=2026-01-01", "/wechatpay/clock"]) {
    assert.equal(await status("GET", path, other), 403, path);
  }
  assert.equal(await status("POST", "/merchant/orders/desk-0/close", other), 403);
  assert.equal(await status("POST", "/nothing", {}), 404);
});

test("it is readable in a narrow window, in light and in dark", async () => {
  const name = number("narrow");
  await stack.order(name, 1_234_567_89, "A long description that has to wrap somewhere, 长长的说明".repeat(2));
  await control(`orders/${name}/pay`);
  await stack.paid(name);
  await stack.refund(name, "r".repeat(60) + name.slice(-4), 100);
  for (const [colorScheme, width] of [["light", 390], ["dark", 340], ["light", 820], ["dark", 1280]]) {
    const page = await open({ colorScheme, viewport: { width, height: 844 } });
    const check = async (where) => {
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(wide <= 0, `${where} at ${width}: ${wide} px wider than the window`);
      assert.deepEqual(await lowContrast(page), [], `${where} at ${width}, ${colorScheme}`);
      const broken = await page.evaluate(() => {
        const seen = [...document.querySelectorAll(".number, .money, .id, .chip, time")].filter((element) => element.checkVisibility() && element.textContent);
        return seen.filter((element) => element.getClientRects().length > 1 || element.scrollHeight > 1.9 * parseFloat(getComputedStyle(element).lineHeight || "24")).map(({ textContent }) => textContent);
      });
      assert.deepEqual(broken, [], `${where} at ${width}: broken in the middle`);
    };
    await page.locator("#orders").getByText("A long description").waitFor();
    await button(page, `Timeline ${name}`).click();
    await unfold(entry(page, "table", "NOTPAY", "SUCCESS"));
    await unfold(entry(page, "api", "POST", "201"));
    await check("the timeline");
    await tab(page, /Both books/);
    await check("the books");
    await tab(page, "In a terminal");
    await check("the terminal");
  }
});
