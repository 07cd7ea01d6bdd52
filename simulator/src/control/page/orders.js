// Orders and refunds: cards of those that wait for somebody, and rows of the ledger.

import { make, pairs, write } from "./dom.js";
import { chip, clock, moment, span, tradeType, yuan } from "./looks.js";
import { call, copier, press, say } from "./talk.js";
import { t } from "./words.js";

const address = (kind, number, verb) => `/_sim/${kind}/${encodeURIComponent(number)}/${verb}`;

/** What a press on Pay checks and what it does not; what it does not can be handed in below. */
const CHECKED = "Checked: the order waits for its payer and its time is not over; the newest id (prepay_id, code or link) still lives; only one payer pays.";
const UNCHECKED = "Not checked: paySign and the other fields that the merchant’s page hands to WeChat, the app that the page runs in, an older id, who pays.";

/** The field for what the merchant's page hands over, where a trade type has such a thing. */
function handedOver(number, mchid, tradeTypeOfOrder, wrong) {
  const name = { JSAPI: "wx.requestPayment", APP: "PayReq" }[tradeTypeOfOrder];
  if (!name) return null;
  const text = make("textarea", { rows: "4", spellcheck: "false", autocomplete: "off" });
  const button = make("button", {
    type: "button", "aria-label": t("Check and pay {number}", { number }),
    onclick: () => press(button, wrong, async () => {
      const fields = parsed(text.value);
      const attempt = name === "PayReq" ? { mchid, app: fields } : { mchid, pay: fields };
      await call("POST", address("orders", number, "pay"), attempt);
      say(t("Paid {number}; the notice is on its way.", { number }));
    }),
  }, t("Check and pay"));
  return make("div", { class: "handed" },
    make("label", {}, t("To check them too, paste the fields of {name} as JSON", { name }), text), make("p", { class: "row" }, button));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    // Refused by the simulator in its own words.
    return text;
  }
}

/** The QR code of a Native order; WeChat itself knows nothing of it. */
function qrCode(row) {
  if (!row.code_url) return null;
  const query = new URLSearchParams({ mchid: row.mchid, code: row.code_url });
  return make("img", { class: "qr", loading: "lazy", src: `${address("orders", row.out_trade_no, "code.svg")}?${query}`, alt: t("QR code of {number}", { number: row.out_trade_no }), width: "116", height: "116" });
}

export function orderCard(first) {
  const wrong = make("p", { class: "wrong", role: "alert" });
  const text = make("span", { class: "text" });
  const amount = make("span", { class: "amount" });
  const about = make("p", { class: "about" });
  const left = make("span", { class: "left-to-pay" });
  const code = make("div", { class: "code" });
  const rest = make("div");
  const number = first.out_trade_no;
  const act = (verb, done) => (event) =>
    press(event.currentTarget, wrong, async () => {
      await call("POST", address("orders", number, verb), { mchid: first.mchid });
      say(t(done, { number }));
    });
  const button = (label, verb, done, style = "") =>
    make("button", { type: "button", class: style, "aria-label": `${t(label)} ${number}`, onclick: act(verb, done) }, t(label));
  const element = make("li", {},
    make("p", { class: "what" }, text, amount),
    make("div", { class: "beside" }, about, code),
    make("div", { class: "row" },
      button("Pay", "pay", "Paid {number}; the notice is on its way.", "pay"),
      button("Fail", "fail", "The payment of {number} failed; it can be tried again."),
      button("Cancel", "cancel", "The payer cancelled {number}; it can be tried again.")),
    wrong,
    make("details", {}, make("summary", {}, t("What Pay checks")),
      make("div", { class: "inside" }, make("p", {}, t(CHECKED)), make("p", {}, t(UNCHECKED)), handedOver(number, first.mchid, first.trade_type, wrong))),
    make("details", {}, make("summary", {}, t("Details")), make("div", { class: "inside" }, rest)));
  return {
    element,
    tick() {
      write(left, t("{span} left", { span: span(this.until - clock.business()) }));
    },
    update(row) {
      this.until = Date.parse(row.payable_until);
      write(text, row.description);
      write(amount, yuan(row.amount.total));
      const tries = row.failed_attempts;
      about.replaceChildren(
        ...[chip(tradeType(row.trade_type), "calm"), make("code", {}, number),
          make("span", {}, t("payable until "), moment(row.payable_until), " · ", left),
          tries ? chip(t(tries === 1 ? "{tries} failed attempt" : "{tries} failed attempts", { tries }), "wait") : null].filter(Boolean));
      if (this.code !== row.code_url) code.replaceChildren(...[qrCode(row)].filter(Boolean));
      this.code = row.code_url;
      rest.replaceChildren(orderPairs(row));
      this.tick();
    },
  };
}

