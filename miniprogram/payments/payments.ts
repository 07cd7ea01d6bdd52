// The client side of a payment, for a WeChat mini-program: log in, order, pay, find out what became of
// it, ask for a refund. No dependency; copy this folder. `payments.js` is compiled from this file.
//
// Three rules keep money safe on a phone with a weak network:
// - An order is asked for with a key that stays in the storage until the purchase is over. Whatever is
//   lost (an answer, the process, the phone's battery), the same purchase gets the same order.
// - What `wx.requestPayment` reports proves nothing. The service asks WeChat Pay, and its word counts.
// - A new order for the same purchase is only made where the earlier one can never be paid any more.

/** Whole fen: 1250 is ¥12.50. */
export type Fen = number;

export interface Amount {
  total: Fen;
  currency: "CNY";
  /** What has reached the payer. */
  refunded?: Fen;
  /** What can still be refunded. */
  refundable?: Fen;
}

export interface Article {
  sku: string;
  description: string;
  amount: Amount;
}

export interface Item {
  sku: string;
  /** 1 to 9 999. */
  quantity: number;
}

/** What `wx.requestPayment` takes. */
export interface PayParameters {
  timeStamp: string;
  nonceStr: string;
  package: string;
  signType: "RSA";
  paySign: string;
}

export type TradeState = "NOTPAY" | "CLOSING" | "CLOSED" | "SUCCESS";

export interface Order {
  out_trade_no: string;
  trade_type: string;
  trade_state: TradeState;
  amount: Amount;
  /** RFC 3339, Beijing's offset. */
  time_expire: string;
  success_time?: string;
  transaction_id?: string;
  /** Whether WeChat Pay was asked for this answer. */
  fresh?: boolean;
  refunds?: Refund[];
  /** Only while the order can be paid. */
  pay?: PayParameters;
}

export type RefundStatus =
  | "REQUESTED" | "REJECTED" | "RESERVED" | "PROCESSING" | "ABNORMAL" | "SUCCESS" | "CLOSED" | "WITHDRAWING" | "WITHDRAWN";

export interface Refund {
  out_refund_no: string;
  out_trade_no: string;
  status: RefundStatus;
  amount: { refund: Fen; total: Fen; currency: "CNY" };
  reason?: string;
}

export interface Page<T> {
  items: T[];
  /** Give it back for the next page; absent on the last one. */
  next_token?: string;
}

/** What a purchase asks for. */
export interface Terms {
  /** 1 to 50, each SKU once. The prices are the service's. */
  items: Item[];
  /** 1 to 128 bytes of your own, returned with the payment. */
  attach?: string;
}

/** What the phone says of a payment. `completed` is no proof that it was made. */
export type Reported = "completed" | "cancelled" | "failed";

/**
 * How a purchase ended:
 * `paid`: WeChat Pay says so; `cancelled`: the payer closed the dialog; `failed`: the dialog could not
 * be shown or paid; `closed`: the order can never be paid; `unconfirmed`: the phone says it is paid and
 * WeChat Pay has not said so yet: show "being confirmed" and look at the order again.
 */
export interface Purchase {
  outcome: "paid" | "cancelled" | "failed" | "closed" | "unconfirmed";
  order: Order;
}

interface WxFailure {
  errMsg: string;
}

/** The part of `wx` that is used; `wx` itself fits, and so does what stands in for it in tests. */
export interface Wx {
  login(options: { timeout?: number; success(result: { code: string }): void; fail(error: WxFailure): void }): unknown;
  request(options: {
    url: string;
    method: "GET" | "POST";
    header: Record<string, string>;
    data?: string;
    dataType: string;
    timeout: number;
    success(result: { statusCode: number; data: unknown; header: Record<string, string> }): void;
    fail(error: WxFailure): void;
  }): unknown;
  requestPayment(options: PayParameters & { success(): void; fail(error: WxFailure): void }): unknown;
  getStorageSync(key: string): unknown;
  setStorageSync(key: string, value: unknown): void;
  removeStorageSync(key: string): void;
}

export interface Options {
  /** The API's address, without a slash at the end. */
  baseUrl: string;
  wx: Wx;
  /** How long one call may take with all its repetitions, in milliseconds; 20 000 by default. */
  timeoutMs?: number;
  /** In which language errors are told, as `Accept-Language` has it; "zh-CN" by default. */
  language?: string;
}

