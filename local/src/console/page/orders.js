// The newest orders under the shop, and the dialog by which a payer asks for money back or the merchant
// gives it.

import * as calls from "./calls.js";
import { button, byId, forget, make, press, say, show, write } from "./elements.js";
import * as timeline from "./timeline.js";
import { chip, id, money, state, yuan } from "./written.js";
import { word } from "./words.js";

const SHOWN = 6;

/** What the dialog is about, while it is open. */
let asked = null;

export function draw(orders) {
  const newest = orders.slice(0, SHOWN);
  byId("no-orders").hidden = newest.length > 0;
  show(byId("orders"), newest, (order) => order.out_trade_no, row);
}

export function forgetRows() {
  forget(byId("orders"));
}

function row({ out_trade_no: number, description }) {
  const amount = make("span");
  const states = make("p", { class: "states" });
  const buttons = make("div", { class: "buttons" });
  const label = (name) => ({ class: "small", "aria-label": word("of", { what: word(name), number }) });
  const ask = button(word("ask_refund"), () => open("ask"), label("ask_refund"));
  const give = button(word("give_refund"), () => open("give"), label("give_refund"));
  let order;
  const open = (how) => openDialog(how, order, how === "ask" ? ask : give);
  buttons.append(button(word("story"), () => timeline.tell(number), label("story")), ask, give);
  return {
    element: make("li", {}, make("p", { class: "what" }, make("span", { class: "text" }, description ?? number), amount), id(number), states, buttons),
    update(told) {
      order = told;
      amount.replaceChildren(money(order.amount_fen));
      const refunds = order.refunds.map((refund) => make("span", { class: "of-refund" }, "↩ ", money(refund.amount_fen), " ", state(refund.here ?? refund.there)));
      states.replaceChildren(state(order.here ?? order.there), ...(order.needs_human ? [chip(word("needs_human"), "bad")] : []), ...refunds);
      const refundable = order.here === "SUCCESS" && order.refundable > 0;
      ask.hidden = !refundable || order.placed_by !== "payer";
      give.hidden = !refundable;
    },
  };
}

function openDialog(how, order, opener) {
  asked = { how, order, opener };
  const places = { number: order.out_trade_no };
  write(byId("refund-title"), word(how === "ask" ? "ask_title" : "give_title", places));
  write(byId("refund-says"), word(how === "ask" ? "ask_says" : "give_says"));
  write(byId("refund-go"), word(how === "ask" ? "ask_refund" : "give_refund"));
  byId("refund-amount").value = (order.refundable / 100).toFixed(2);
  byId("refund-reason").value = "";
  byId("refund-wrong").textContent = "";
  byId("refund-dialog").showModal();
  byId("refund-amount").select();
}

/** Fen of what somebody typed as yuan, or nothing where it is no amount. */
export function fenOf(text) {
  const match = /^(\d{1,8})(?:\.(\d{1,2}))?$/.exec(text.trim().replace(/^[¥￥]/, ""));
  return match ? Number(match[1]) * 100 + Number((match[2] ?? "").padEnd(2, "0")) : null;
}

export function start(lookAgain) {
  const dialog = byId("refund-dialog");
  byId("refund-cancel").addEventListener("click", () => dialog.close());
  byId("refund-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const wrong = byId("refund-wrong");
    press(byId("refund-go"), wrong, async () => {
      const { how, order } = asked;
      const fen = fenOf(byId("refund-amount").value);
      if (!fen || fen > order.refundable) throw new calls.Refused(word("bad_amount", { most: yuan(order.refundable) }));
      const reason = byId("refund-reason").value.trim();
      if (how === "ask") {
        await calls.askForRefund(order.openid, order.out_trade_no, fen, reason);
      } else {
        const number = `${order.out_trade_no}-${Date.now().toString(36)}`;
        await calls.refundAsMerchant(order.out_trade_no, number, fen, reason);
      }
      dialog.close();
      say(word(how === "ask" ? "asked_refund" : "gave_refund"));
      await lookAgain();
    });
  });
  dialog.addEventListener("close", () => {
    const opener = asked?.opener;
    if (opener?.isConnected && !opener.hidden) opener.focus();
    else byId("shop-title").focus();
  });
}
