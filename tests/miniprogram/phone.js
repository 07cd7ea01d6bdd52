// A payer's phone: a small `wx` that logs in and pays at the simulator and sends real requests, with a
// network that can be bad, and what runs the sample's pages.

import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const MINIPROGRAM = fileURLToPath(new URL("../../miniprogram", import.meta.url));

const require = createRequire(import.meta.url);

export const { Payments, PaymentsError } = require(path.join(MINIPROGRAM, "payments/payments.js"));

/** A payer who has this phone in hand. */
export class Phone {
  constructor(stack, openid) {
    this.stack = stack;
    this.openid = openid;
    this.storage = new Map();
    /** What each request was, in order: `POST /orders`. */
    this.requests = [];
    this.keys = [];
    this.dialogs = 0;
    this.faults = [];
    this.answersDialog = "pay";
  }

  /** The next `count` requests that match lose the request, or the answer, or are answered as given. */
  trouble(match, kind, count = 1) {
    this.faults.push({ match, kind, count });
  }

  /** The service as this payer's app sees it; a new one is what a restarted app has. */
  payments(options = {}) {
    return new Payments({ baseUrl: this.stack.api_url, wx: this.wx, ...options });
  }

  async control(path, body) {
    const response = await fetch(`${this.stack.control_url}${path}`, {
      method: body === undefined ? "GET" : "POST",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    return JSON.parse(text);
  }

  /** Pays as WeChat's dialog does: the signed parameters are checked. */
  async payAtWechat(pay) {
    const { items } = await this.control("/_sim/ledger");
    const { out_trade_no } = items.find((row) => `prepay_id=${row.prepay_id}` === pay.package);
    await this.control(`/_sim/orders/${out_trade_no}/pay`, { openid: this.openid, pay });
  }

  fault(what) {
    const fault = this.faults.find(({ match, count }) => count > 0 && match.test(what));
    if (fault) fault.count -= 1;
    return fault?.kind;
  }

  async send({ url, method, header, data, timeout }) {
    const what = `${method} ${new URL(url).pathname}`;
    this.requests.push(what);
    if (header["Idempotency-Key"]) this.keys.push(header["Idempotency-Key"]);
    const fault = this.fault(what);
    if (fault === "request lost") throw new Error("request:fail timeout");
    if (typeof fault === "object") return fault;
    const response = await fetch(url, { method, headers: header, body: data, signal: AbortSignal.timeout(timeout) });
    const answer = { statusCode: response.status, data: await response.text(), header: Object.fromEntries(response.headers) };
    if (fault === "answer lost") throw new Error("request:fail timeout");
    return answer;
  }

  get wx() {
    const failing = (fail) => (error) => fail({ errMsg: String(error.message) });
    return {
      request: (options) => void this.send(options).then(options.success, failing(options.fail)),
      login: ({ success, fail }) => {
        if (this.fault("wx.login")) return fail({ errMsg: "login:fail" });
        this.control("/_sim/codes", { openid: this.openid }).then(success, failing(fail));
      },
      requestPayment: ({ success, fail, ...pay }) => {
        this.dialogs += 1;
        const says = this.answersDialog;
        if (says === "cancel") return fail({ errMsg: "requestPayment:fail cancel" });
        if (says === "lie") return success();
        if (says === "fail") return fail({ errMsg: "requestPayment:fail system error" });
        const paid = this.payAtWechat(pay);
        if (says === "pay") return void paid.then(success, failing(fail));
        // Paid, and the phone says otherwise.
        paid.then(() => fail({ errMsg: "requestPayment:fail cancel" }), failing(fail));
      },
      getStorageSync: (key) => (this.storage.has(key) ? JSON.parse(this.storage.get(key)) : ""),
      setStorageSync: (key, value) => {
        if (this.storageFull) throw new Error("exceed storage max size");
        this.storage.set(key, JSON.stringify(value));
      },
      removeStorageSync: (key) => void this.storage.delete(key),
    };
  }

  /** Counts of one kind of request. */
  sent(what) {
    return this.requests.filter((request) => request === what).length;
  }
}

/** The sample shop, with the very files that DevTools would run. */
export class Shop {
  constructor(phone) {
    this.visited = [];
    this.questions = [];
    globalThis.wx = {
      ...phone.wx,
      navigateTo: ({ url }) => this.visited.push(url),
      stopPullDownRefresh: () => {},
      // The sample's stand-in for WeChat's dialog asks with this.
      showModal: (options) => {
        this.questions.push(options.content);
        options.success({ confirm: phone.answersDialog === "pay" });
      },
    };
    globalThis.App = (app) => (this.app = app);
    globalThis.getApp = () => this.app;
    globalThis.Page = (page) => (this.defined = page);
    for (const file of Object.keys(require.cache)) {
      if (file.startsWith(MINIPROGRAM)) delete require.cache[file];
    }
    const { config } = require(path.join(MINIPROGRAM, "config.js"));
    config.baseUrl = phone.stack.api_url;
    Object.assign(config.simulated, { controlUrl: phone.stack.control_url, openid: phone.openid });
    require(path.join(MINIPROGRAM, "app.js"));
    this.app.onLaunch();
  }

  /** Opens a page and waits for what its `onLoad` or `onShow` does. */
  async open(name, query = {}) {
    const file = path.join(MINIPROGRAM, `pages/${name}/${name}.js`);
    delete require.cache[file];
    require(file);
    const page = { ...this.defined, data: { ...this.defined.data } };
    page.setData = (changed) => Object.assign(page.data, changed);
    await page.onLoad?.(query);
    await page.onShow?.();
    return page;
  }
}
