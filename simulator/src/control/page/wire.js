// What went over the wire: headers and bodies of a request and its answer, what a notice held before it was
// sealed, and a line for the shell that sends the same bytes again.

import { byId, make } from "./dom.js";
import { statusChip } from "./looks.js";
import { because, call, copier } from "./talk.js";
import { t } from "./words.js";

/** Headers that the next request has of its own. */
const OWN = new Set(["host", "content-length", "connection", "keep-alive", "transfer-encoding", "accept-encoding"]);

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The line that sends a request again as it was sent, or nothing where not all of it is kept. */
export function curl({ request }) {
  const { method, target, headers, body } = request;
  if (body.cut || request.headers_cut) return null;
  const url = target.startsWith("/") ? byId("base-url").textContent + target : target;
  const parts = ["curl", "-sS", "-i", "-X", method, quoted(url)];
  for (const [name, value] of headers) {
    if (!OWN.has(name.toLowerCase())) parts.push("-H", quoted(`${name}: ${value}`));
  }
  if (body.bytes === 0) return parts.join(" ");
  if (body.text !== undefined) return [...parts, "--data-binary", quoted(body.text)].join(" ");
  return `base64 -d <<< ${body.base64} | ${[...parts, "--data-binary", "@-"].join(" ")}`;
}

/** A JSON text as it reads best; any other as it is. */
function readable(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

const block = (name, text, note) => make("figure", { class: "bytes" },
  make("figcaption", {}, make("span", {}, name), note ? make("span", { class: "note" }, note) : null, copier(t("Copy"), name, () => text)),
  make("pre", { tabindex: "0", "aria-label": name }, readable(text)));

function bodyBlock(name, body) {
  if (body.bytes === 0) return make("p", { class: "hint" }, t("{name}: none", { name }));
  const notes = [t(body.bytes === 1 ? "1 byte" : "{bytes} bytes", body)];
  if (body.cut) notes.push(t("only the beginning is kept"));
  if (body.text === undefined) notes.push("base64");
  else if (readable(body.text) !== body.text) notes.push(t("broken into lines for reading, copied as it was sent"));
  return block(name, body.text ?? body.base64, notes.join(", "));
}

/** What is long and seldom asked for. */
const aside = (name, ...inside) => make("details", { class: "aside" }, make("summary", {}, name), ...inside);

function headersOf({ headers, headers_cut }) {
  const list = make("dl", { class: "pairs headers" });
  for (const [name, value] of headers) list.append(make("dt", {}, name), make("dd", {}, make("code", {}, value)));
  return aside(t("{count} headers", { count: headers.length }), list, headers_cut ? make("p", { class: "hint" }, t("only the beginning is kept")) : null);
}

const signedOf = ({ signed_text }) =>
  signed_text === null ? null : aside(t("The text that the signature is checked against"), block(t("signed text"), signed_text));

function message(title, sent, bodyName, head) {
  return make("section", { class: "message" },
    make("h3", {}, title, " ", head),
    bodyBlock(bodyName, sent.body), headersOf(sent), signedOf(sent));
}

/** An exchange. The names say who sent it: `sides` are those of the request and of the answer. */
export function exchangeView(exchange, [asks, answers]) {
  if (exchange === null) return [make("p", { class: "hint" }, t("What went over the wire is kept no longer."))];
  const { request, answer, opened } = exchange;
  const line = curl(exchange);
  return [
    message(asks, request, t(opened === undefined ? "body" : "envelope"), make("code", {}, `${request.method} ${request.target}`)),
    opened === undefined ? null : make("section", { class: "message" }, block(t("resource, opened"), opened)),
    answer ? message(answers, answer, t("body"), statusChip(answer.status)) : make("p", { class: "hint" }, t("{who}: none came", { who: answers })),
    make("p", { class: "row" }, line
      ? copier(t("Copy as curl"), `${request.method} ${request.target}`, () => line)
      : make("span", { class: "hint" }, t("Too long to be kept whole, so there is no curl line."))),
  ].filter(Boolean);
}

/** Fills a place with what a call tells, or with why there is nothing. */
export async function fill(place, path, draw) {
  try {
    place.replaceChildren(...draw(await call("GET", path)));
  } catch (error) {
    place.replaceChildren(make("p", { class: "wrong", role: "alert" }, because(error)));
  }
}
