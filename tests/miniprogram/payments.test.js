// The client side of a payment, against the local stack: what it does when everything works and when the
// network, the phone or the payer does not.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { number, Stack } from "../node/stack.mjs";
import { Phone } from "./phone.js";

const TEA = { items: [{ sku: "tea", quantity: 2 }] };
const COFFEE = { items: [{ sku: "coffee", quantity: 1 }] };

let stack;
before(async () => (stack = await Stack.start()));
after(() => stack.stop());

const phone = () => new Phone(stack, number("oPayer-of-the-mini-program"));

/** How many orders this payer has. */
const placed = async (payer) => (await payer.payments().orders()).items.length;

test("a purchase is paid, confirmed by WeChat Pay, and the next one is another order", async () => {
  const payer = phone();
  const payments = payer.payments();
  const first = await payments.buy("cart", TEA);
  assert.equal(first.outcome, "paid");
  assert.equal(first.order.trade_state, "SUCCESS");
  assert.equal(first.order.amount.total, 600);
  assert.equal(payer.sent("POST /sessions"), 1, "one login serves all");
  const second = await payments.buy("cart", TEA);
  assert.equal(second.outcome, "paid");
  assert.notEqual(second.order.out_trade_no, first.order.out_trade_no);
});

test("lost requests and lost answers make no second order", async () => {
  const payer = phone();
  payer.trouble(/POST \/orders$/, "request lost", 1);
  payer.trouble(/POST \/orders$/, "answer lost", 2);
  const { outcome } = await payer.payments().buy("cart", TEA);
  assert.equal(outcome, "paid");
  assert.equal(payer.sent("POST /orders"), 4);
  assert.equal(new Set(payer.keys).size, 1);
  assert.equal(await placed(payer), 1);
});

test("an app that was killed while it waited goes on with the same order", async () => {
  const payer = phone();
  payer.trouble(/POST \/orders$/, "answer lost", 100);
  await assert.rejects(payer.payments({ timeoutMs: 600 }).buy("cart", TEA), { code: "network" });
  payer.faults = [];
  const { outcome } = await payer.payments().buy("cart", TEA);
  assert.equal(outcome, "paid");
  assert.equal(await placed(payer), 1);
});

test("a payer who cancels and tries again pays the same order", async () => {
  const payer = phone();
  const payments = payer.payments();
  payer.answersDialog = "cancel";
  const cancelled = await payments.buy("cart", TEA);
  assert.equal(cancelled.outcome, "cancelled");
  payer.answersDialog = "fail";
  assert.equal((await payments.buy("cart", TEA)).outcome, "failed");
  payer.answersDialog = "pay";
  const paid = await payments.buy("cart", TEA);
  assert.equal(paid.outcome, "paid");
  assert.equal(paid.order.out_trade_no, cancelled.order.out_trade_no);
});

test("what the phone says of a payment decides nothing", async () => {
  const payer = phone();
  const payments = payer.payments();
  payer.answersDialog = "pay, and say cancelled";
  const paid = await payments.buy("cart", TEA);
  assert.equal(paid.outcome, "paid", "WeChat Pay knows of the payment");
  payer.answersDialog = "lie";
  const order = await payments.createOrder("cart", TEA);
  assert.equal(await payments.pay(order.pay), "completed");
  const asked = await payments.waitUntilFinal(order.out_trade_no, 0);
  assert.equal(asked.trade_state, "NOTPAY", "it was never paid");
});

test("a changed cart closes its first order before it makes another", async () => {
  const payer = phone();
  const payments = payer.payments();
  payer.answersDialog = "cancel";
  const first = await payments.buy("cart", TEA);
  payer.answersDialog = "pay";
  const second = await payments.buy("cart", COFFEE);
  assert.equal(second.outcome, "paid");
  assert.equal(second.order.amount.total, 1);
  assert.equal((await payments.order(first.order.out_trade_no)).trade_state, "CLOSED");
});

