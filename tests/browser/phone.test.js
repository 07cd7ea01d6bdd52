// The phone, the page of the simulator's control port, used as a person uses it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import crypto from "node:crypto";
import { after, afterEach, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { Browser, Simulator, Stack, folder, freePort, lowContrast, number, tabTo, until } from "./support.js";

let browser;
before(async () => {
  browser = await Browser.start();
});
after(() => browser.stop());

const card = (page, name) => page.getByRole("listitem").filter({ hasText: name }).filter({ has: page.getByRole("button") });
const button = (page, label, name) => page.getByRole("button", { name: `${label} ${name}`, exact: true });
const tab = (page, name) => page.getByRole("tab", { name: new RegExp(`^${name}`) }).click();
const row = (page, list, ...texts) => texts.reduce((rows, text) => rows.filter({ hasText: text }), page.locator(`#list-${list} > li`));
/** Opens a row that is closed. */
const unfold = async (of) => {
  if (!(await of.locator("details").first().evaluate((details) => details.open))) await of.locator("summary").first().click();
};
const said = (page, text) => page.getByRole("status").filter({ hasText: text }).first().waitFor();
const open = async (control_url, options, live = "live") => {
  const page = await browser.page(control_url, options);
  await page.getByText(live, { exact: true }).waitFor();
  return page;
};
const CLIPBOARD = { permissions: ["clipboard-read", "clipboard-write"] };
const copied = async (page) => {
  await page.getByRole("status").filter({ hasText: "Copied" }).waitFor();
  return page.evaluate(() => navigator.clipboard.readText());
};
const shell = async (line) => (await promisify(execFile)("bash", ["-c", line], { timeout: 20_000 })).stdout;
/** What a page in Chinese still says in English: words of its own, and sentences of the simulator. */
const english = (page) => page.evaluate(async () => {
  const { WORDS } = await import("/zh.js");
  const left = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { data, parentElement } = texts.currentNode;
    const text = data.trim();
    if (!parentElement.checkVisibility() || parentElement.closest("code, pre, #language")) continue;
    if ((WORDS[text] ?? text) !== text || /\b[a-z]+ [a-z]+\b/.test(text)) left.push(text);
  }
  return left;
});

