// A rule that the merchant broke.

import { make } from "./dom.js";
import { opening } from "./lists.js";
import { chip, moment } from "./looks.js";
import { t, told } from "./words.js";

const head = (row) => [
  moment(row.at),
  make("span", { class: "main" }, make("strong", {}, t(row.kind).replaceAll("_", " ")), " ", make("code", {}, row.out_trade_no ?? "")),
  row.fault ? chip(row.fault, "wait") : null,
];

export const violationRow = () => opening(head, (row) => [make("p", {}, told(row.explanation))], () => true);
