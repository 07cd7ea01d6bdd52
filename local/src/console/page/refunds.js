// Refunds that wait for the merchant: to be approved or rejected, or, where WeChat Pay refused one, to be
// sent again or withdrawn.

import * as calls from "./calls.js";
import { button, byId, forget, make, press, say, show, write } from "./elements.js";
import { id, money, state } from "./written.js";
import { word } from "./words.js";

let lookAgain = () => {};

export function start(again) {
  lookAgain = again;
}

export function draw(orders) {
  const all = orders.flatMap((order) => order.refunds.map((refund) => ({ ...refund, order: order.out_trade_no, what: order.description })));
  const waiting = all.filter((refund) => refund.here === "REQUESTED" || (refund.here === "RESERVED" && refund.needs_human));
  byId("waiting").hidden = waiting.length === 0;
  write(byId("waiting-count"), waiting.length > 0 ? String(waiting.length) : "");
  show(byId("refunds"), waiting, (refund) => `${refund.order} ${refund.out_refund_no} ${refund.here}`, row);
}

export function forgetRows() {
  forget(byId("refunds"));
}

function row(refund) {
  const number = refund.out_refund_no;
  const wrong = make("p", { class: "wrong", role: "alert" });
  const act = (what, style) => {
    const decide = (event) => press(event.currentTarget, wrong, async () => {
      await calls.decide(refund.order, number, what);
      say(word(`told_${what}`));
      await lookAgain();
    });
    return button(word(what), decide, { class: style, "aria-label": word("of", { what: word(what), number }) });
  };
  const requested = refund.here === "REQUESTED";
  const why = requested ? (refund.reason ?? word("no_reason")) : word("stuck", { why: refund.needs_human });
  return {
    element: make("li", {},
      make("div", { class: "about" },
        make("p", { class: "what" }, make("span", { class: "text" }, requested ? `“${why}”` : why), money(refund.amount_fen)),
        make("p", { class: "quiet" }, word("refund_of"), " ", id(refund.order), " ", refund.what ?? "", " · ", word(`asked_by_${refund.asked_by ?? "merchant"}`)),
        make("p", { class: "states" }, state(refund.here), id(number))),
      make("div", { class: "buttons" }, ...(requested ? [act("approve", "main"), act("reject", "")] : [act("retry", "main"), act("withdraw", "")])),
      wrong),
  };
}
