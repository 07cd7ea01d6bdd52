// The sample shop: its very pages, as DevTools runs them, with the simulator in place of WeChat.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { number, Stack } from "../node/stack.mjs";
import { MINIPROGRAM, Phone, Shop } from "./phone.js";

let stack;
before(async () => (stack = await Stack.start()));
after(() => stack.stop());

const phone = () => new Phone(stack, number("oVisitor-of-the-sample-shop"));
const touch = (data) => ({ currentTarget: { dataset: data } });

test("a visitor fills a cart, pays, sees the order and asks for a refund", async () => {
  const shop = new Shop(phone());
  const page = await shop.open("shop");
  assert.ok(page.data.articles.length >= 3, page.data.message);
  const tea = page.data.articles.find(({ sku }) => sku === "tea");
  assert.equal(tea.price, "¥3.00");
  for (const sku of ["tea", "tea", "coffee", "coffee"]) page.add(touch({ sku }));
  page.remove(touch({ sku: "coffee" }));
  assert.equal(page.data.total, "¥6.01");
  await page.checkOut();
  assert.equal(page.data.message, "");
  assert.equal(page.data.count, 0, "the cart is empty");
  assert.equal(shop.questions.length, 1);

  const [, out_trade_no] = shop.visited[0].split("out_trade_no=");
  const order = await shop.open("order", { out_trade_no });
  assert.equal(order.data.state, "已支付");
  assert.equal(order.data.amount, "¥6.01");
  assert.ok(order.data.mayRefund);
  await order.requestRefund();
  assert.equal(order.data.message, "");
  assert.deepEqual(order.data.refunds.map(({ status, amount }) => [status, amount]), [["退款待商家审核", "¥6.01"]]);
  assert.ok(!order.data.mayRefund, "one request at a time");
});

test("a visitor who cancels finds the order in the list and can close it", async () => {
  const payer = phone();
  payer.answersDialog = "cancel";
  const shop = new Shop(payer);
  const page = await shop.open("shop");
  page.add(touch({ sku: "coffee" }));
  await page.checkOut();
  assert.equal(page.data.message, "已取消支付");
  assert.equal(page.data.count, 1, "the cart is kept");
  const orders = await shop.open("orders");
  assert.deepEqual(orders.data.orders.map(({ state, amount }) => [state, amount]), [["待支付", "¥0.01"]]);
  const order = await shop.open("order", { out_trade_no: orders.data.orders[0].out_trade_no });
  assert.ok(order.data.mayClose);
  await order.close();
  assert.equal(order.data.state, "已关闭");
  assert.ok(!order.data.mayClose);
});

test("the list goes on where the page ends, and every order stands in it once", async () => {
  const payer = phone();
  const payments = payer.payments();
  for (let at = 0; at < 23; at += 1) {
    await payments.buy(`order ${at}`, { items: [{ sku: "coffee", quantity: 1 }] });
  }
  const shop = new Shop(payer);
  const orders = await shop.open("orders");
  assert.equal(orders.data.orders.length, 20);
  await orders.onReachBottom();
  assert.equal(new Set(orders.data.orders.map(({ out_trade_no }) => out_trade_no)).size, 23);
  assert.equal(orders.onReachBottom(), undefined, "there is nothing more");
});

test("each page that the app names is there, and binds only what its script has", () => {
  const app = JSON.parse(fs.readFileSync(path.join(MINIPROGRAM, "app.json")));
  assert.ok(app.pages.length >= 3);
  for (const page of app.pages) {
    const read = (ending) => fs.readFileSync(path.join(MINIPROGRAM, `${page}.${ending}`), "utf8");
    const [script, view] = [read("js"), read("wxml")];
    JSON.parse(read("json"));
    for (const [, handler] of view.matchAll(/bind\w+="(\w+)"/g)) {
      assert.match(script, new RegExp(`\\b${handler}\\(`), `${page} binds ${handler}`);
    }
  }
});
