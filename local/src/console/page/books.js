// Both sides' books: each order and refund as the table and WeChat Pay have it, with what differs.

import { byId, forget, make, show, write } from "./elements.js";
import * as timeline from "./timeline.js";
import { chip, id, money, state, yuan } from "./written.js";
import { word } from "./words.js";

export function draw(books) {
  drawBalance(books);
  const rows = books.orders.flatMap((order) => [
    { ...order, key: order.out_trade_no },
    ...order.refunds.map((refund) => ({ ...refund, key: `${order.out_trade_no} ${refund.out_refund_no}`, of: order.out_trade_no })),
  ]);
  byId("books").hidden = rows.length === 0;
  byId("no-books").hidden = rows.length > 0;
  show(byId("book-rows"), rows, ({ key }) => key, row);
  const { length: n } = books.orders;
  write(byId("more-books"), books.total > n ? word("newest_of", { n, total: books.total }) : "");
}

function drawBalance({ balanced, differences, here, there }) {
  byId("balance").dataset.state = balanced ? "good" : "bad";
  const unbalanced = differences === 1 ? "unbalanced_one" : "unbalanced";
  write(byId("balance-text"), word(balanced ? "balanced" : unbalanced, { n: differences }));
  const sums = here.kept === there.kept
    ? word("sums", { paid: yuan(here.paid), refunded: yuan(here.refunded), kept: yuan(here.kept) })
    : word("sums_differ", { kept: yuan(here.kept), there: yuan(there.kept) });
  write(byId("balance-sums"), sums);
  write(byId("differences"), balanced ? "" : String(differences));
}

export function forgetRows() {
  forget(byId("book-rows"));
}

function row({ of, out_trade_no, out_refund_no }) {
  const order = of === undefined;
  const number = order ? out_trade_no : out_refund_no;
  const about = make("span", { class: "quiet text" });
  const what = make("th", { scope: "row" });
  if (order) {
    const link = make("a", { href: `#order=${encodeURIComponent(number)}`, onclick: (event) => {
      event.preventDefault();
      timeline.tell(number);
    } }, id(number));
    what.append(link, about);
  } else {
    what.append(make("span", { class: "of-refund" }, "↩ ", id(number)), about);
  }
  const cells = ["amount", "here", "there"].map((name) => make("td", { "data-side": word(name) }));
  const why = make("p", { class: "difference" });
  what.append(why);
  const element = make("tr", { class: order ? "order" : "refund" }, what, ...cells);
  return {
    element,
    update(row) {
      write(about, order ? (row.description ?? "") : (row.reason ?? word("refund")));
      cells[0].replaceChildren(money(row.amount_fen));
      cells[1].replaceChildren(state(row.here), ...(row.needs_human ? [" ", chip(word("needs_human"), "bad")] : []));
      cells[2].replaceChildren(state(row.there));
      element.classList.toggle("differs", Boolean(row.difference));
      write(why, row.difference ? `≠ ${difference(row, order)}` : "");
    },
  };
}

function difference({ difference: kind, amount_there_fen: there }, order) {
  const done = order && kind.startsWith("done_") ? `differs_${kind}_order` : `differs_${kind}`;
  return word(done, { there: yuan(there) });
}
