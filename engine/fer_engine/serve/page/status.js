// The line that says what happens, which screen readers read aloud.

const SILENCE = 2000; // milliseconds between lines about progress

const line = document.getElementById("status");
const detail = document.getElementById("detail");
let spoke = -SILENCE;

/** Say something; `small` is what only experts want to know. */
export function say(words, small = "") {
  spoke = performance.now();
  if (line.textContent !== words) line.textContent = words;
  detail.textContent = small && `The server said: ${small}`;
  detail.hidden = !small;
}

/** Say how far something is, which may be left out if something was said just now. */
export function sayProgress(words) {
  if (performance.now() - spoke > SILENCE) say(words);
}
