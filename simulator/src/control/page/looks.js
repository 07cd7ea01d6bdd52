// How things are written: money, times, states.

import { make } from "./dom.js";
import { t } from "./words.js";

const BEIJING_MS = 8 * 3600 * 1000;

/** The simulator's two clocks, as far as this page knows them. */
export const clock = {
  offset_ms: 0,
  skew_ms: 0,
  real() {
    return Date.now() + this.skew_ms;
  },
  business() {
    return this.real() + this.offset_ms;
  },
};

export const yuan = (fen) => `¥${Math.trunc(fen / 100).toLocaleString("en")}.${String(fen % 100).padStart(2, "0")}`;
export const beijing = (ms) => new Date(ms + BEIJING_MS).toISOString().slice(0, 19).replace("T", " ");

/** A time of a list: the day only when it is another one than the clock's. */
export function moment(text) {
  if (!text) return make("span", {}, "–");
  const [day, time] = text.slice(0, 19).split("T");
  const short = day === beijing(clock.business()).slice(0, 10) ? time : `${day.slice(5)} ${time}`;
  return make("time", { datetime: text, title: t("{time}, Beijing time", { time: `${day} ${time}` }) }, short);
}

export function span(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600), Math.floor(seconds / 60)];
  if (days > 1) return t("{days} days", { days: Math.round(seconds / 86400) });
  if (hours > 1) return t("{hours} h {minutes} min", { hours, minutes: Math.floor((seconds % 3600) / 60) });
  if (minutes > 1) return t("{minutes} min", { minutes });
  return t("{seconds} s", { seconds });
}

const TONES = {
  SUCCESS: "good", delivered: "good", NOTPAY: "wait", pending: "wait", PROCESSING: "wait", REFUND: "calm",
  CLOSED: "", not_sent: "", ABNORMAL: "bad", given_up: "bad",
};
export const chip = (text, tone = TONES[text] ?? "") => make("span", { class: `chip ${tone}` }, t(text).replaceAll("_", " "));
export const tradeType = (wire) => (wire === "MWEB" ? "H5" : wire);

export function statusChip(status) {
  if (!status) return chip("no answer", "bad");
  return chip(String(status), status < 300 ? "good" : status < 500 ? "wait" : "bad");
}
