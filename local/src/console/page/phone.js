// The payer's phone: what waits to be paid, and the sheet on which it is paid.

import * as calls from "./calls.js";
import { button, byId, make, press, say, write } from "./elements.js";
import { id, money } from "./written.js";
import { word } from "./words.js";

/** What is open: an order with what the phone was handed for it, and whether it is paid. */
let sheet = null;
/** The order whose code can be scanned, from the desk's screen. */
let code = null;
/** Orders that wait at WeChat Pay. */
let waiting = [];
/** What each order was handed over with, so that it can be opened again. */
const handedOver = new Map();
const payments = new Map();
let shown = "";
let lookAgain = () => {};

export function start(again) {
  lookAgain = again;
  byId("lose").addEventListener("click", (event) => {
    press(event.currentTarget, byId("losing"), async () => {
      await calls.loseNextNotice();
      write(byId("losing"), word("will_lose"));
      byId("losing").dataset.since = String(Date.now());
    });
  });
}

/** Opens the sheet, as wx.requestPayment does. */
export function handOver(order) {
  handedOver.set(order.number, order);
  open(order);
}

/** Resolves when the order was paid on this phone. */
export function paid(number) {
  return new Promise((done) => payments.set(number, done));
}

export function showCode(order) {
  code = order;
  draw();
}

export function takeCodeAway() {
  code = null;
  draw();
}

/** What WeChat Pay says waits to be paid. */
export async function look() {
  waiting = (await calls.waitingToBePaid()).items.reverse();
  const open = new Set(waiting.map((row) => row.out_trade_no));
  if (code && !open.has(code.number) && sheet?.number !== code.number) code = null;
  draw();
}

/** A notification that was lost is told of no more as one that will be. */
export function lost() {
  byId("losing").replaceChildren();
}

function open(order) {
  sheet = { ...order, done: false };
  draw();
  byId("screen").querySelector("button")?.focus();
}

function leave() {
  sheet = null;
  draw();
  (byId("screen").querySelector("button") ?? byId("lose")).focus();
}

/** Draws the screen if it would look otherwise. */
export function draw(afresh = false) {
  const orders = waiting.map(({ out_trade_no, description, amount }) => ({ number: out_trade_no, description, total: amount.total }));
  // While somebody pays, what else waits is not on the screen.
  const look = JSON.stringify(sheet ? [sheet] : [code, orders]);
  if (look === shown && !afresh) return;
  shown = look;
  const focused = byId("screen").contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  byId("screen").replaceChildren(...(sheet ? (sheet.done ? thanks() : payment()) : home(orders)));
  if (focused !== null) [...byId("screen").querySelectorAll("button")].find((each) => each.getAttribute("aria-label") === focused)?.focus();
}

const labelled = (name, number) => ({ "aria-label": word("of", { what: word(name), number }) });

function home(orders) {
  const parts = [];
  if (code) parts.push(button(word("scan"), () => open(code), { class: "main wide", ...labelled("scan", code.number) }));
  const others = orders.filter(({ number }) => number !== code?.number);
  if (others.length > 0) {
    parts.push(make("h3", {}, word("phone_waiting")));
    parts.push(make("ul", { class: "cards" }, ...others.map(({ number, description, total }) => {
      const order = handedOver.get(number) ?? { number, description, total, handed: {}, checks: "checks_nothing" };
      return make("li", {},
        make("p", { class: "what" }, make("span", { class: "text" }, description), money(total)), id(number),
        button(word("open_payment"), () => open(order), { class: "small", ...labelled("open_payment", number) }));
    })));
  }
  if (parts.length === 0) parts.push(make("p", { class: "idle" }, word("phone_idle")));
  return parts;
}

function payment() {
  const { number, description, total, handed, checks } = sheet;
  const wrong = make("p", { class: "wrong", role: "alert" });
  const act = (what, then) => (event) => press(event.currentTarget, wrong, async () => {
    await calls.onPhone(number, what, handed);
    then();
    await lookAgain();
  });
  const pay = act("pay", () => {
    payments.get(number)?.();
    if (code?.number === number) code = null;
    sheet = { ...sheet, done: true };
    draw();
    byId("screen").querySelector("button").focus();
  });
  const back = (told) => () => {
    say(word(told));
    leave();
  };
  return [
    make("div", { class: "sheet" },
      make("p", { class: "quiet text" }, description),
      make("p", { class: "money large" }, money(total)),
      id(number),
      button(word("pay"), pay, { class: "main wide", ...labelled("pay", number) }),
      make("div", { class: "buttons" },
        button(word("cancel"), act("cancel", back("told_cancelled")), { class: "small", ...labelled("cancel", number) }),
        button(word("fails"), act("fail", back("told_failed")), { class: "small", ...labelled("fails", number) })),
      wrong,
      make("p", { class: "quiet hint" }, word(checks))),
  ];
}

function thanks() {
  return [
    make("div", { class: "sheet" },
      make("p", { class: "tick", "aria-hidden": "true" }, "✓"),
      make("p", { class: "paid", role: "status" }, word("paid")),
      make("p", { class: "money large" }, money(sheet.total)),
      id(sheet.number),
      button(word("done"), leave, { class: "wide", ...labelled("done", sheet.number) }),
      make("p", { class: "quiet hint" }, word("told_by_notice"))),
  ];
}