/**
 * A call that did not succeed. `code` is the service's problem code (docs/api.md), or one of this
 * module's: `network` (no answer in time), `login_failed` (`wx.login` gave no code), `bad_answer` (not
 * the service's), `earlier_order_paid` (the purchase was changed after its first order was paid, which
 * is in `order`), `outcome_unknown` (the first order may be paid, and WeChat Pay cannot be asked now).
 */
export class PaymentsError extends Error {
  constructor(
    readonly code: string,
    detail: string,
    /** The HTTP status, 0 where there was none. */
    readonly status = 0,
    /** The field that the service names. */
    readonly field?: string,
    readonly order?: Order,
  ) {
    super(`${code}: ${detail}`);
    this.name = "PaymentsError";
  }
}

interface Answer {
  status: number;
  /** Undefined where it is no JSON object: not the service's. */
  body?: Record<string, unknown>;
  header: Record<string, string>;
}

interface Session {
  token: string;
  /** In milliseconds of the phone's clock. */
  until: number;
}

interface Call {
  method: "GET" | "POST";
  path: string;
  body?: unknown;
  key?: string;
  anyone?: boolean;
}

/** What the storage keeps of a purchase or a refund that is not over. */
interface Pending {
  key: string;
  terms: string;
  out_trade_no?: string;
}

const DEFAULT_TIMEOUT_MS = 20_000;
/** One attempt: longer than the service's own limit for an answer. */
const ATTEMPT_MS = 10_000;
const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 3_000;
/** The service asks WeChat Pay at most this often. */
const POLL_MS = 2_000;
const CONFIRM_MS = 30_000;
/** A token is renewed this long before it ends, so that it does not end on the way. */
const TOKEN_MARGIN_MS = 60_000;
const STORED = "payments:";

export class Payments {
  private readonly baseUrl: string;
  private readonly wx: Wx;
  private readonly timeoutMs: number;
  private readonly language: string;
  /** What the storage holds too; it alone counts where the storage is full. */
  private readonly memory: Record<string, unknown> = {};
  private loggingIn?: Promise<string>;
  private readonly buying: Record<string, Promise<Purchase> | undefined> = {};

  constructor({ baseUrl, wx, timeoutMs = DEFAULT_TIMEOUT_MS, language = "zh-CN" }: Options) {
    this.baseUrl = baseUrl.replace(/\/+$/, "");
    this.wx = wx;
    this.timeoutMs = timeoutMs;
    this.language = language;
  }

  /** Logs in, unless a token is still valid. The other calls do it by themselves when they must. */
  async login(): Promise<void> {
    await this.token(Date.now() + this.timeoutMs);
  }

  /** What is on sale. */
  async articles(): Promise<Article[]> {
    const page = (await this.call({ method: "GET", path: "/articles", anyone: true })) as unknown as Page<Article>;
    return page.items;
  }

  /**
   * Buys: orders, lets the payer pay, and finds out what became of it. `purchase` is your name for it,
   * such as "cart": as long as the purchase is not over, the same terms get the same order. Calling it
   * again while it runs joins the first call.
   */
  buy(purchase: string, terms: Terms): Promise<Purchase> {
    const running = this.buying[purchase];
    if (running) return running;
    const over = () => {
      this.buying[purchase] = undefined;
    };
    const started = this.buyOnce(purchase, terms);
    this.buying[purchase] = started;
    started.then(over, over);
    return started;
  }

  /**
   * Places the order of a purchase, or gets the one that it has. Other terms than before close the
   * earlier order first. The answer has `pay` unless the order is paid already.
   */
  async createOrder(purchase: string, terms: Terms): Promise<Order> {
    const name = `purchase:${purchase}`;
    const text = JSON.stringify([terms.items, terms.attach]);
    let pending = this.read(name) as Pending | undefined;
    if (pending && pending.terms !== text) {
      await this.giveUp(pending);
      pending = undefined;
    }
    const order = await this.place(name, pending ?? this.begin(name, text), terms);
    if (order.pay || order.trade_state === "SUCCESS") return order;
    // It expired, or its close is not confirmed. It may have been paid meanwhile: only WeChat Pay's word allows
    // another one.
    const asked = await this.waitUntilFinal(order.out_trade_no, 0);
    const last = asked.trade_state === "CLOSING" ? await this.ended(order.out_trade_no) : asked;
    if (last.trade_state === "SUCCESS") return last;
    if (last.trade_state === "NOTPAY" && last.fresh !== true) {
      throw new PaymentsError("outcome_unknown", "the earlier order may be paid; try again in a moment", 0, undefined, last);
    }
    return this.place(name, this.begin(name, text), terms);
  }

