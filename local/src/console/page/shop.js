// The shop: a basket of articles, bought in the mini-program, or at a desk whose screen shows a QR code.

import * as calls from "./calls.js";
import { button, byId, forget, make, press, say, show, write } from "./elements.js";
import * as phone from "./phone.js";
import { money, yuan } from "./written.js";
import { word } from "./words.js";

const ASK_EVERY_MS = 2000;
const ASK_TIMES = 150;

let articles = [];
const basket = new Map();
/** Who buys in the mini-program; none until the first order. */
let payer = sessionStorage.getItem("wxpay-payer");
/** The order whose code is on the desk's screen. */
let till = null;

const atDesk = () => document.querySelector("input[name=way]:checked").value === "desk";
const total = () => articles.reduce((sum, { sku, amount }) => sum + amount.total * (basket.get(sku) ?? 0), 0);

export function start(lookAgain) {
  for (const way of document.querySelectorAll("input[name=way]")) way.addEventListener("change", draw);
  byId("buy").addEventListener("click", (event) => {
    press(event.currentTarget, byId("shop-wrong"), async () => {
      if (total() === 0) throw new calls.Refused(word("nothing_chosen"));
      await (atDesk() ? sellAtDesk() : buy());
      basket.clear();
      draw();
      await lookAgain();
    });
  });
  byId("other-payer").addEventListener("click", (event) => {
    press(event.currentTarget, byId("shop-wrong"), () => become(null));
  });
  byId("till-next").addEventListener("click", () => {
    till = null;
    phone.takeCodeAway();
    draw();
    byId("shop-title").focus();
  });
}

export async function load() {
  articles = (await calls.articles()).items;
  draw();
}

async function become(openid) {
  payer = await calls.logIn(openid);
  sessionStorage.setItem("wxpay-payer", payer);
  draw();
}

async function buy() {
  await become(payer);
  const items = [...basket].filter(([, quantity]) => quantity > 0).map(([sku, quantity]) => ({ sku, quantity }));
  const order = await calls.orderAsPayer(payer, items);
  phone.handOver({ number: order.out_trade_no, total: order.amount.total, description: basketText(), handed: { pay: order.pay }, checks: "checks_signature" });
  say(word("ordered", { number: order.out_trade_no }));
  waitUntilPaid(payer, order.out_trade_no);
}

/** As a mini-program does: what the phone says is no proof, so the API is asked until the order is paid. */
async function waitUntilPaid(openid, number) {
  await phone.paid(number);
  for (let times = 0; times < ASK_TIMES; times += 1) {
    const order = await calls.orderOfPayer(openid, number).catch(() => null);
    if (!order || order.trade_state === "SUCCESS" || order.trade_state === "CLOSED") return;
    await new Promise((done) => setTimeout(done, ASK_EVERY_MS));
  }
}

const basketText = () => articles.filter(({ sku }) => basket.get(sku)).map(({ description }) => description).join(", ");

/** WeChat Pay takes a description of 127 bytes. */
function short(text) {
  let cut = text;
  while (new TextEncoder().encode(cut).length > 127) cut = cut.slice(0, -1);
  return cut;
}

async function sellAtDesk() {
  const number = `desk-${Date.now().toString(36)}-${Math.trunc(Math.random() * 1296).toString(36).padStart(2, "0")}`;
  const description = short(basketText());
  const order = await calls.orderAtDesk(number, description, total());
  till = { number, total: order.amount.total, svg: order.pay.qr_svg };
  phone.showCode({ number, total: order.amount.total, description, handed: { code_url: order.pay.code_url }, checks: "checks_code" });
  say(word("till_ordered", { number }));
}

/** What both sides say of the order on the desk's screen. */
export function look(orders) {
  if (till === null) return;
  const order = orders.find((order) => order.out_trade_no === till.number);
  till.state = order?.here;
  drawTill();
}

export function draw() {
  byId("payer").hidden = atDesk() || payer === null;
  write(byId("openid"), payer ?? "");
  byId("openid").title = payer ?? "";
  write(byId("buy"), word(atDesk() ? "show_code" : "buy"));
  write(byId("total"), yuan(total()));
  byId("no-articles").hidden = articles.length > 0;
  show(byId("articles"), articles.map((article) => ({ ...article, quantity: basket.get(article.sku) ?? 0 })), ({ sku }) => sku, articleRow);
  drawTill();
}

function articleRow({ sku, description, amount }) {
  const quantity = make("output", { class: "number" });
  const change = (by) => () => {
    basket.set(sku, Math.min(99, Math.max(0, (basket.get(sku) ?? 0) + by)));
    draw();
  };
  const less = button("−", change(-1), { class: "step", "aria-label": word("less", { what: description }) });
  const more = button("+", change(1), { class: "step", "aria-label": word("one_more", { what: description }) });
  const element = make("li", {}, make("span", { class: "what" }, description), money(amount.total), make("span", { class: "stepper" }, less, quantity, more));
  return {
    element,
    update({ quantity: chosen }) {
      write(quantity, String(chosen));
      quantity.setAttribute("aria-label", word("how_many", { n: chosen }));
      element.classList.toggle("chosen", chosen > 0);
      less.setAttribute("aria-disabled", String(chosen === 0));
    },
  };
}

function drawTill() {
  byId("till").hidden = till === null;
  if (till === null) return;
  const image = byId("code");
  const source = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(till.svg)}`;
  if (image.src !== source) image.src = source;
  image.alt = word("code_of", { number: till.number });
  const paid = till.state === "SUCCESS";
  const gone = till.state === "CLOSED";
  byId("till").classList.toggle("paid", paid);
  image.hidden = paid || gone;
  write(byId("till-says"), word(paid ? "till_paid" : gone ? "till_gone" : "till_waits"));
  write(byId("till-amount"), yuan(till.total));
  write(byId("till-number"), till.number);
}

export function forgetRows() {
  forget(byId("articles"));
}