const withCopier = (name, text) => (text ? make("span", { class: "copied" }, make("code", {}, text), " ", copier(t("Copy"), name, () => text)) : null);

const orderPairs = (row) => pairs([
  [t("placed"), moment(row.created_at)], [t("payable until"), moment(row.payable_until)], [t("paid"), row.success_time && moment(row.success_time)],
  ["transaction_id", row.transaction_id], [t("merchant"), row.mchid], [t("sub-merchant"), row.sub_mchid], ["appid", row.appid],
  ["openid", row.openid], ["attach", row.attach], ["notify_url", row.notify_url],
  ["prepay_id", row.prepay_id], ["code_url", withCopier("code_url", row.code_url)], ["h5_url", withCopier("h5_url", row.h5_url)],
]);

export function refundCard(first) {
  const wrong = make("p", { class: "wrong", role: "alert" });
  const about = make("p", { class: "about" });
  const row = make("div", { class: "row" });
  const number = first.out_refund_no;
  const act = (label, verb, done, style = "") =>
    make("button", {
      type: "button", class: style, "aria-label": `${t(label)} ${number}`,
      onclick: (event) => press(event.currentTarget, wrong, async () => {
        await call("POST", address("refunds", number, verb), { mchid: first.mchid });
        say(t(done, { number }));
      }),
    }, t(label));
  const complete = act("Complete", "complete", "Refund {number} is complete; the notice is on its way.", "pay");
  const close = act("Close", "close", "Refund {number} is closed; the notice is on its way.");
  const abnormal = act("Abnormal", "abnormal", "Refund {number} is abnormal; the notice is on its way.");
  row.append(complete, close, abnormal);
  return {
    element: make("li", {},
      make("p", { class: "what" }, make("code", { class: "text" }, number), make("span", { class: "amount" }, yuan(first.amount.refund))),
      about, row, wrong),
    update(refund) {
      abnormal.hidden = refund.status === "ABNORMAL";
      about.replaceChildren(
        ...[chip(refund.status), make("span", {}, t("of order "), make("code", {}, refund.out_trade_no)),
          refund.due_at ? make("span", {}, t("the bank finishes it at "), moment(refund.due_at)) : null].filter(Boolean));
    },
  };
}

export function ledgerHead(row) {
  const order = row.kind === "order";
  return [
    moment(row.created_at),
    make("span", { class: "main" }, make("code", {}, order ? row.out_trade_no : row.out_refund_no), " ",
      make("span", { class: "end" }, order ? row.description : t("refund of {out_trade_no}", row))),
    order ? chip(tradeType(row.trade_type), "calm") : chip("refund", "calm"),
    make("span", { class: "money" }, yuan(order ? row.amount.total : row.amount.refund)),
    chip(order ? row.trade_state : row.status),
  ];
}

export function ledgerBody(row) {
  if (row.kind === "order") return [orderPairs(row)];
  return [pairs([
    [t("asked"), moment(row.created_at)], [t("finished"), row.success_time && moment(row.success_time)], [t("due"), row.due_at && moment(row.due_at)],
    ["refund_id", row.refund_id], ["transaction_id", row.transaction_id], [t("merchant"), row.mchid], ["notify_url", row.notify_url],
  ])];
}