suite("with the stack behind it", () => {
  let stack;
  before(async () => {
    stack = await Stack.start();
  });
  after(() => stack.stop());
  afterEach(() => browser.done());

  test("it says that it is not WeChat Pay and where the API is", async () => {
    const page = await open(stack.control_url);
    await page.getByText("This is not WeChat Pay.").waitFor();
    await page.getByText(stack.simulator_url, { exact: true }).waitFor();
    await page.getByText("No order is waiting.").waitFor();
  });

  test("an order appears without a reload, is paid by a press, and its notice is shown with the attempt", async () => {
    const page = await open(stack.control_url);
    const name = number("coffee");
    await stack.order(name, 123456, "咖啡, a large one");
    const waiting = card(page, name);
    await waiting.getByText("咖啡, a large one").waitFor();
    const text = await waiting.innerText();
    for (const part of ["¥1,234.56", "NATIVE", "payable until"]) assert.ok(text.includes(part), `${part} in ${text}`);
    await button(page, "Pay", name).click();
    await waiting.waitFor({ state: "detached" });
    await said(page, `Paid ${name}`);
    const notice = row(page, "notices", name, "TRANSACTION.SUCCESS", "delivered");
    await notice.waitFor();
    await unfold(notice);
    const attempts = notice.locator("tbody tr");
    assert.equal(await attempts.count(), 1);
    assert.match(await attempts.innerText(), /\d\d:\d\d:\d\d\s+204\s+\d+ ms\s+accepted/);
    await stack.paid(name);
    await tab(page, "Ledger");
    await row(page, "ledger", name, "SUCCESS").waitFor();
  });

  test("a payment that fails or is cancelled leaves the order waiting, without a notice", async () => {
    const page = await open(stack.control_url);
    const name = number("tea");
    await stack.order(name, 200);
    await button(page, "Fail", name).click();
    await card(page, name).getByText("1 failed attempt", { exact: true }).waitFor();
    await button(page, "Cancel", name).click();
    await card(page, name).getByText("2 failed attempts", { exact: true }).waitFor();
    assert.equal((await stack.api("GET", `/orders/${name}`)).trade_state, "NOTPAY");
    assert.equal(await row(page, "notices", name).count(), 0);
    await button(page, "Pay", name).click();
    await row(page, "notices", name, "delivered").waitFor();
  });

  test("a refusal outlives the card that it was about", async () => {
    const page = await open(stack.control_url);
    const name = number("raced");
    await stack.order(name, 100);
    await button(page, "Pay", name).waitFor();
    // Somebody else pays between the look and the press; the card goes before or after the refusal.
    await page.route("**/pay", async (route) => {
      await fetch(`${stack.control_url}/_sim/orders/${name}/pay`, { method: "POST" });
      await route.continue();
    });
    const answer = page.waitForResponse((response) => response.url().endsWith("/pay"));
    await button(page, "Pay", name).click();
    assert.equal((await answer).status(), 409);
    await said(page, "the order is paid already");
    await card(page, name).waitFor({ state: "detached" });
    browser.expect("409");
  });

  test("the keyboard alone pays, and keeps its place", async () => {
    const page = await open(stack.control_url);
    const [first, second] = [number("key"), number("key")];
    await stack.order(first, 300);
    await stack.order(second, 400);
    await button(page, "Pay", first).waitFor();
    await tabTo(page, button(page, "Pay", second));
    await page.keyboard.press("Enter");
    await card(page, second).waitFor({ state: "detached" });
    // The place is now the next order's button: paying goes on without looking for it.
    const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label"));
    assert.equal(await until("the focus moved on", focused), `Pay ${first}`);
    await page.keyboard.press("Space");
    await card(page, first).waitFor({ state: "detached" });
    await stack.paid(first);
    await stack.paid(second);
    // From there to the tabs, whose arrows move between them.
    await tabTo(page, page.getByRole("tab", { name: /^Notices/ }));
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("End");
    await page.getByRole("switch", { name: "notice_lost", exact: true }).waitFor();
    assert.match(page.url(), /#faults$/);
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await row(page, "requests", first).first().waitFor();
  });

  test("a refund waits when asked to, and ends as the bank is told to end it", async () => {
    const page = await open(stack.control_url);
    const name = number("cake");
    await page.getByLabel("Refunds wait until they are finished here").check();
    await said(page, "New refunds wait");
    await stack.order(name, 900);
    await button(page, "Pay", name).click();
    await stack.paid(name);
    const [complete, close, abnormal] = ["a", "b", "c"].map((end) => `${name}-${end}`);
    for (const [refund, label, end] of [[complete, "Complete", "SUCCESS"], [close, "Close", "CLOSED"], [abnormal, "Abnormal", "ABNORMAL"]]) {
      await stack.refund(name, refund, 100);
      await card(page, refund).getByText("PROCESSING").waitFor();
      await button(page, label, refund).click();
      await row(page, "notices", refund, `REFUND.${end}`, "delivered").waitFor();
    }
    await card(page, complete).waitFor({ state: "detached" });
    await card(page, close).waitFor({ state: "detached" });
    // An abnormal one still waits for somebody.
    await card(page, abnormal).getByText("ABNORMAL", { exact: true }).waitFor();
    await button(page, "Abnormal", abnormal).waitFor({ state: "hidden" });
    await button(page, "Complete", abnormal).click();
    await card(page, abnormal).waitFor({ state: "detached" });
    await tab(page, "Ledger");
    await row(page, "ledger", complete, "SUCCESS").waitFor();
    await row(page, "ledger", close, "CLOSED").waitFor();
    await row(page, "ledger", abnormal, "SUCCESS").waitFor();
    await row(page, "ledger", "NATIVE", name, "REFUND").waitFor();
    await page.getByLabel("Refunds wait until they are finished here").uncheck();
    const last = `${name}-d`;
    await stack.refund(name, last, 100);
    await row(page, "ledger", last, "SUCCESS").waitFor();
  });

  test("a refused request is explained, with both signed texts side by side", async () => {
    const page = await open(`${stack.control_url}/#requests`);
    const path = `/v3/pay/transactions/out-trade-no/${number("query")}`;
    const target = `${path}?mchid=${stack.mchid}`;
    const { status } = await stack.merchant.send("GET", target, undefined, { target: path });
    assert.equal(status, 401);
    const refused = row(page, "requests", path, "401");
    await refused.locator("summary").click();
    await refused.getByText(`the path was signed without its query: sign ${target}`).waitFor();
    const differing = refused.locator("tr.differs");
    assert.equal(await differing.count(), 1);
    assert.deepEqual(await differing.locator("td").allInnerTexts(), [`${target}⏎`, `${path}⏎`]);
    assert.equal(await differing.locator("mark").innerText(), `?mchid=${stack.mchid}`);
    // What was opened stays open while others come in.
    await stack.merchant.send("GET", target);
    await row(page, "requests", path, "404").waitFor();
    assert.ok(await differing.isVisible());
    await page.getByLabel("Only refused ones").check();
    await page.waitForFunction(() => [...document.querySelectorAll("#list-requests > li")].every((li) => !li.innerText.includes("200")));
  });

  test("a body that was serialised again is explained line by line, and an unknown text is said to be", async () => {
    const page = await open(`${stack.control_url}/#requests`);
    const { appid, mchid } = stack;
    const again = { appid, mchid, description: "茶", out_trade_no: number("again"), notify_url: "http://127.0.0.1/", amount: { total: 1 } };
    await stack.merchant.send("POST", "/v3/pay/transactions/native", again, { body: JSON.stringify(again, null, 2) });
    const refused = row(page, "requests", "/v3/pay/transactions/native", "401").first();
    await refused.locator("summary").click();
    await refused.getByText("the body was serialised again after signing").waitFor();
    assert.match(await refused.locator("tr.differs td").nth(1).innerText(), /^\{⏎\n? *"appid"/);
    const path = `/v3/pay/transactions/out-trade-no/${number("guess")}?mchid=${mchid}`;
    await stack.merchant.send("GET", path, undefined, { target: "/nobody/guesses/this" });
    const unknown = row(page, "requests", path.split("?")[0], "401");
    await unknown.locator("summary").click();
    await unknown.getByText("not known: no likely mistake gives this signature").waitFor();
  });

  test("a fault is switched on, strikes as often as it was told to, and is switched off", async () => {
    const page = await open(`${stack.control_url}/#faults`);
    await page.getByLabel("Find").fill("notice_l");
    await page.getByText("a notice is sent but never arrives").waitFor();
    assert.equal(await page.locator("#list-faults > li").count(), 3);
    await page.getByLabel("How often notice_lost strikes at most", { exact: true }).fill("1");
    const lost = page.getByRole("switch", { name: "notice_lost", exact: true });
    await lost.click();
    await page.getByText("always, 1 left").waitFor();
    assert.equal(await lost.getAttribute("aria-checked"), "true");
    await page.getByRole("tab", { name: "Faults 1 on" }).waitFor();
    const name = number("lost");
    await stack.order(name, 100);
    await button(page, "Pay", name).click();
    await page.getByText("struck 1 time").waitFor();
    assert.equal(await lost.getAttribute("aria-checked"), "false", "it is used up");
    await tab(page, "Notices");
    const notice = row(page, "notices", name, "delivered");
    await notice.waitFor();
    await unfold(notice);
    const attempts = await notice.locator("tbody tr").allInnerTexts();
    assert.equal(attempts.length, 2);
    assert.match(attempts[0], /no answer\s+\d+ ms\s+lost on the way/);
    assert.match(attempts[1], /204\s+\d+ ms\s+accepted/);

    await tab(page, "Faults");
    await page.getByLabel("Find").fill("response_stale");
    const stale = page.getByRole("switch", { name: "response_stale" });
    await page.getByLabel("Rate of response_stale in percent").fill("12.5");
    await stale.focus();
    await page.keyboard.press("Space");
    await page.getByText("12.5 %", { exact: true }).waitFor();
    await page.keyboard.press("Space");
    await page.getByText("12.5 %", { exact: true }).waitFor({ state: "detached" });
    await page.getByLabel("Rate of response_stale in percent").fill("101");
    await stale.click();
    await row(page, "faults", "response_stale").getByRole("alert").filter({ hasText: "rate is a probability" }).waitFor();
    browser.expect("400");
    const active = async () => {
      const told = await (await fetch(`${stack.control_url}/_sim/faults`)).json();
      return told.items.filter((fault) => fault.active.length > 0);
    };
    assert.deepEqual(await active(), []);

    await page.getByLabel("Hostility").focus();
    await page.keyboard.press("ArrowRight");
    await said(page, "Hostility is 0.05");
    await page.getByLabel("Find").fill("notice_lost");
    await page.getByText("0.5 % by hostility").waitFor();
    await page.getByRole("button", { name: "All off" }).click();
    await page.getByText("0.5 % by hostility").waitFor({ state: "detached" });
  });

  test("a request shows what went over the wire, and its curl line asks the same again", async () => {
    const page = await open(`${stack.control_url}/#requests`, CLIPBOARD);
    const name = number("wire");
    await stack.order(name, 100, "It’s tea, 茶");
    const asked = row(page, "requests", "/v3/pay/transactions/native", name);
    await asked.locator("summary").first().click();
    const sent = asked.locator("section").filter({ hasText: "The merchant asked" });
    const answer = asked.locator("section").filter({ hasText: "WeChat Pay answered" });
    await sent.locator("pre").first().getByText(`"out_trade_no": "${name}"`).waitFor();
    await answer.locator("pre").first().getByText('"code_url": "weixin:').waitFor();
    await answer.getByText(/^\d+ headers$/).click();
    await answer.getByText("Wechatpay-Signature", { exact: true }).waitFor();
    await answer.getByText("The text that the signature is checked against").click();
    const signed = (await answer.locator("pre").nth(1).innerText()).split("\n");
    assert.match(signed[0], /^\d{10}$/);
    // What is copied is what was sent, not what was broken into lines.
    await sent.getByRole("button", { name: "Copy: body" }).click();
    const body = await copied(page);
    assert.equal(JSON.parse(body).description, "It’s tea, 茶");
    assert.ok(!body.includes("\n"), body);
    await asked.getByRole("button", { name: /^Copy as curl/ }).click();
    const again = await shell(await copied(page));
    assert.match(again, /^HTTP\/1.1 200 OK/);
    assert.match(again, /"code_url":"weixin:/);
  });

  test("a notice shows its envelope and what was in it, and is sent again", async () => {
    const page = await open(stack.control_url, CLIPBOARD);
    const name = number("again");
    await stack.order(name, 100);
    await button(page, "Pay", name).click();
    const notice = row(page, "notices", name, "delivered");
    await notice.waitFor();
    await unfold(notice);
    await notice.getByText("Bodies", { exact: true }).click();
    await notice.getByText('"algorithm": "AEAD_AES_256_GCM"').waitFor();
    await notice.getByText('"trade_state": "SUCCESS"').waitFor();
    assert.ok((await notice.locator("section").last().innerText()).startsWith("The merchant answered 204"));
    const again = notice.getByRole("button", { name: `Send again: TRANSACTION.SUCCESS of ${name}` });
    await again.focus();
    await page.keyboard.press("Enter");
    await said(page, `The notice of ${name} is on its way again`);
    const second = notice.locator("tbody tr").nth(1);
    await second.waitFor();
    assert.match(await second.innerText(), /204\s+\d+ ms\s+accepted\s+sent again by hand/);
    // Neither the keyboard's place nor what was opened is lost by that.
    assert.ok(await again.evaluate((element) => element === document.activeElement), "the keyboard keeps its place");
    assert.ok(await notice.getByText('"trade_state": "SUCCESS"').isVisible());
    // The merchant takes the line as well: it is the very notice.
    await notice.getByRole("button", { name: /^Copy as curl/ }).first().click();
    assert.match(await shell(await copied(page)), /^HTTP\/1.1 204/);
  });

  test("markup in what strangers write stays text", async () => {
    const page = await open(stack.control_url);
    const markup = "<script>alert(1)</script><img src=x onerror=alert(2)>";
    const name = number("markup");
    await stack.api("POST", "/orders", { trade_type: "native", out_trade_no: name, description: markup, attach: markup, amount: { total: 1 } });
    const waiting = card(page, name);
    assert.equal(await waiting.locator(".text").textContent(), markup);
    await waiting.getByText("Details").click();
    await waiting.getByText(markup).nth(1).waitFor();
    await fetch(`${stack.simulator_url}/v3/pay/transactions/out-trade-no/${encodeURIComponent(markup)}?mchid=<b>`, {
      headers: { Authorization: `WECHATPAY2-SHA256-RSA2048 mchid="${markup}",nonce_str="n",signature="s",timestamp="1",serial_no="${markup}"` },
    });
    await tab(page, "Requests");
    const refused = row(page, "requests", "onerror", "401").first();
    await refused.locator("summary").click();
    await refused.getByText(markup, { exact: true }).first().waitFor();
    const made = await page.evaluate(() => document.body.querySelectorAll("script, img:not(.qr), b").length);
    assert.equal(made, 0);
    // And the policy of the page would stop what slipped through.
    const stopped = await page.evaluate(() => {
      try {
        document.body.insertAdjacentHTML("beforeend", "<b>x</b>");
        return false;
      } catch (error) {
        return error instanceof TypeError;
      }
    });
    assert.ok(stopped);
    browser.expect("TrustedHTML");
  });

  test("the first Tab key leads to the first thing there is, also with a tab in the address and after a reload", async () => {
    const name = number("first");
    await stack.order(name, 100);
    await fetch(`${stack.control_url}/_sim/orders/${name}/pay`, { method: "POST" });
    await stack.paid(name);
    const page = await open(`${stack.control_url}/#notices`, { viewport: { width: 390, height: 844 } });
    await row(page, "notices", name).waitFor();
    for (const again of [false, true]) {
      if (again) {
        await page.reload();
        await row(page, "notices", name).waitFor();
      }
      assert.equal(await page.evaluate(() => window.scrollY), 0, "it has not scrolled");
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to what the simulator saw");
    }
    // It does what it says.
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.id), "tab-notices");
  });

  test("the keyboard alone does all that the page offers", async () => {
    const page = await open(stack.control_url);
    const name = number("keys");
    const focus = (role, label) => tabTo(page, page.getByRole(role, { name: label, exact: true }), 200);
    const press = async (role, label, key = "Enter") => {
      await focus(role, label);
      await page.keyboard.press(key);
    };
    await press("checkbox", "Refunds wait until they are finished here", "Space");
    await said(page, "New refunds wait");
    await stack.order(name, 900);
    await button(page, "Pay", name).waitFor();
    await press("button", `Fail ${name}`);
    await card(page, name).getByText("1 failed attempt", { exact: true }).waitFor();
    await press("button", `Pay ${name}`);
    await stack.paid(name);
    await stack.refund(name, `${name}-r`, 100);
    await button(page, "Complete", `${name}-r`).waitFor();
    await press("button", `Complete ${name}-r`);
    await card(page, `${name}-r`).waitFor({ state: "detached" });
    await press("checkbox", "Refunds wait until they are finished here", "Space");
    await said(page, "New refunds finish");
    await press("button", "+1 min");
    await page.getByText(/ ahead$/).waitFor();
    await focus("spinbutton", "Move by");
    await page.keyboard.type("2");
    await page.keyboard.press("Enter");
    await said(page, "Business time moved on by");
    // A notice is opened and closed again.
    const notice = row(page, "notices", name, "TRANSACTION.SUCCESS");
    await tabTo(page, notice.locator("summary").first(), 200);
    await page.keyboard.press("Enter");
    await notice.locator("tbody tr").first().waitFor();
    await page.keyboard.press("Enter");
    await notice.locator("tbody tr").first().waitFor({ state: "hidden" });
    await press("switch", "Lose all until switched off", "Space");
    await said(page, "Every attempt to send a notice is lost");
    await page.keyboard.press("Space");
    await said(page, "Notices arrive again");
    await tabTo(page, page.getByRole("tab", { name: /^Notices/ }), 200);
    await page.keyboard.press("End");
    await focus("searchbox", "Find");
    await page.keyboard.type("slow_body");
    await press("switch", "slow_body", "Space");
    await page.getByRole("tab", { name: "Faults 1 on" }).waitFor();
    await press("button", "All off");
    await said(page, "Every fault is off");
  });

  test("fingers have room: 44 pixels for whatever can be pressed, and every tab is in sight", async () => {
    const [waiting, paid] = [number("finger"), number("finger")];
    await stack.order(waiting, 1);
    await stack.order(paid, 100);
    await fetch(`${stack.control_url}/_sim/knobs`, { method: "POST", body: JSON.stringify({ refund_delay_s: null }) });
    await fetch(`${stack.control_url}/_sim/orders/${paid}/pay`, { method: "POST" });
    await stack.paid(paid);
    await stack.refund(paid, `${paid}-r`, 1);
    const page = await open(stack.control_url, { viewport: { width: 390, height: 844 } });
    await button(page, "Complete", `${paid}-r`).waitFor();
    for (const name of ["Notices", "Requests", "Ledger", "Violations", "Faults"]) {
      await tab(page, name);
      const small = await page.evaluate(() => [...document.querySelectorAll("button, summary, select, input, [role=tab]")]
        .filter((element) => element.checkVisibility())
        .map((element) => (element.type === "checkbox" ? element.closest("label") : element))
        .map((element) => ({ what: element.ariaLabel ?? element.textContent.trim(), box: element.getBoundingClientRect() }))
        .filter(({ box }) => box.height < 44 || box.width < 44 || box.left < 0 || box.right > window.innerWidth)
        .map(({ what, box }) => `${what}: ${box.width} × ${box.height} at ${box.left}`));
      assert.deepEqual(small, [], name);
    }
    await fetch(`${stack.control_url}/_sim/knobs`, { method: "POST", body: JSON.stringify({ refund_delay_s: 5 }) });
    await fetch(`${stack.control_url}/_sim/refunds/${paid}-r/complete`, { method: "POST" });
  });

  test("what cannot be done to the clock is said, and the message can be closed", async () => {
    const page = await open(stack.control_url);
    await page.getByLabel("Move by").fill("999999");
    await page.getByRole("button", { name: "Move", exact: true }).click();
    const message = page.getByRole("alert").filter({ hasText: "a century ahead" });
    await message.waitFor();
    await page.getByRole("button", { name: "Close the message" }).click();
    await message.waitFor({ state: "hidden" });
    browser.expect("400");
  });

  test("the next notice is lost for good, and only that one", async () => {
    const page = await open(stack.control_url);
    await page.getByRole("button", { name: "Lose the next one for good" }).click();
    await page.getByText("the next one is lost").waitFor();
    const [lost, arrives] = [number("gone"), number("here")];
    await stack.order(lost, 100);
    await stack.order(arrives, 100);
    await button(page, "Pay", lost).click();
    const notice = row(page, "notices", lost, "lost for good");
    // It is in trouble, so it stands open, and its retries do not arrive either.
    await notice.locator("tbody tr").nth(2).waitFor();
    for (const attempt of await notice.locator("tbody tr").allInnerTexts()) assert.match(attempt, /lost on the way/);
    await page.getByText("the next one is lost").waitFor({ state: "detached" });
    await button(page, "Pay", arrives).click();
    await row(page, "notices", arrives, "delivered").waitFor();
    await page.getByText(/^\d+ attempts lost$/).waitFor();
  });

  test("all notices are lost until that is switched off", async () => {
    const page = await open(stack.control_url);
    const losing = page.getByRole("switch", { name: "Lose all until switched off" });
    await losing.click();
    await said(page, "Every attempt to send a notice is lost");
    assert.equal(await losing.getAttribute("aria-checked"), "true");
    const name = number("silence");
    await stack.order(name, 100);
    await button(page, "Pay", name).click();
    const notice = row(page, "notices", name, "pending");
    await notice.locator("tbody tr").nth(1).waitFor();
    assert.ok(await notice.locator("tbody tr").first().isVisible(), "what is in trouble stands open");
    await losing.click();
    await said(page, "Notices arrive again");
    const delivered = row(page, "notices", name, "delivered");
    await delivered.waitFor();
    assert.ok(!(await delivered.locator("tbody tr").first().isVisible()), "what is well is closed");
    await stack.paid(name);
  });

  test("it is readable in a narrow window, in light and in dark", async () => {
    const [waiting, paid] = [number("narrow"), number("narrow")];
    await stack.order(waiting, 1, "A long description that has to wrap somewhere, 长长的说明".repeat(2));
    await stack.order(paid, 1);
    await fetch(`${stack.control_url}/_sim/orders/${paid}/pay`, { method: "POST" });
    await stack.paid(paid);
    await stack.refund(paid, `${paid}-back`, 1);
    await stack.merchant.send("GET", `/v3/pay/transactions/id/1?mchid=${stack.mchid}`, undefined, { target: "/v3/pay/transactions/id/1" });
    for (const colorScheme of ["light", "dark"]) {
      for (const [width, height] of [[320, 640], [1280, 900]]) {
        const page = await open(stack.control_url, { colorScheme, viewport: { width, height } });
        await page.getByText("A long description").first().waitFor();
        await row(page, "notices", paid).first().waitFor();
        for (const name of ["Notices", "Requests", "Ledger", "Violations", "Faults"]) {
          await tab(page, name);
          const summary = page.locator('[role="tabpanel"]:visible summary').first();
          if (name === "Requests" || name === "Ledger") await summary.click();
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
          assert.ok(wide <= 0, `${name} is ${wide} px wider than a window of ${width}`);
          assert.deepEqual(await lowContrast(page), [], `${name}, ${colorScheme}`);
        }
      }
    }
  });

  test("a page of another origin neither pays nor reads nor frames it", async () => {
    const name = number("csrf");
    await stack.order(name, 100);
    const page = await browser.elsewhere();
    const tried = await page.evaluate(async ({ control, name }) => {
      const pay = `${control}/_sim/orders/${name}/pay`;
      const attempt = (work) => work().then(() => "done", (error) => error.name);
      const outcomes = {
        simple: await attempt(() => fetch(pay, { method: "POST", mode: "no-cors", body: "{}" })),
        cors: await attempt(() => fetch(pay, { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } })),
        read: await attempt(() => fetch(`${control}/_sim/ledger`).then((answer) => answer.json())),
        beacon: navigator.sendBeacon(pay, "{}"),
      };
      outcomes.listen = await new Promise((done) => {
        const events = new EventSource(`${control}/_sim/events`);
        events.addEventListener("hello", () => done("heard"));
        events.onerror = () => done("refused");
      });
      const form = document.createElement("form");
      Object.assign(form, { method: "POST", action: pay, target: "frame" });
      const frame = document.createElement("iframe");
      frame.name = "frame";
      document.body.append(frame, form);
      const loaded = () => new Promise((done) => (frame.onload = done));
      const submitted = loaded();
      form.submit();
      await submitted;
      const shown = loaded();
      frame.src = control;
      await shown;
      return outcomes;
    }, { control: stack.control_url, name });
    assert.deepEqual(
      { cors: tried.cors, read: tried.read, listen: tried.listen },
      { cors: "TypeError", read: "TypeError", listen: "refused" },
    );
    const frame = page.frames().find((candidate) => candidate !== page.mainFrame());
    assert.ok(!(await frame.content().catch(() => "")).includes("not WeChat Pay"), "it is not framed");
    const order = await (await fetch(`${stack.control_url}/_sim/orders/${name}`)).json();
    assert.equal(order.trade_state, "NOTPAY");
    assert.equal(order.failed_attempts, 0);
    browser.expect("CORS", "403", "frame", "net::ERR", "Cross-Origin"); // the browser says what it stopped
  });
});

