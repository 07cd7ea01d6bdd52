// Two signed texts side by side: what the server built, and what the client signed.

import { make } from "./dom.js";
import { t } from "./words.js";

const LINES = ["method", "path", "timestamp", "nonce", "body"];

/** The five lines of a signed text, each with its ending; the body keeps the line feeds inside it. */
function linesOf(text) {
  const lines = [];
  let rest = text;
  while (lines.length < 4 && rest.includes("\n")) {
    const end = rest.indexOf("\n") + 1;
    lines.push(rest.slice(0, end));
    rest = rest.slice(end);
  }
  return [...lines, rest];
}

/** What the server built beside what the client signed; where they part is marked. */
export function sideBySide({ server, client }) {
  const [ours, theirs] = [linesOf(server), client === null ? [] : linesOf(client)];
  const body = make("tbody");
  for (let at = 0; at < Math.max(ours.length, theirs.length); at += 1) {
    const [one, other] = [ours[at], theirs[at]];
    const differs = client !== null && one !== other;
    const part = differs ? partOf(one ?? "", other ?? "") : [0, 0];
    body.append(make("tr", { class: differs ? "differs" : "" },
      make("th", { scope: "row" }, t(LINES[at] ?? "more")),
      make("td", { "data-side": t("server") }, ...visible(one, part)),
      make("td", { "data-side": t("you") }, ...(client === null && at === 0
        ? [make("span", { class: "nothing" }, t("not known: no likely mistake gives this signature"))]
        : client === null ? [] : visible(other, part)))));
  }
  return make("table", { class: "texts" },
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, t("line")), make("th", { scope: "col" }, t("the server built")), make("th", { scope: "col" }, t("you signed")))),
    body);
}

/** How many characters two texts share at their beginning and at their end. */
function partOf(one, other) {
  const shortest = Math.min(one.length, other.length);
  let front = 0;
  while (front < shortest && one[front] === other[front]) front += 1;
  let back = 0;
  while (back < shortest - front && one.at(-1 - back) === other.at(-1 - back)) back += 1;
  return [front, back];
}

function visible(text, [front, back]) {
  if (text === undefined || text === "") return [make("span", { class: "nothing" }, t("nothing"))];
  const signs = (part) => part.replaceAll("\r", "␍").replaceAll("\n", "⏎");
  const whole = front === 0 && back === 0;
  const middle = text.slice(front, text.length - back);
  if (whole) return [signs(text)];
  return [signs(text.slice(0, front)), middle ? make("mark", {}, signs(middle)) : null, signs(text.slice(text.length - back))].filter(Boolean);
}
