// What the browser tests stand on: a stack or a simulator of their own on free loopback ports, a
// merchant that signs, a place where notices arrive, and pages that report every error.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";

const PATIENCE_MS = 15_000;
const BROWSER = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** Waits until a condition holds, and answers what it gave. */
export async function until(what, condition) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const given = await condition();
    if (given) return given;
    assert.ok(Date.now() < end, `waited in vain until ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

export const folder = () => fs.mkdtempSync(path.join(os.tmpdir(), "browser-"));

/** A port nobody listens on. */
export async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** A process that has said it is ready. */
class Running {
  static async start(binary, options, ready) {
    const file = path.join(process.env.BINARIES, binary);
    const child = spawn(file, options, { stdio: ["ignore", "pipe", "pipe"] });
    const running = new Running(child);
    await until(`${binary} is ready`, () => {
      assert.equal(child.exitCode, null, `${binary} ended: ${running.said}`);
      return running.said.includes(ready);
    });
    return running;
  }

  constructor(child) {
    this.child = child;
    this.said = "";
    this.ended = new Promise((done) => child.once("exit", done));
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (this.said += text));
    }
  }

  async stop() {
    this.child.kill("SIGTERM");
    const late = setTimeout(() => this.child.kill("SIGKILL"), PATIENCE_MS);
    await this.ended;
    clearTimeout(late);
  }
}

const numbers = new Map();

/** A number no other test uses. */
export function number(name) {
  numbers.set(name, (numbers.get(name) ?? 0) + 1);
  return `${name}-${String(numbers.get(name)).padStart(4, "0")}`;
}

async function answered(response, expected) {
  const text = await response.text();
  assert.ok(expected.includes(response.status), `${response.url} answered ${response.status}: ${text}`);
  return text === "" ? {} : JSON.parse(text);
}

/** The whole stack, `wxpay up`. */
export class Stack {
  static async start() {
    const stack = new Stack();
    stack.folder = folder();
    const free = ["--port", "--simulator-port", "--control-port", "--aws-port"].flatMap((name) => [name, "0"]);
    stack.process = await Running.start("wxpay", ["up", ...free, "--data-dir", stack.folder], "Ctrl-C");
    Object.assign(stack, JSON.parse(fs.readFileSync(path.join(stack.folder, "local.json"))));
    stack.merchant = new Merchant(path.join(stack.folder, "simulator"));
    return stack;
  }

  /** A request of the merchant's back office. */
  async api(method, where, body) {
    const response = await fetch(`${this.api_url}${where}`, {
      method,
      headers: { Authorization: `Bearer ${this.merchant_api_key}`, "Content-Type": "application/json" },
      body: body && JSON.stringify(body),
    });
    return answered(response, [200, 201, 202]);
  }

  async order(out_trade_no, total, description = "Coffee") {
    return this.api("POST", "/orders", { trade_type: "native", out_trade_no, description, amount: { total } });
  }

  /** Waits until the order is paid in the merchant's own books. */
  async paid(out_trade_no) {
    await until(`${out_trade_no} is paid`, async () => (await this.api("GET", `/orders/${out_trade_no}`)).trade_state === "SUCCESS");
  }

  async refund(out_trade_no, out_refund_no, refund) {
    return this.api("POST", `/orders/${out_trade_no}/refunds`, { out_refund_no, amount: { refund } });
  }

  async stop() {
    await this.process.stop();
    fs.rmSync(this.folder, { recursive: true });
  }
}

/** A simulator alone, with a merchant who accepts every notice. */
export class Simulator {
  static all = new Set();

  static async start(options = {}) {
    const simulator = new Simulator();
    Simulator.all.add(simulator);
    simulator.folder = options.folder ?? folder();
    simulator.inbox = options.inbox ?? (await Inbox.open());
    const ports = ["--port", options.port ?? 0, "--control-port", options.controlPort ?? 0].map(String);
    simulator.process = await Running.start("wechatpay-simulator", [...ports, "--data-dir", simulator.folder], "Interrupt to stop");
    simulator.merchant = new Merchant(simulator.folder);
    simulator.control_url = simulator.merchant.file.control_url;
    return simulator;
  }

  async order(out_trade_no, total, description = "Coffee") {
    const { appid, mchid } = this.merchant.file;
    const body = { appid, mchid, description, out_trade_no, notify_url: this.inbox.url, amount: { total } };
    const { status, text } = await this.merchant.send("POST", "/v3/pay/transactions/native", body);
    assert.equal(status, 200, text);
  }

  /** Ends what a test started, whether or not it got to its end. */
  static async stopAll() {
    for (const simulator of Simulator.all) {
      await simulator.process?.stop();
      simulator.inbox?.close();
      fs.rmSync(simulator.folder, { recursive: true, force: true });
    }
    Simulator.all.clear();
  }
}

/** Signs as the merchant whose files are in a folder. */
class Merchant {
  constructor(files) {
    this.file = JSON.parse(fs.readFileSync(path.join(files, "merchant.json")));
    this.key = fs.readFileSync(path.join(files, "apiclient_key.pem"));
  }

  /** Sends a request; `signed` replaces what is signed by what a mistaken client signs. */
  async send(method, target, body, signed = {}) {
    const { base_url, mchid, serial_no } = this.file;
    const text = body ? JSON.stringify(body) : "";
    const timestamp = String(Math.floor(Date.now() / 1000));
    const nonce = crypto.randomBytes(16).toString("hex");
    const message = `${method}\n${signed.target ?? target}\n${timestamp}\n${nonce}\n${signed.body ?? text}\n`;
    const signature = crypto.sign("sha256", Buffer.from(message), this.key).toString("base64");
    const response = await fetch(`${base_url}${target}`, {
      method,
      headers: {
        Accept: "application/json",
        "Content-Type": "application/json",
        "User-Agent": "browser-tests/1",
        Authorization: `WECHATPAY2-SHA256-RSA2048 mchid="${mchid}",nonce_str="${nonce}",signature="${signature}",timestamp="${timestamp}",serial_no="${serial_no}"`,
      },
      body: text || undefined,
    });
    return { status: response.status, text: await response.text() };
  }
}

/** Accepts every notice, forged or not. */
class Inbox {
  static async open() {
    const inbox = new Inbox();
    inbox.server = http.createServer((request, response) => {
      request.resume().on("end", () => response.writeHead(204).end());
    });
    inbox.server.listen(0, "127.0.0.1");
    await new Promise((done) => inbox.server.once("listening", done));
    inbox.url = `http://127.0.0.1:${inbox.server.address().port}/notify`;
    return inbox;
  }

  close() {
    this.server.close();
    this.server.closeAllConnections();
  }
}