  /** Shows WeChat's dialog. Never rejects: whatever it says, look at the order afterwards. */
  pay(parameters: PayParameters): Promise<Reported> {
    return new Promise((resolve) => {
      this.wx.requestPayment({
        timeStamp: parameters.timeStamp,
        nonceStr: parameters.nonceStr,
        package: parameters.package,
        signType: parameters.signType,
        paySign: parameters.paySign,
        success: () => resolve("completed"),
        fail: ({ errMsg }) => resolve(/cancel/.test(errMsg) ? "cancelled" : "failed"),
      });
    });
  }

  /**
   * Asks every two seconds until the order is SUCCESS or CLOSED, or the time is over; answers with
   * the order as it was told last. Rejects only if no answer came at all.
   */
  async waitUntilFinal(out_trade_no: string, timeoutMs = CONFIRM_MS): Promise<Order> {
    const end = Date.now() + timeoutMs;
    let seen: Order | undefined;
    for (;;) {
      try {
        seen = await this.order(out_trade_no);
        if (seen.trade_state === "SUCCESS" || seen.trade_state === "CLOSED") return seen;
      } catch (error) {
        const passing = error instanceof PaymentsError && (error.code === "network" || error.status >= 429);
        if (!passing || (!seen && Date.now() >= end)) throw error;
      }
      if (Date.now() >= end) return seen as Order;
      await sleep(POLL_MS);
    }
  }

  /** One order of this payer, after WeChat Pay was asked where it matters. */
  async order(out_trade_no: string): Promise<Order> {
    return (await this.call({ method: "GET", path: `/orders/${encodeURIComponent(out_trade_no)}` })) as unknown as Order;
  }

  /** This payer's orders, newest first. */
  async orders(next_token?: string): Promise<Page<Order>> {
    const query = next_token === undefined ? "" : `?next_token=${encodeURIComponent(next_token)}`;
    return (await this.call({ method: "GET", path: `/orders${query}` })) as unknown as Page<Order>;
  }

  /**
   * Closes an unpaid order. `CLOSING` is an order that WeChat Pay has not confirmed as closed: it may still be
   * paid, and closing it again asks again. If the payer was faster, it rejects with `order_paid` and the order.
   */
  async closeOrder(out_trade_no: string): Promise<Order> {
    const path = `/orders/${encodeURIComponent(out_trade_no)}/close`;
    return (await this.call({ method: "POST", path })) as unknown as Order;
  }

  /**
   * Asks for a refund. As long as no answer has come, asking again for the same amount and reason is
   * the same request. The merchant decides: look at `status`.
   */
  async requestRefund(out_trade_no: string, refund: Fen, reason?: string): Promise<Refund> {
    const name = `refund:${out_trade_no}`;
    const text = JSON.stringify([refund, reason]);
    const held = this.read(name) as Pending | undefined;
    const { key } = held && held.terms === text ? held : this.begin(name, text);
    const path = `/orders/${encodeURIComponent(out_trade_no)}/refunds`;
    const body = reason === undefined ? { amount: { refund } } : { amount: { refund }, reason };
    try {
      const answer = await this.call({ method: "POST", path, body, key });
      this.forget(name);
      return answer as unknown as Refund;
    } catch (error) {
      // A definite refusal made no refund; anything else may have made one.
      if (error instanceof PaymentsError && error.status >= 400 && error.status < 500 && error.status !== 429) {
        this.forget(name);
      }
      throw error;
    }
  }

  /** One refund, after WeChat Pay was asked where it matters. */
  async refund(out_trade_no: string, out_refund_no: string): Promise<Refund> {
    const path = `/orders/${encodeURIComponent(out_trade_no)}/refunds/${encodeURIComponent(out_refund_no)}`;
    return (await this.call({ method: "GET", path })) as unknown as Refund;
  }

  /** Ends a purchase: the next one of this name is a new order. `buy` does it when the order is final. */
  finish(purchase: string): void {
    this.forget(`purchase:${purchase}`);
  }

