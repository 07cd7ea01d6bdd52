// What the browser tests stand on: a simulator of their own, a place where notices arrive, and pages that
// report every error. The stack is `../node/stack.mjs`.

import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import { chromium } from "playwright-core";
import { folder, Merchant, PATIENCE_MS, Running } from "../node/stack.mjs";

export { folder, freePort, number, Stack, until } from "../node/stack.mjs";

const BROWSER = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

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
