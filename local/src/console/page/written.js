// How things are written: money, times, states, numbers that nothing may break apart.

import { make } from "./elements.js";
import { word } from "./words.js";

/** An amount of fen in yuan. */
export function yuan(fen) {
  if (!Number.isInteger(fen)) return "–";
  const cents = Math.abs(fen);
  const whole = Math.trunc(cents / 100).toLocaleString("en");
  return `${fen < 0 ? "−" : ""}¥${whole}.${String(cents % 100).padStart(2, "0")}`;
}

export const money = (fen) => make("span", { class: "money" }, yuan(fen));

const BEIJING_MS = 8 * 3600 * 1000;
export const beijing = (ms) => new Date(ms + BEIJING_MS).toISOString().slice(0, 19).replace("T", " ");

/** A moment of a list, to the millisecond: the order of things is what it is for. */
export function moment(ms) {
  const text = new Date(ms + BEIJING_MS).toISOString();
  return make("time", { class: "number", datetime: new Date(ms).toISOString(), title: beijing(ms) }, text.slice(11, 23));
}

export function span(seconds) {
  if (seconds >= 86400 && seconds % 86400 === 0) return word("days", { n: seconds / 86400 });
  if (seconds >= 3600 && seconds % 3600 === 0) return word("hours", { n: seconds / 3600 });
  if (seconds >= 3600) return `${word("hours", { n: Math.trunc(seconds / 3600) })} ${word("minutes", { n: Math.round((seconds % 3600) / 60) })}`;
  if (seconds >= 60) return word("minutes", { n: Math.round(seconds / 60) });
  return word("seconds", { n: Math.round(seconds) });
}

const TONES = {
  SUCCESS: "good", REFUND: "calm", NOTPAY: "wait", CLOSING: "wait", REQUESTED: "wait", RESERVED: "wait", PROCESSING: "wait",
  WITHDRAWING: "wait", ABNORMAL: "bad",
};

export const chip = (text, tone = "") => make("span", { class: `chip ${tone}` }, text);
export const state = (text) => (text ? chip(text, TONES[text]) : make("span", { class: "quiet" }, word("not_known")));

export function status(code) {
  if (!code) return chip(word("no_answer"), "bad");
  return chip(String(code), code < 300 ? "good" : code < 500 ? "wait" : "bad");
}

/** A number or name that is never broken apart: what does not fit is cut, and the whole is in its title. */
export const id = (text) => make("code", { class: "id", title: text }, text);