test("a changed cart whose first order was paid is not paid twice", async () => {
  const payer = phone();
  const order = await payer.payments().createOrder("cart", TEA);
  await payer.payAtWechat(order.pay);
  await assert.rejects(payer.payments().buy("cart", COFFEE), (error) => {
    assert.equal(error.code, "earlier_order_paid");
    assert.equal(error.order.out_trade_no, order.out_trade_no);
    return true;
  });
  assert.equal(await placed(payer), 1);
});

test("a changed cart makes no other order while its first one may still be paid", async () => {
  const payer = phone();
  const payments = payer.payments({ timeoutMs: 3_000 });
  payer.answersDialog = "cancel";
  const { order: first } = await payments.buy("cart", TEA);
  const late = await payments.createOrder("another cart", TEA);
  await payer.control("/_sim/faults", { name: "server_error", operation: "close" });
  for (const cart of ["cart", "another cart"]) {
    await assert.rejects(payments.buy(cart, COFFEE), (error) => {
      assert.equal(error.code, "outcome_unknown");
      assert.equal(error.order.trade_state, "CLOSING");
      return true;
    });
  }
  // Nor does one who comes back to the first cart get another.
  await assert.rejects(payments.buy("cart", TEA), { code: "outcome_unknown" });
  assert.equal(await placed(payer), 2);
  await payer.payAtWechat(late.pay);
  await assert.rejects(payments.buy("another cart", COFFEE), { code: "earlier_order_paid" });
  assert.equal((await payments.buy("another cart", TEA)).order.out_trade_no, late.out_trade_no);
  assert.equal(await placed(payer), 2);
  await fetch(`${stack.control_url}/_sim/faults`, { method: "DELETE" });
  payer.answersDialog = "pay";
  assert.equal((await payments.buy("cart", COFFEE)).outcome, "paid");
  assert.equal((await payments.order(first.out_trade_no)).trade_state, "CLOSED");
});

test("an app that was killed after the payment does not ask for it again", async () => {
  const payer = phone();
  const order = await payer.payments().createOrder("cart", TEA);
  await payer.payAtWechat(order.pay);
  const { outcome, order: found } = await payer.payments().buy("cart", TEA);
  assert.equal(outcome, "paid");
  assert.equal(found.out_trade_no, order.out_trade_no);
  assert.equal(payer.dialogs, 0);
});

test("an expired order is replaced, and one that was paid in its last second is not", async () => {
  const payer = phone();
  const payments = payer.payments();
  const expired = await payments.createOrder("cart", TEA);
  const late = phone();
  const paid = await late.payments().createOrder("cart", TEA);
  await late.control("/_sim/faults", { name: "notice_lost" });
  await late.payAtWechat(paid.pay);
  await payer.control("/_local/clock", { advance_s: 31 * 60 });
  const fresh = await payments.createOrder("cart", TEA);
  assert.notEqual(fresh.out_trade_no, expired.out_trade_no);
  assert.ok(fresh.pay, "it can be paid");
  const found = await late.payments().buy("cart", TEA);
  assert.equal(found.outcome, "paid");
  assert.equal(found.order.out_trade_no, paid.out_trade_no);
  assert.equal(late.dialogs, 0);
  await fetch(`${stack.control_url}/_sim/faults`, { method: "DELETE" });
});

test("two taps are one purchase", async () => {
  const payer = phone();
  const payments = payer.payments();
  const [one, other] = await Promise.all([payments.buy("cart", TEA), payments.buy("cart", TEA)]);
  assert.equal(one.order.out_trade_no, other.order.out_trade_no);
  assert.equal(payer.dialogs, 1);
});

test("a token that the service refuses is replaced once, and calls at once share a login", async () => {
  const payer = phone();
  const payments = payer.payments();
  await Promise.all([payments.orders(), payments.orders(), payments.login()]);
  assert.equal(payer.sent("POST /sessions"), 1);
  const stored = [...payer.storage.keys()].find((key) => key.endsWith("session"));
  payer.storage.set(stored, JSON.stringify({ token: "not.a.token", until: Date.now() + 3_600_000 }));
  const restarted = payer.payments();
  assert.deepEqual((await restarted.orders()).items, []);
  assert.equal(payer.sent("POST /sessions"), 2);
  payer.trouble(/GET \/orders/, { statusCode: 401, data: '{"code":"unauthenticated","detail":"no"}', header: {} }, 2);
  await assert.rejects(restarted.orders(), { code: "unauthenticated", status: 401 });
});

