// Business time: what it is, and moving it on.

import * as calls from "./calls.js";
import { byId, press, say, write } from "./elements.js";
import { beijing, span } from "./written.js";
import { word } from "./words.js";

let ahead_ms = 0;
let known = false;

export const businessNow = () => Date.now() + ahead_ms;

export async function look() {
  const told = await calls.clock();
  ahead_ms = told.offset_s * 1000;
  known = true;
  draw();
}

export function draw() {
  if (!known) return;
  write(byId("business-time"), beijing(businessNow()));
  write(byId("phone-time"), beijing(businessNow()).slice(11, 16));
  byId("ahead").hidden = ahead_ms === 0;
  write(byId("ahead"), word("ahead", { span: span(ahead_ms / 1000) }));
}

export function start(lookAgain) {
  setInterval(draw, 500);
  byId("moves").addEventListener("click", (event) => {
    const pressed = event.target.closest("button");
    if (!pressed) return;
    press(pressed, byId("said"), async () => {
      await calls.moveClock(Number(pressed.dataset.seconds));
      say(word("moved"));
      await lookAgain();
    });
  });
}
