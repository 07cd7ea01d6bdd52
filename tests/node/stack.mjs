// What tests in Node stand on: a stack of their own on free loopback ports, its merchant's back office,
// and a merchant that signs for a simulator.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

export const PATIENCE_MS = 15_000;

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

export const folder = () => fs.mkdtempSync(path.join(os.tmpdir(), "wxpay-test-"));

/** A port nobody listens on. */
export async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** A process that has said it is ready. */
export class Running {
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

/** Signs as the merchant whose files are in a folder. */
export class Merchant {
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
