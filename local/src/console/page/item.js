// An item of the table before and after a change.

import { make } from "./elements.js";
import { id, state } from "./written.js";
import { word } from "./words.js";

const ITEMS = [
  ["ORDER", "item_order"], ["REFUND#", "item_refund"], ["REFUNDNO", "item_guard"], ["NOTICE#", "item_notice"],
  ["SKU", "item_article"], ["CERTIFICATES", "item_keys"],
];

const nameOf = ({ sk }) => {
  const found = ITEMS.find(([prefix]) => sk.startsWith(prefix));
  return found ? word(found[1]) : sk;
};

const stateOf = (item) => item?.trade_state ?? item?.status;

/** What changed, in a line. */
export function lineOf(entry) {
  const { before, after } = entry;
  const name = make("strong", {}, nameOf(entry));
  const [was, is] = [stateOf(before), stateOf(after)];
  if (after === null) return [name, word("removed")];
  if (before === null) return [name, is ? state(is) : word("created")];
  if (was !== is) return [name, state(was), "→", state(is)];
  const count = changes(entry).filter(({ kind }) => kind !== "same").length;
  return [name, make("span", { class: "quiet" }, count === 1 ? word("changed_one") : word("changed_some", { n: count }))];
}

/** Every attribute, with what became of it. */
export function changes({ before, after }) {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])].sort();
  return names.map((name) => {
    const [was, is] = [before?.[name], after?.[name]];
    const kind = was === undefined ? "new" : is === undefined ? "gone" : JSON.stringify(was) === JSON.stringify(is) ? "same" : "other";
    return { name, was, is, kind };
  });
}

export function itemTable(entry) {
  const all = changes(entry);
  const [changed, same] = [all.filter(({ kind }) => kind !== "same"), all.filter(({ kind }) => kind === "same")];
  const parts = [table(changed)];
  if (same.length > 0) {
    const count = same.length === 1 ? word("unchanged_one") : word("unchanged", { n: same.length });
    parts.push(make("details", { class: "headers" }, make("summary", {}, count), table(same)));
  }
  return make("div", {}, make("p", { class: "keys" }, make("code", {}, "pk"), " ", id(entry.pk), " ", make("code", {}, "sk"), " ", id(entry.sk)), ...parts);
}

const MARKS = { new: "+", gone: "−", other: "~", same: "" };

function table(rows) {
  return make("table", { class: "item" },
    make("thead", {}, make("tr", {}, ...["attribute", "before", "after"].map((name) => make("th", { scope: "col" }, word(name))))),
    make("tbody", {}, ...rows.map(({ name, was, is, kind }) =>
      make("tr", { class: kind },
        make("th", { scope: "row" }, make("span", { class: "mark", ...(kind === "same" ? {} : { title: word(`change_${kind}`) }) }, MARKS[kind]), make("code", {}, name)),
        make("td", { "data-side": word("before") }, value(was)),
        make("td", { "data-side": word("after") }, value(is))))));
}

function value(of) {
  if (of === undefined) return make("span", { class: "quiet" }, word("nothing"));
  const text = typeof of === "string" ? of : JSON.stringify(of);
  // Nothing breaks a number or a name apart; what has blanks and commas may break.
  return /^[\w.#:+@-]{1,48}$/.test(text) ? id(text) : make("code", {}, text);
}
