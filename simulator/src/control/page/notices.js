// A notice: where it stands, every attempt with what was sent and answered, and sending it once more.

import { make } from "./dom.js";
import { opening } from "./lists.js";
import { chip, moment, statusChip } from "./looks.js";
import { call, press, say } from "./talk.js";
import { exchangeView, fill } from "./wire.js";
import { t, told } from "./words.js";

/** Whether somebody should look at a notice: it came to nothing, or its latest attempt did. */
function inTrouble(row) {
  if (row.state === "delivered") return false;
  return row.state !== "pending" || row.attempts.length > 0;
}

const head = (row) => [
  moment(row.created_at),
  make("span", { class: "main" }, make("strong", {}, row.event_type), " ", make("code", {}, row.out_refund_no ?? row.out_trade_no)),
  row.invented ? chip("a fault’s invention", "wait") : null,
  row.lost_for_good ? chip("lost for good", "wait") : null,
  row.attempts.length > 1 ? make("span", { class: "end" }, t("{count} attempts", { count: row.attempts.length })) : null,
  row.next_attempt_at ? make("span", { class: "end" }, t("next attempt "), moment(row.next_attempt_at)) : null,
  chip(row.state),
];

/** The bodies of an attempt, asked for when they are opened. */
function bodiesOf(row, place) {
  const inside = make("div", { class: "inside" });
  const path = `/_sim/notifications/${row.entered}`;
  const draw = ({ attempts }) => exchangeView(attempts[place].exchange, [t("WeChat Pay sent"), t("The merchant answered")]);
  const details = make("details", { ontoggle: () => details.open && fill(inside, path, draw) },
    make("summary", {}, row.attempts.length > 1 ? t("Bodies of attempt {number}", { number: place + 1 }) : t("Bodies")), inside);
  return details;
}

function attemptRow(attempt) {
  return make("tr", {},
    make("td", {}, moment(attempt.at)),
    make("td", {}, statusChip(attempt.status)),
    make("td", { class: "number" }, `${attempt.took_ms} ms`),
    make("td", {}, told(attempt.verdict), attempt.resent ? " " : null, attempt.resent ? chip("sent again by hand", "calm") : null));
}

/** The row of a notice. What was opened of its attempts stays open while more are made. */
export function noticeRow() {
  const wrong = make("p", { class: "wrong", role: "alert" });
  const bodies = [];
  let shown;
  const again = make("button", {
    type: "button", class: "small",
    onclick: () => press(again, wrong, async () => {
      await call("POST", `/_sim/notifications/${shown.entered}/resend`);
      say(t("The notice of {number} is on its way again.", { number: shown.out_refund_no ?? shown.out_trade_no }));
    }),
  }, t("Send again"));
  const buttons = make("p", { class: "row" }, again, make("span", { class: "hint" }, t("At once and genuine, sealed and signed afresh.")));
  const attempts = make("div", { class: "attempts-list" });
  const table = make("tbody");
  const scroll = make("div", { class: "scroll" }, make("table", { class: "attempts" },
    make("thead", {}, make("tr", {}, ...["Time", "Status", "Took", "Verdict"].map((name) => make("th", { scope: "col" }, t(name))))), table));
  const to = make("p", { class: "hint" });
  const body = (row) => {
    shown = row;
    table.replaceChildren(...row.attempts.map(attemptRow));
    if (bodies.length === 1 && row.attempts.length > 1) bodies[0].querySelector("summary").textContent = t("Bodies of attempt {number}", { number: 1 });
    while (bodies.length < row.attempts.length) {
      bodies.push(bodiesOf(row, bodies.length));
      attempts.append(bodies.at(-1));
    }
    to.replaceChildren(t("to "), make("code", {}, row.url || t("nowhere")));
    again.setAttribute("aria-label", t("Send again: {event} of {number}", { event: row.event_type, number: row.out_refund_no ?? row.out_trade_no }));
    buttons.hidden = !row.url;
    return [
      row.why ? make("p", { class: "explanation" }, told(row.why)) : null,
      row.attempts.length ? scroll : null,
      to, attempts, buttons, wrong,
    ];
  };
  return opening(head, body, inTrouble);
}