/** A browser; `page` opens a page in it that must not report any error unless it is expected. */
export class Browser {
  static async start() {
    const browser = new Browser();
    browser.chromium = await chromium.launch({ executablePath: process.env.CHROMIUM, args: BROWSER });
    browser.contexts = [];
    browser.errors = [];
    browser.expected = [];
    browser.servers = [];
    return browser;
  }

  async page(url, options = {}) {
    const context = await this.chromium.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    this.contexts.push(context);
    const page = await context.newPage();
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.errors.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => this.errors.push(`script: ${error.message}`));
    page.on("dialog", (dialog) => {
      this.errors.push(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    await page.goto(url);
    return page;
  }

  /** A page of another origin. */
  async elsewhere() {
    const server = http.createServer((_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<h1>Elsewhere</h1>"));
    this.servers.push(server);
    server.listen(0, "127.0.0.1");
    await new Promise((done) => server.once("listening", done));
    return this.page(`http://127.0.0.1:${server.address().port}/`);
  }

  /** Errors that hold one of these texts are what the test is about. */
  expect(...texts) {
    this.expected.push(...texts);
  }

  /** Ends a test: closes its pages and says what they reported. */
  async done() {
    await Promise.all(this.contexts.splice(0).map((context) => context.close()));
    for (const server of this.servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
    const expected = this.expected.splice(0);
    const errors = this.errors.splice(0).filter((error) => !expected.some((text) => error.includes(text)));
    assert.deepEqual(errors, [], "a page reported errors");
  }

  async stop() {
    await this.chromium.close();
  }
}

/** Presses Tab until the focus is on this element, and says after how many times. */
export async function tabTo(page, locator, most = 80) {
  for (let presses = 1; presses <= most; presses += 1) {
    await page.keyboard.press("Tab");
    if (await locator.evaluate((element) => element === document.activeElement)) return presses;
  }
  assert.fail(`${locator} is not reached with the Tab key`);
}

/** Texts whose contrast against what is behind them is below 4.5 (WCAG 2.2, 1.4.3). */
export async function lowContrast(page) {
  return page.evaluate(() => {
    const numbers = (color) => color.match(/[\d.]+/g).map(Number);
    const luminance = ([red, green, blue]) => {
      const part = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
      return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
    };
    const behind = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const color = numbers(getComputedStyle(at).backgroundColor);
        if (color.length === 3 || color[3] === 1) return color;
      }
      return [255, 255, 255];
    };
    const low = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const element = texts.currentNode.parentElement;
      if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
      const [one, other] = [luminance(numbers(getComputedStyle(element).color)), luminance(behind(element))];
      const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
      if (contrast < 4.5) low.push(`${contrast.toFixed(2)}: ${texts.currentNode.data.trim()}`);
    }
    return low;
  });
}