test("a phone whose clock is a day ahead does not log in for every call", async (context) => {
  const payer = phone();
  const payments = payer.payments();
  const now = Date.now;
  context.mock.method(Date, "now", () => now() + 86_400_000);
  await payments.orders();
  await payments.orders();
  assert.equal(payer.sent("POST /sessions"), 1);
});

test("a login whose answer is lost uses a fresh code, and one without a code says so", async () => {
  const payer = phone();
  payer.trouble(/POST \/sessions/, "answer lost");
  await payer.payments().login();
  assert.equal(payer.sent("POST /sessions"), 2);
  const offline = phone();
  offline.trouble(/wx.login/, "fail");
  await assert.rejects(offline.payments().orders(), { code: "login_failed" });
});

test("Retry-After is obeyed, and a gateway's failure is tried again", async () => {
  const payer = phone();
  const payments = payer.payments();
  await payments.login();
  const busy = { statusCode: 503, data: '{"code":"wechatpay_unavailable","detail":"try again"}', header: { "Retry-After": "1" } };
  payer.trouble(/POST \/orders$/, busy);
  payer.trouble(/POST \/orders$/, { statusCode: 502, data: '{"message":"Internal Server Error"}', header: {} });
  const began = performance.now();
  await payments.createOrder("cart", TEA);
  assert.ok(performance.now() - began >= 1000, "it waited as it was told");
  assert.equal(payer.sent("POST /orders"), 3);
  assert.equal(await placed(payer), 1);
});

test("a refusal is told with its code and field, at once", async () => {
  const payer = phone();
  const wrong = { items: [{ sku: "no-such-article", quantity: 1 }] };
  await assert.rejects(payer.payments().createOrder("cart", wrong), {
    code: "unknown_sku",
    status: 422,
    name: "PaymentsError",
    message: /所选商品未上架/,
  });
  assert.equal(payer.sent("POST /orders"), 1);
});

test("the page of a hotel's network is no answer of the service", async () => {
  const payer = phone();
  payer.trouble(/POST \/orders$/, { statusCode: 200, data: "<html>Welcome</html>", header: {} });
  await assert.rejects(payer.payments().buy("cart", TEA), { code: "bad_answer" });
  assert.equal(payer.dialogs, 0);
  assert.equal((await payer.payments().buy("cart", TEA)).outcome, "paid");
  assert.equal(new Set(payer.keys).size, 1, "the purchase kept its key");
});

test("a refund asked for over a bad network is one request", async () => {
  const payer = phone();
  const payments = payer.payments();
  const { order } = await payments.buy("cart", TEA);
  payer.trouble(/\/refunds$/, "answer lost", 100);
  await assert.rejects(payer.payments({ timeoutMs: 600 }).requestRefund(order.out_trade_no, 300, "one was cold"), { code: "network" });
  payer.faults = [];
  const refund = await payer.payments().requestRefund(order.out_trade_no, 300, "one was cold");
  assert.equal(refund.status, "REQUESTED");
  assert.equal((await payments.order(order.out_trade_no)).refunds.length, 1);
  const second = await payments.requestRefund(order.out_trade_no, 300, "one was cold");
  assert.notEqual(second.out_refund_no, refund.out_refund_no, "an answered request is over");
  assert.equal((await payments.refund(order.out_trade_no, second.out_refund_no)).status, "REQUESTED");
  await assert.rejects(payments.requestRefund(order.out_trade_no, 601), { code: "refund_exceeds" });
});

test("a storage that is full costs nothing but the memory of a killed app", async () => {
  const payer = phone();
  payer.storageFull = true;
  payer.trouble(/POST \/orders$/, "answer lost");
  assert.equal((await payer.payments().buy("cart", TEA)).outcome, "paid");
  assert.equal(await placed(payer), 1);
});
