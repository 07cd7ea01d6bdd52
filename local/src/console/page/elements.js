// Elements, and lists whose rows stay the same elements while they are shown, so that the keyboard's place
// and what was opened survive a change. Text from orders and requests is only ever text.

import { Refused, Silent } from "./calls.js";
import { word } from "./words.js";

const SAID_MS = 6000;

export const byId = (id) => document.getElementById(id);

/** Makes an element. Children are elements or text; attributes that are false or absent are left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const write = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

export const button = (label, onclick, attributes = {}) => make("button", { type: "button", onclick, ...attributes }, label);

const known = new WeakMap();

function rowsOf(list) {
  if (!known.has(list)) known.set(list, new Map());
  return known.get(list);
}

/** Shows items in a list. `makeRow` answers `{element, update}`; a row is updated when its item changed. */
export function show(list, items, keyOf, makeRow) {
  const rows = rowsOf(list);
  const wanted = new Set(items.map(keyOf));
  let lostFocus = -1;
  for (const [key, row] of rows) {
    if (wanted.has(key)) continue;
    if (row.element.contains(document.activeElement)) lostFocus = [...list.children].indexOf(row.element);
    row.element.remove();
    rows.delete(key);
  }
  let place = list.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    if (!rows.has(key)) rows.set(key, makeRow(item));
    const row = rows.get(key);
    const text = JSON.stringify(item);
    if (row.shown !== text) {
      row.shown = text;
      row.update?.(item);
    }
    if (row.element === place) place = place.nextElementSibling;
    else list.insertBefore(row.element, place);
  }
  if (lostFocus >= 0) focusNear(list, lostFocus);
}

/** Gives the keyboard a place: the first control of the row here, or the heading that the list is under. */
function focusNear(list, at) {
  const row = list.children[Math.min(at, list.children.length - 1)];
  const near = row?.querySelector("button, summary") ?? list.closest("section").querySelector("h2, [role=tab][aria-selected=true]");
  near?.focus();
}

/** Forgets a list's rows, so that the next showing makes them afresh. */
export function forget(list) {
  known.set(list, new Map());
  list.replaceChildren();
}

/** Does what a button stands for: not twice at once, and a refusal is said where it happened. */
export async function press(pressed, where, work) {
  // Not `disabled`, which would take the keyboard's place away.
  if (pressed.getAttribute("aria-disabled") === "true") return;
  pressed.setAttribute("aria-disabled", "true");
  where.textContent = "";
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused || error instanceof Silent)) throw error;
    const why = error instanceof Refused ? error.message : word("silent");
    if (where.isConnected) where.textContent = why;
    else say(why);
  } finally {
    pressed.removeAttribute("aria-disabled");
  }
}

let unsay;

/** Says what was done, for a while; screen readers read it out. */
export function say(text) {
  clearTimeout(unsay);
  byId("said").textContent = text;
  unsay = setTimeout(() => byId("said").replaceChildren(), SAID_MS);
}
