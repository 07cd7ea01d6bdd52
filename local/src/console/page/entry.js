// One entry of what happened: a line, and everything about it when it is opened.

import * as calls from "./calls.js";
import { button, make } from "./elements.js";
import { itemTable, lineOf } from "./item.js";
import { appid } from "./terminal.js";
import * as timeline from "./timeline.js";
import { chip, id, moment, status } from "./written.js";
import { word } from "./words.js";

/** How much of one text in a body is shown: a QR code as a picture is ten thousand characters. */
const TEXT_MAX = 400;

export function entryRow(entry) {
  const inside = make("div", { class: "inside" });
  const details = make("details", { class: `entry ${entry.kind}` }, make("summary", {}, ...head(entry)), inside);
  details.addEventListener("toggle", () => {
    if (details.open && inside.childElementCount === 0) fill(inside, entry);
  });
  return { element: make("li", {}, details) };
}

async function fill(inside, entry) {
  inside.append(...body(entry).filter(Boolean));
  const exchange = await exchangeOf(entry);
  if (exchange) inside.append(...exchange.filter(Boolean));
}

// The line

function head(entry) {
  const [first, end] = line(entry);
  const number = entry.refund ?? entry.order ?? (entry.kind === "table" ? entry.pk : null);
  const by = entry.by && entry.by.replace(/Function$/, "");
  const named = number && !(entry.target ?? entry.path ?? "").includes(number);
  return [
    moment(entry.at_ms),
    make("span", { class: `chip kind ${entry.kind}` }, word(`kind_${entry.kind}`)),
    make("span", { class: "main" }, make("span", { class: "first" }, ...first),
      (named || by) && make("span", { class: "second" }, named && id(number), by && make("span", { class: "quiet" }, by))),
    make("span", { class: "end" }, end),
  ];
}

const path = (target) => make("code", { class: "id", title: target }, target.split("?")[0]);
const method = (text) => make("strong", { class: "method" }, text);

function line(entry) {
  switch (entry.kind) {
    case "api":
      return [[method(entry.method), path(entry.target)], status(entry.status)];
    case "notice":
      return [[make("strong", {}, entry.event_type ?? entry.target)], entry.lost ? chip(word("lost"), "bad") : status(entry.status)];
    case "wechatpay":
      return [[method(entry.method), path(entry.path)], status(entry.status)];
    case "table":
      return [lineOf(entry), null];
    default:
      return [[make("strong", {}, entry.name)], null];
  }
}

// What stands inside

function body(entry) {
  const only = entry.order && make("p", { class: "about" },
    button(word("only_this", { number: entry.order }), () => timeline.tell(entry.order), { class: "small" }),
    entry.function && make("span", { class: "quiet" }, `${entry.function}, ${entry.took_ms} ms`));
  switch (entry.kind) {
    case "api":
      return [only, ...message("request", entry.request), ...message("answer", entry.answer), ...signedPay(entry.answer.body)];
    case "notice":
      return entry.lost ? [only, make("p", { class: "why" }, word("lost_on_the_way"), " ", entry.lost)] : [only, ...notice(entry)];
    case "wechatpay":
      return [only, ...refused(entry)];
    case "table":
      return [only, itemTable(entry)];
    default:
      return [only, ...block("envelope", pretty(JSON.stringify(entry.envelope)))];
  }
}

/** What paySign is over, where an answer has one. */
function signedPay(body) {
  if (!body.includes('"paySign"')) return [];
  const { timeStamp, nonceStr, package: prepay } = JSON.parse(body).pay;
  return block("signed_pay", lines(`${appid()}\n${timeStamp}\n${nonceStr}\n${prepay}\n`));
}

function notice(entry) {
  const headers = Object.fromEntries(entry.request.headers.map(([name, value]) => [name.toLowerCase(), value]));
  const signed = `${headers["wechatpay-timestamp"]}\n${headers["wechatpay-nonce"]}\n${entry.request.body}\n`;
  return [
    ...(entry.opened ? block("opened", pretty(entry.opened)) : [make("p", { class: "why" }, word("not_opened"))]),
    ...message("request", entry.request),
    ...block("signed_notice", lines(signed)),
    ...message("answer", entry.answer),
  ];
}

function refused(entry) {
  const says = [];
  if (entry.fault) says.push(chip(word("fault", { name: entry.fault }), "bad"));
  if (entry.status >= 300 || entry.status === 0) says.push(make("p", { class: "why" }, entry.verdict, entry.explanation ? `\n${entry.explanation}` : ""));
  return says;
}

/** What WeChat Pay keeps of a request, or of a notification that never arrived: asked for when it is opened. */
async function exchangeOf(entry) {
  const asked = entry.kind === "wechatpay" ? calls.requestAtWechatpay(entry.entered) : entry.lost ? calls.noticeAtWechatpay(entry.notice) : null;
  if (asked === null) return null;
  const told = await asked.catch(() => ({}));
  const exchange = entry.lost ? told.attempts?.[entry.attempt]?.exchange : told.exchange;
  if (!exchange) return [make("p", { class: "quiet" }, word("gone"))];
  const { request, answer } = exchange;
  return [
    ...(exchange.opened ? block("opened", pretty(textOf(exchange.opened))) : []),
    ...message("request", { headers: request.headers, body: textOf(request.body) }),
    ...(request.signed_text ? block(entry.lost ? "signed_notice" : "signed_request", lines(request.signed_text)) : []),
    ...(answer ? message("answer", { headers: answer.headers, body: textOf(answer.body) }) : []),
    ...(answer?.signed_text ? block("signed_answer", lines(answer.signed_text)) : []),
  ];
}

/** A body of the simulator's: a text, or `{text}`, or `{base64}`. */
const textOf = (body) => (typeof body === "string" ? body : (body?.text ?? body?.base64 ?? (body ? JSON.stringify(body) : "")));

function message(name, { headers, body }) {
  const list = make("dl", { class: "pairs" }, ...headers.flatMap(([header, value]) => [make("dt", {}, header), make("dd", {}, make("code", {}, value))]));
  const count = headers.length === 1 ? word("headers_one") : word("headers", { n: headers.length });
  return [
    make("h4", {}, word(name)),
    headers.length > 0 && make("details", { class: "headers" }, make("summary", {}, count), list),
    body === "" ? make("p", { class: "quiet" }, word("no_body")) : make("pre", { tabindex: "0" }, pretty(body)),
  ];
}

function block(name, text) {
  return [make("h4", {}, word(name)), make("pre", { tabindex: "0" }, text)];
}

/** A body laid out for reading; what is no JSON stays as it is. */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), (_, value) => (typeof value === "string" ? shortened(value) : value), 2);
  } catch {
    return text;
  }
}

const shortened = (text) => (text.length <= TEXT_MAX ? text : `${text.slice(0, 80)}${word("cut", { n: text.length - 80 })}`);

/** A signed text with its line feeds seen: each line ends with one. */
const lines = (text) => text.replaceAll("\n", "↵\n");