suite("with a simulator alone", () => {
  afterEach(async () => {
    await Simulator.stopAll();
    await browser.done();
  });

  test("an order shows its QR code, and what a press on Pay does not check can be handed in", async () => {
    const simulator = await Simulator.start();
    const page = await open(simulator.control_url);
    const [native, jsapi] = [number("native"), number("jsapi")];
    await simulator.order(native, 100);
    const drawn = card(page, native).getByRole("img", { name: `QR code of ${native}` });
    await drawn.waitFor();
    const shown = () => drawn.evaluate((image) => (image.complete && image.naturalWidth > 0 ? image.src : ""));
    const first = await until("the code is drawn", shown);
    await simulator.order(native, 100); // a new code, which replaces the old one
    await until("the new code is drawn", async () => ![first, ""].includes(await shown()));
    const { appid, mchid } = simulator.merchant.file;
    const order = {
      appid, mchid, description: "Tea", out_trade_no: jsapi, notify_url: simulator.inbox.url, amount: { total: 1 }, payer: { openid: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o" },
    };
    const { prepay_id } = JSON.parse((await simulator.merchant.send("POST", "/v3/pay/transactions/jsapi", order)).text);
    await card(page, jsapi).getByText("What Pay checks").click();
    await card(page, jsapi).getByText("Not checked: paySign").waitFor();
    assert.equal(await card(page, jsapi).getByRole("img").count(), 0);
    const handed = (signedPackage) => {
      const fields = { timeStamp: "1414561699", nonceStr: "5K8264", package: `prepay_id=${prepay_id}`, signType: "RSA" };
      const text = `${appid}\n${fields.timeStamp}\n${fields.nonceStr}\n${signedPackage}\n`;
      return JSON.stringify({ ...fields, paySign: crypto.sign("sha256", Buffer.from(text), simulator.merchant.key).toString("base64") });
    };
    const field = card(page, jsapi).getByLabel("paste the fields of wx.requestPayment");
    const press = page.getByRole("button", { name: `Check and pay ${jsapi}` });
    await field.fill(handed(prepay_id));
    await press.click();
    await card(page, jsapi).getByRole("alert").filter({ hasText: "line 4 was signed without its prefix" }).waitFor();
    await field.fill("{");
    await press.click();
    await card(page, jsapi).getByRole("alert").filter({ hasText: "the body" }).waitFor();
    await field.fill(handed(`prepay_id=${prepay_id}`));
    await press.click();
    await said(page, `Paid ${jsapi}`);
    await card(page, jsapi).waitFor({ state: "detached" });
    browser.expect("409", "400");
  });

  test("Chinese and English by one switch, which is remembered and keeps the keyboard’s place", async () => {
    const simulator = await Simulator.start();
    const name = number("zh-order");
    await simulator.order(name, 100, "茶");
    const page = await open(`${simulator.control_url}/#notices`, { locale: "en-US", ...CLIPBOARD });
    const target = `/v3/pay/transactions/out-trade-no/${name}`;
    await simulator.merchant.send("GET", `${target}?mchid=${simulator.merchant.file.mchid}`, undefined, { target });
    await simulator.merchant.send("GET", "/v3/nothing");
    await tabTo(page, page.getByRole("button", { name: "中文" }));
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: /^付款人的手机/ }).waitFor();
    await page.getByText("实时", { exact: true }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "language");
    assert.match(page.url(), /#notices$/);
    assert.equal(await page.evaluate(() => document.documentElement.lang), "zh-CN");
    await button(page, "支付", name).click();
    await said(page, `已支付 ${name}，通知正在发送。`);
    const notice = row(page, "notices", name, "已送达");
    await notice.waitFor();
    await unfold(notice);
    await notice.getByText("报文", { exact: true }).click();
    await notice.getByText("resource（解密后）", { exact: true }).first().waitFor();
    const left = {};
    for (const [tabName, open] of [["通知", false], ["请求", true], ["账本", true], ["违规", false], ["故障", false]]) {
      await tab(page, tabName);
      const panel = page.locator('[role="tabpanel"]:visible');
      if (open) {
        for (const summary of (await panel.locator(":scope > ul > li > details > summary").all()).slice(0, 4)) await summary.click();
      }
      if (tabName === "请求") await panel.getByText("验证签名所用的文本").first().waitFor();
      left[tabName] = await english(page);
    }
    assert.deepEqual(left, { 通知: [], 请求: [], 账本: [], 违规: [], 故障: [] });
    await page.reload();
    await page.getByRole("heading", { name: /^付款人的手机/ }).waitFor();
    await page.getByRole("button", { name: "English" }).click();
    await page.getByRole("heading", { name: /^The payer’s phone/ }).waitFor();
    // A browser that speaks Chinese begins in it, and an address may say which.
    const chinese = await open(simulator.control_url, { locale: "zh-CN" }, "实时");
    await chinese.getByRole("heading", { name: /^付款人的手机/ }).waitFor();
    await chinese.goto(`${simulator.control_url}/?lang=en`);
    await chinese.getByRole("heading", { name: /^The payer’s phone/ }).waitFor();
    await browser.done(); // before the simulator goes, which two pages would complain about
  });

  test("the clock is moved on, and what expires leaves the phone", async () => {
    const simulator = await Simulator.start();
    const page = await open(simulator.control_url);
    const name = number("expiring");
    const { appid, mchid } = simulator.merchant.file;
    const soon = new Date(Date.now() + 3600_000 + 8 * 3600_000).toISOString().slice(0, 19);
    const placed = await simulator.merchant.send("POST", "/v3/pay/transactions/native", {
      appid, mchid, description: "An hour", out_trade_no: name, notify_url: simulator.inbox.url, amount: { total: 1 }, time_expire: `${soon}+08:00`,
    });
    assert.equal(placed.status, 200, placed.text);
    await card(page, name).getByText(/^(59|60) min left$/).waitFor();
    // Both at one moment: they are written once a second.
    const times = () => page.evaluate(() => {
      const shown = (name) => Date.parse(`${document.getElementById(name).textContent.replace(" ", "T")}Z`);
      return (shown("business-time") - shown("real-time")) / 1000;
    });
    assert.equal(await times(), 0);
    await page.getByRole("button", { name: "+1 min" }).click();
    await page.getByText("60 s ahead").waitFor();
    await page.getByRole("button", { name: "+10 min" }).click();
    await page.getByText("11 min ahead").waitFor();
    await card(page, name).getByText(/^4[789] min left$/).waitFor();
    assert.equal(await times(), 660);
    await page.getByRole("button", { name: "+2 h" }).click();
    await page.getByText("2 h 11 min ahead").waitFor();
    await card(page, name).waitFor({ state: "detached" });
    await page.getByLabel("Move by").fill("3");
    await page.getByLabel("Unit").selectOption("days");
    await page.getByRole("button", { name: "Move", exact: true }).click();
    await page.getByText("3 days ahead").waitFor();
    assert.equal(await times(), 660 + 7200 + 3 * 86400);
    await page.getByLabel("Move by").fill("7");
    await page.keyboard.press("Enter");
    await tab(page, "Ledger");
    await row(page, "ledger", name, "CLOSED").waitFor();
  });

  test("a merchant that accepts forgeries is shown its violation", async () => {
    const simulator = await Simulator.start();
    const page = await open(`${simulator.control_url}/#violations`);
    await page.getByText("None. That is how it should be.").waitFor();
    await fetch(`${simulator.control_url}/_sim/faults`, { method: "POST", body: JSON.stringify({ name: "notice_bad_signature", count: 1 }) });
    const name = number("forged");
    await simulator.order(name, 100);
    await button(page, "Pay", name).click();
    const violation = row(page, "violations", name, "accepted forgery");
    await violation.getByText("a merchant that verifies answers 4xx or 5xx").waitFor();
    await page.getByRole("tab", { name: "Violations 1" }).waitFor();
  });

  test("the page finds a restarted simulator again by itself and misses nothing", async () => {
    const [port, controlPort, data] = [await freePort(), await freePort(), folder()];
    let simulator = await Simulator.start({ port, controlPort, folder: data });
    const { inbox } = simulator;
    const page = await open(simulator.control_url);
    const [before, between] = [number("before"), number("between")];
    await simulator.order(before, 100);
    await button(page, "Pay", before).waitFor();
    await page.evaluate(() => (window.neverReloaded = true));
    // While nobody listens, the browser says so.
    browser.expect("net::ERR_CONNECTION_REFUSED", "net::ERR_INCOMPLETE_CHUNKED_ENCODING", "net::ERR_CONNECTION_RESET", "net::ERR_EMPTY_RESPONSE");
    await simulator.process.stop();
    await page.getByText("lost the simulator, trying again").waitFor();
    simulator = await Simulator.start({ port, controlPort, folder: data, inbox });
    await simulator.order(between, 200);
    await page.getByText("live", { exact: true }).waitFor();
    await button(page, "Pay", between).click();
    await row(page, "notices", between, "delivered").waitFor();
    await button(page, "Pay", before).click();
    await row(page, "notices", before, "delivered").waitFor();
    assert.ok(await page.evaluate(() => window.neverReloaded));
  });

  test("what changes while a list is being fetched is fetched again", async () => {
    const simulator = await Simulator.start();
    const page = await open(simulator.control_url);
    const [first, second] = [number("first"), number("second")];
    let release;
    const released = new Promise((done) => (release = done));
    const fetched = new Promise((done) => {
      // The first look at the ledger after this takes its time: what it brings is old by then.
      page.route("**/_sim/ledger*", async (route) => {
        const response = await route.fetch();
        done();
        await released;
        await route.fulfill({ response });
      }, { times: 1 });
    });
    await simulator.order(first, 100);
    await fetched;
    await simulator.order(second, 200);
    // The page was told of the second order before it was told of the second request.
    await page.getByRole("tab", { name: "Requests 2" }).waitFor();
    release();
    await card(page, first).waitFor();
    await card(page, second).waitFor();
  });

  test("a press is not undone by what was asked for before it", async () => {
    const simulator = await Simulator.start();
    const page = await open(simulator.control_url);
    const box = page.getByLabel("Refunds wait until they are finished here");
    const lose = page.getByRole("switch", { name: "Lose all until switched off" });
    // How both look from now on: a press turns them on, and nothing may turn them off again.
    await page.evaluate(([box, lose]) => {
      const { get, set } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "checked");
      window.undone = [];
      Object.defineProperty(box, "checked", {
        get,
        set(value) {
          if (get.call(this) && !value) window.undone.push("the box");
          set.call(this, value);
        },
      });
      new MutationObserver((changes) => {
        // Setting what is set already is a change, too.
        const values = [...changes.map((change) => change.oldValue), lose.getAttribute("aria-checked")];
        if (values.some((value, at) => value === "true" && values[at + 1] === "false")) window.undone.push("the switch");
      }).observe(lose, { attributeFilter: ["aria-checked"], attributeOldValue: true });
    }, [await box.elementHandle(), await lose.elementHandle()]);
    for (const [path, change, press, text] of [
      ["knobs", { rate_limits: false }, () => box.check(), "New refunds wait"],
      ["faults", { name: "slow_body" }, () => lose.click(), "Every attempt to send a notice is lost"],
    ]) {
      const url = `${simulator.control_url}/_sim/${path}`;
      let release;
      let answers = 0;
      const released = new Promise((done) => (release = done));
      const asked = new Promise((done) => {
        page.route(url, async (route) => {
          if (route.request().method() !== "GET") return route.continue();
          const response = await route.fetch();
          done();
          await released;
          await route.fulfill({ response });
        });
      });
      page.on("response", (response) => {
        if (response.url() === url && response.request().method() === "GET") answers += 1;
      });
      await fetch(url, { method: "POST", body: JSON.stringify(change) });
      await asked;
      await press();
      await said(page, text);
      release();
      // The old answer, and the one that was asked for after it.
      await until(`${path} asked for again`, () => answers >= 2);
      assert.deepEqual(await page.evaluate(() => window.undone), []);
      await page.unroute(url);
    }
    await box.and(page.locator(":checked")).waitFor();
    await page.getByRole("switch", { name: "Lose all until switched off", checked: true }).waitFor();
  });

  test("hundreds of orders at once stay usable, the newest first, and all can be asked for", async () => {
    const simulator = await Simulator.start();
    await fetch(`${simulator.control_url}/_sim/knobs`, { method: "POST", body: JSON.stringify({ rate_limits: false }) });
    const page = await open(`${simulator.control_url}/#ledger`);
    const names = Array.from({ length: 230 }, () => number("many"));
    for (let at = 0; at < names.length; at += 10) {
      await Promise.all(names.slice(at, at + 10).map((name) => simulator.order(name, 1)));
    }
    const panel = page.getByRole("tabpanel", { name: /^Ledger/ });
    await panel.getByText("The newest 200 of 230.").waitFor();
    assert.equal(await panel.getByRole("listitem").count(), 200);
    await panel.getByRole("button", { name: "Show all" }).click();
    await page.waitForFunction(() => document.querySelectorAll("#list-ledger > li").length === 230);
    // The button has gone; the keyboard goes on in what it brought.
    assert.ok(await page.evaluate(() => document.activeElement === document.querySelector("#list-ledger summary")));
    // The phone has as many, and says so.
    const phone = page.getByRole("region", { name: /^The payer’s phone/ });
    await phone.getByText("The newest 200 of 230.").waitFor();
    await phone.getByRole("heading", { name: "The payer’s phone 230" }).waitFor();
    assert.equal(await button(page, "Pay", names[0]).count(), 0);
    await phone.getByRole("button", { name: "Show all" }).click();
    await button(page, "Pay", names[0]).click();
    await row(page, "ledger", names[0], "SUCCESS").waitFor();
  });

  test("what waits stays on the phone, however much happened since", async () => {
    const simulator = await Simulator.start();
    const knobs = { rate_limits: false, refund_delay_s: null };
    await fetch(`${simulator.control_url}/_sim/knobs`, { method: "POST", body: JSON.stringify(knobs) });
    const [order, refunded] = [number("old"), number("old")];
    const pay = (name) => fetch(`${simulator.control_url}/_sim/orders/${name}/pay`, { method: "POST" });
    await simulator.order(order, 100);
    await simulator.order(refunded, 100);
    await pay(refunded);
    const refund = { out_trade_no: refunded, out_refund_no: `${refunded}-r`, amount: { refund: 1, total: 100, currency: "CNY" } };
    assert.equal((await simulator.merchant.send("POST", "/v3/refund/domestic/refunds", refund)).status, 200);
    const names = Array.from({ length: 210 }, () => number("since"));
    for (let at = 0; at < names.length; at += 10) {
      await Promise.all(names.slice(at, at + 10).map((name) => simulator.order(name, 1).then(() => pay(name))));
    }
    const page = await open(simulator.control_url);
    await button(page, "Complete", `${refunded}-r`).click();
    await button(page, "Pay", order).click();
    await said(page, `Paid ${order}`);
    await card(page, order).waitFor({ state: "detached" });
    await card(page, `${refunded}-r`).waitFor({ state: "detached" });
  });

  test("a refusal is said again for a card that goes at once, not for one that goes later", async () => {
    const simulator = await Simulator.start();
    const page = await open(simulator.control_url);
    const [soon, later] = [number("refused"), number("refused")];
    await simulator.order(soon, 100);
    await simulator.order(later, 100);
    const message = "the bank is closed";
    await page.route("**/pay", (route) => route.fulfill({ status: 409, json: { code: "CLOSED", message } }));
    const pay = (name) => fetch(`${simulator.control_url}/_sim/orders/${name}/pay`, { method: "POST" });
    for (const name of [later, soon]) {
      await button(page, "Pay", name).click();
      await card(page, name).getByRole("alert").filter({ hasText: message }).waitFor();
    }
    await pay(soon);
    await said(page, message);
    await card(page, soon).waitFor({ state: "detached" });
    // It is said for as long as it is news, and then it is not.
    await page.getByRole("status").filter({ hasText: message }).waitFor({ state: "detached" });
    await pay(later);
    await card(page, later).waitFor({ state: "detached" });
    assert.equal(await page.getByRole("status").filter({ hasText: message }).count(), 0);
    browser.expect("409");
  });

  test("when an order that is shown can no longer be paid, those behind it are asked for", async () => {
    const simulator = await Simulator.start();
    const [ends, behind] = [number("ends"), number("behind")];
    for (const name of [ends, behind]) await simulator.order(name, 100);
    const rows = (await (await fetch(`${simulator.control_url}/_sim/ledger`)).json()).items;
    const shown = (name, until) => ({ ...rows.find((row) => row.out_trade_no === name), payable_until: new Date(until).toISOString() });
    let end; // five seconds after the page first asked, however long it took to come to that
    const page = await browser.page("about:blank");
    // As if two hundred others were in between, which the simulator gives only once one has ended.
    await page.route("**/_sim/ledger?open=orders*", (route) => {
      end ??= Date.now() + 5_000;
      const items = Date.now() < end ? [shown(ends, end)] : [shown(behind, end + 3_600_000)];
      return route.fulfill({ json: { items, total: 201 } });
    });
    await page.goto(simulator.control_url);
    await button(page, "Pay", ends).waitFor();
    await button(page, "Pay", behind).waitFor();
    assert.equal(await button(page, "Pay", ends).count(), 0);
  });
});
