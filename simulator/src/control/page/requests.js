// A request of the merchant: what came of it, why, and what went over the wire.

import { make, pairs } from "./dom.js";
import { opening } from "./lists.js";
import { chip, moment, statusChip } from "./looks.js";
import { sideBySide } from "./signatures.js";
import { exchangeView, fill } from "./wire.js";
import { t, told } from "./words.js";

/** Whether a request was refused, dropped or struck by a fault. */
export const isStrange = (row) => row.status === 0 || row.status >= 300 || Boolean(row.fault);

const head = (row) => [
  moment(row.at),
  make("span", { class: "main" }, make("strong", {}, row.method), " ", make("code", {}, row.path)),
  row.fault ? chip(row.fault, "wait") : null,
  make("span", { class: "end" }, told(row.verdict)),
  row.status ? statusChip(row.status) : chip("dropped", "bad"),
];

const explanationOf = (row) => told(row.signed_texts ? row.explanation.split("\n")[0] : row.explanation);

/** The row of a request; its bodies are asked for when it is opened. */
export function requestRow(first) {
  const wire = make("div", { class: "wire" });
  const sides = [t("The merchant asked"), t("WeChat Pay answered")];
  const body = (row) => [
    row.explanation ? make("p", { class: "explanation" }, explanationOf(row)) : null,
    row.signed_texts ? make("div", { class: "scroll" }, sideBySide(row.signed_texts)) : null,
    pairs([
      [t("query"), row.query], [t("operation"), row.operation], [t("order"), row.out_trade_no], ["serial_no", row.serial_no],
    ]),
    wire,
  ];
  const draw = ({ exchange, answer }) => [
    ...exchangeView(exchange, sides),
    ...(exchange === null && answer ? [pairs([[t("answer"), answer]])] : []),
  ];
  const opened = () => wire.hasChildNodes() || fill(wire, `/_sim/requests/${first.entered}`, draw);
  return opening(head, body, () => false, opened);
}
