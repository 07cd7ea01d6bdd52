// Everything that the page asks for. As a payer it calls the API itself; as the merchant, and at the
// simulated WeChat Pay, through the console, which adds the key that the page never holds.

import { inChinese } from "./words.js";

/** A refusal, with its status. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** No answer at all. */
export class Silent extends Error {}

async function call(method, path, { body, headers = {} } = {}) {
  const answer = await fetch(path, {
    method,
    cache: "no-store",
    headers: {
      Accept: "application/json",
      "Accept-Language": inChinese() ? "zh-CN" : "en",
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch(() => {
    throw new Silent();
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw new Refused(told.detail ?? told.message ?? String(answer.status), answer.status);
  }
  return told;
}

const escaped = encodeURIComponent;

// What the console itself tells

export const story = (after) => call("GET", `/console/story?after=${after}`);
export const books = () => call("GET", "/console/books");

// As the merchant

const merchant = (method, path, body) => call(method, `/console/merchant${path}`, { body });

export const orderAtDesk = (out_trade_no, description, total) =>
  merchant("POST", "/orders", { trade_type: "native", out_trade_no, description, amount: { total } });

export const refundAsMerchant = (order, out_refund_no, refund, reason) =>
  merchant("POST", `/orders/${escaped(order)}/refunds`, { out_refund_no, amount: { refund }, ...(reason ? { reason } : {}) });

/** `what` is approve, reject, retry or withdraw. */
export const decide = (order, refund, what) => merchant("POST", `/orders/${escaped(order)}/refunds/${escaped(refund)}/${what}`, {});

// At the simulated WeChat Pay

const wechatpay = (method, path, body) => call(method, `/console/wechatpay${path}`, { body });

export const clock = () => wechatpay("GET", "/clock");
export const moveClock = (advance_s) => wechatpay("POST", "/clock", { advance_s, wait: true });
export const waitingToBePaid = () => wechatpay("GET", "/ledger?open=orders&last=20");
/** `what` is pay, cancel or fail; `handed` is what the phone was handed. */
export const onPhone = (order, what, handed) => wechatpay("POST", `/orders/${escaped(order)}/${what}`, handed);
export const loseNextNotice = () => wechatpay("POST", "/faults", { name: "notice_lost_for_good", count: 1 });
export const requestAtWechatpay = (entered) => wechatpay("GET", `/requests/${entered}`);
export const noticeAtWechatpay = (entered) => wechatpay("GET", `/notifications/${entered}`);

// As a payer

export const articles = () => call("GET", "/articles");

const tokens = new Map();

let appid;

/** Names the app that payers log in to: a sub-merchant's is not the merchant's. */
export const setPayersApp = (named) => { appid = named; };

/** A token of this payer's, or of a new one; a mini-program gets its code from wx.login. */
async function token(openid) {
  if (!tokens.has(openid)) {
    const { code, openid: of } = await wechatpay("POST", "/codes", { ...(appid && { appid }), ...(openid && { openid }) });
    const { token } = await call("POST", "/sessions", { body: { code } });
    tokens.set(of, token);
    return { openid: of, token };
  }
  return { openid, token: tokens.get(openid) };
}

/** Logs in, as a new payer where none is named, and says who it is. */
export const logIn = async (openid) => (await token(openid)).openid;

async function asPayer(openid, method, path, options = {}) {
  const ask = async () => {
    const held = await token(openid);
    return call(method, path, { ...options, headers: { Authorization: `Bearer ${held.token}`, ...options.headers } });
  };
  try {
    return await ask();
  } catch (refused) {
    if (refused.status !== 401) throw refused;
    // The token is over: a mini-program logs in again, and the payer sees nothing of it.
    tokens.delete(openid);
    return ask();
  }
}

const key = () => crypto.randomUUID().replaceAll("-", "");

export const orderAsPayer = (openid, items) =>
  asPayer(openid, "POST", "/orders", { body: { trade_type: "jsapi", items }, headers: { "Idempotency-Key": key() } });

export const orderOfPayer = (openid, order) => asPayer(openid, "GET", `/orders/${escaped(order)}`);

export const askForRefund = (openid, order, refund, reason) =>
  asPayer(openid, "POST", `/orders/${escaped(order)}/refunds`, {
    body: { amount: { refund }, ...(reason ? { reason } : {}) },
    headers: { "Idempotency-Key": key() },
  });