  private async buyOnce(purchase: string, terms: Terms): Promise<Purchase> {
    let order = await this.createOrder(purchase, terms);
    let reported: Reported = "completed";
    if (order.pay) {
      reported = await this.pay(order.pay);
      // A payer who cancelled may have paid before, in another dialog: ask once in any case.
      order = await this.waitUntilFinal(order.out_trade_no, reported === "completed" ? CONFIRM_MS : 0);
    }
    if (order.trade_state === "SUCCESS" || order.trade_state === "CLOSED") {
      this.finish(purchase);
      return { outcome: order.trade_state === "SUCCESS" ? "paid" : "closed", order };
    }
    return { outcome: reported === "completed" ? "unconfirmed" : reported, order };
  }

  private async place(name: string, pending: Pending, { items, attach }: Terms): Promise<Order> {
    const body = attach === undefined ? { trade_type: "jsapi", items } : { trade_type: "jsapi", items, attach };
    const order = (await this.call({ method: "POST", path: "/orders", body, key: pending.key })) as unknown as Order;
    this.write(name, { ...pending, out_trade_no: order.out_trade_no });
    return order;
  }

  /** Makes sure that the order of other terms is never paid. One whose answer was lost cannot be. */
  private async giveUp({ out_trade_no }: Pending): Promise<void> {
    if (out_trade_no === undefined) return;
    const order = await this.ended(out_trade_no);
    if (order.trade_state === "SUCCESS") {
      throw new PaymentsError("earlier_order_paid", "the purchase was paid with its earlier terms", 409, undefined, order);
    }
  }

  /**
   * Closes an order until WeChat Pay has confirmed that it is closed, or it turns out to be paid. While neither is
   * known it may be paid, however long ago it expired.
   */
  private async ended(out_trade_no: string): Promise<Order> {
    const end = Date.now() + this.timeoutMs;
    let seen: Order | undefined;
    for (;;) {
      try {
        seen = await this.closeOrder(out_trade_no);
      } catch (error) {
        if (error instanceof PaymentsError && error.code === "order_paid" && error.order) return error.order;
        if (!seen) throw error;
      }
      if (seen.trade_state === "CLOSED") return seen;
      if (Date.now() + POLL_MS >= end) {
        throw new PaymentsError("outcome_unknown", "the earlier order is not closed yet; try again in a moment", 0, undefined, seen);
      }
      await sleep(POLL_MS);
    }
  }

  private begin(name: string, terms: string): Pending {
    const pending = { key: newKey(), terms };
    this.write(name, pending);
    return pending;
  }

  /** Sends until an answer comes that counts; every request is safe to repeat. */
  private async call(call: Call): Promise<Record<string, unknown>> {
    const end = Date.now() + this.timeoutMs;
    let { status, body } = await this.answer(call, end);
    if (status === 401 && !call.anyone) {
      // The token ended early, or its key was replaced.
      this.forget("session");
      ({ status, body } = await this.answer(call, end));
    }
    if (status >= 200 && status < 300 && body) return body;
    throw refusal(status, body);
  }

