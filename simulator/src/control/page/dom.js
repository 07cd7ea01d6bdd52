// Elements and their texts. Text from requests and orders is only ever text.

export const byId = (id) => document.getElementById(id);
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Makes an element. Children are elements or text; attributes that are false or absent are left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const write = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

/** Names and values; what has no value is left out. */
export function pairs(rows) {
  const list = make("dl", { class: "pairs" });
  for (const [name, value] of rows) {
    if (value === null || value === undefined || value === "") continue;
    list.append(make("dt", {}, name), make("dd", {}, value instanceof Node ? value : make("code", {}, String(value))));
  }
  return list;
}

/** Gives an element these children. Those that are there already are not touched, nor is the focus in them. */
export function put(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  let place = parent.firstChild;
  for (const child of children) {
    if (child === place) place = place.nextSibling;
    else parent.insertBefore(child, place);
  }
}