  private async answer(call: Call, end: number): Promise<Answer> {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const header: Record<string, string> = {};
      if (!call.anyone) header.Authorization = `Bearer ${await this.token(end)}`;
      if (call.key !== undefined) header["Idempotency-Key"] = call.key;
      const answer = await this.send(call, header, end);
      const again = answer === undefined || answer.status === 429 || answer.status === 503 || isGatewayTrouble(answer);
      const wait = (answer && retryAfterMs(answer)) ?? pause * (0.5 + Math.random() / 2);
      if (!again) return answer;
      if (Date.now() + wait >= end) {
        if (answer) return answer;
        throw new PaymentsError("network", `${call.method} ${call.path} got no answer`);
      }
      await sleep(wait);
    }
  }

  /** One attempt; undefined where no answer came. */
  private send({ method, path, body }: Call, header: Record<string, string>, end: number): Promise<Answer | undefined> {
    const data = body === undefined ? undefined : JSON.stringify(body);
    header["Accept-Language"] = this.language;
    if (data !== undefined) header["Content-Type"] = "application/json";
    return new Promise((resolve) => {
      this.wx.request({
        url: this.baseUrl + path,
        method,
        header,
        data,
        dataType: "text",
        timeout: Math.max(1, Math.min(ATTEMPT_MS, end - Date.now())),
        success: ({ statusCode, data, header }) => resolve({ status: statusCode, body: parsed(data), header }),
        fail: () => resolve(undefined),
      });
    });
  }

  private async token(end: number): Promise<string> {
    const session = this.read("session") as Session | undefined;
    if (session && session.until - TOKEN_MARGIN_MS > Date.now()) return session.token;
    // Several calls at once log in once.
    this.loggingIn = this.loggingIn ?? this.newToken(end);
    try {
      return await this.loggingIn;
    } finally {
      this.loggingIn = undefined;
    }
  }

  private async newToken(end: number): Promise<string> {
    for (let refused = 0; ; ) {
      // A code serves once: one whose answer was lost is not sent again.
      const code = await this.code();
      const answer = await this.send({ method: "POST", path: "/sessions", body: { code } }, {}, end);
      if (answer?.body && answer.status >= 200 && answer.status < 300) {
        const session = validSession(answer.body, headerOf(answer, "date"));
        this.write("session", session);
        return session.token;
      }
      const passing = answer === undefined || answer.status === 429 || answer.status >= 500;
      const wait = (answer && retryAfterMs(answer)) ?? FIRST_PAUSE_MS;
      if (answer?.status === 401) refused += 1;
      if ((!passing && refused !== 1) || Date.now() + wait >= end) {
        if (answer) throw refusal(answer.status, answer.body);
        throw new PaymentsError("network", "POST /sessions got no answer");
      }
      if (passing) await sleep(wait);
    }
  }

  private code(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.wx.login({
        timeout: ATTEMPT_MS,
        success: ({ code }) => resolve(code),
        fail: ({ errMsg }) => reject(new PaymentsError("login_failed", errMsg)),
      });
    });
  }

  private read(name: string): unknown {
    if (this.memory[name] === undefined) {
      // wx gives "" for what is not there.
      this.memory[name] = this.wx.getStorageSync(STORED + name) || undefined;
    }
    return this.memory[name];
  }

  private write(name: string, value: unknown): void {
    this.memory[name] = value;
    try {
      this.wx.setStorageSync(STORED + name, value);
    } catch {
      // The storage is full: this process still knows it.
    }
  }

  private forget(name: string): void {
    delete this.memory[name];
    this.wx.removeStorageSync(STORED + name);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

/** Unique is enough: the service derives the number from the payer too. 32 characters. */
function newKey(): string {
  const part = () => Math.floor(Math.random() * 0x1_0000_0000).toString(16).padStart(8, "0");
  return Date.now().toString(16).padStart(16, "0") + part() + part();
}

/** API Gateway answers for a function that failed or took too long: not a problem document. */
function isGatewayTrouble({ status, body }: Answer): boolean {
  return status >= 500 && body?.code === undefined;
}

function parsed(data: unknown): Record<string, unknown> | undefined {
  try {
    const value: unknown = typeof data === "string" ? JSON.parse(data) : data;
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function headerOf({ header }: Answer, wanted: string): string | undefined {
  const name = Object.keys(header).find((name) => name.toLowerCase() === wanted);
  return name === undefined ? undefined : header[name];
}

function retryAfterMs(answer: Answer): number | undefined {
  const seconds = Number(headerOf(answer, "retry-after") ?? NaN);
  return seconds >= 0 ? seconds * 1000 : undefined;
}

/** Until when a token is good, by the phone's clock, which may be hours off the service's. */
function validSession({ token, expires_at }: Record<string, unknown>, date: string | undefined): Session {
  const served = Date.parse(date ?? "");
  const lifetime = Date.parse(String(expires_at)) - (Number.isNaN(served) ? Date.now() : served);
  return { token: String(token), until: Date.now() + (Number.isNaN(lifetime) ? 0 : lifetime) };
}

function refusal(status: number, body: Record<string, unknown> | undefined): PaymentsError {
  if (typeof body?.code !== "string") {
    return new PaymentsError("bad_answer", `the answer ${status} is not the service's`, status);
  }
  const field = typeof body.field === "string" ? body.field : undefined;
  const order = typeof body.out_trade_no === "string" ? (body as unknown as Order) : undefined;
  return new PaymentsError(body.code, String(body.detail), status, field, order);
}
