// The boxes over the image, their tags, and which of the faces is chosen.

import { Choice } from "./choice.js";
import { showFace } from "./readout.js";
import { passes, showScores } from "./score.js";
import { scrollTo } from "./stage.js";
import { placeTags } from "./tags.js";

const group = document.getElementById("boxes");
const ROOM = { above: 28, below: 12 }; // pixels around the image where tags may be
let answer = { faces: [], labels: [] };
const choice = new Choice(group, (index) => choose(index));

const centre = ({ box: [left, top, width, height] }) => [left + width / 2, top + height / 2];

/** Return an answer without the faces that the slider hides. */
const shownOf = (given) => ({ ...given, faces: given.faces.filter(passes) });

/** Return the index of the face that is nearest to `face`: the same person in the next frame. */
function nearest(face, faces) {
  const [x, y] = centre(face);
  const distances = faces.map(centre).map(([left, top]) => Math.hypot(left - x, top - y));
  return distances.indexOf(Math.min(...distances));
}

function place(button, face, index) {
  const [left, top, width, height] = face.box;
  button.style.left = `${(100 * left) / answer.width}%`;
  button.style.top = `${(100 * top) / answer.height}%`;
  button.style.width = `${(100 * width) / answer.width}%`;
  button.style.height = `${(100 * height) / answer.height}%`;
  if (!button.firstElementChild) button.append(Object.assign(document.createElement("span"), { className: "tag" }));
  button.firstElementChild.textContent = face.label;
  // Of the likeliest expression, which an uncertain face's label is not.
  const share = Math.round(100 * Math.max(...Object.values(face.probabilities)));
  button.setAttribute("aria-label", `Face ${index + 1} of ${answer.faces.length}: ${face.label}, ${share}%`);
}

/** Put each tag where it covers nothing; one without such a place is shown when its face is chosen. */
function arrangeTags() {
  const { clientWidth: width, clientHeight: height } = group;
  const scale = { x: width / answer.width, y: height / answer.height };
  const boxes = answer.faces.map(({ box }) => ({
    x: box[0] * scale.x, y: box[1] * scale.y, width: box[2] * scale.x, height: box[3] * scale.y,
  }));
  const tags = choice.buttons.map((button) => button.firstElementChild);
  tags.forEach((tag) => {
    tag.hidden = false;
  });
  const sizes = tags.map(({ offsetWidth, offsetHeight }) => ({ width: offsetWidth, height: offsetHeight }));
  const bounds = { x: 0, y: -ROOM.above, width, height: height + ROOM.above + ROOM.below };
  placeTags(boxes, sizes, bounds, choice.chosen).forEach((found, at) => {
    tags[at].hidden = !found;
    if (!found) return;
    tags[at].style.left = `${found.x - boxes[at].x}px`;
    tags[at].style.top = `${found.y - boxes[at].y}px`;
  });
}

function choose(index, look = true) {
  showFace(answer, index);
  arrangeTags();
  if (look && index >= 0) scrollTo(choice.buttons[index]);
}

/** Show the boxes of an answer; `follow` keeps to the person who was chosen in the last one. */
export function showFaces(given, follow = false) {
  const before = answer.faces[choice.chosen];
  answer = shownOf(given);
  showScores(given);
  choice.resize(answer.faces.length);
  choice.buttons.forEach((button, at) => place(button, answer.faces[at], at));
  const index = answer.faces.length === 0 ? -1 : follow && before ? nearest(before, answer.faces) : 0;
  choice.mark(index);
  choose(index, false);
}

/** Show no face. */
export function clearFaces() {
  showFaces({ ...answer, faces: [] });
}

/** Choose the next face or the one before. */
export function stepFace(by) {
  choice.step(by);
}

/** Say in words what an answer holds. */
export function inWords(given) {
  const { faces } = shownOf(given);
  if (!faces.length) return given.faces.length ? `${given.faces.length} hidden by the slider` : "No face found";
  if (faces.length === 1) return `1 face (${faces[0].label})`;
  const counts = new Map();
  faces.forEach(({ label }) => counts.set(label, (counts.get(label) ?? 0) + 1));
  return `${faces.length} faces (${[...counts].map(([label, number]) => `${number} ${label}`).join(", ")})`;
}

/** Say what a person may do where an answer has no face; "" where it has one. */
export function whatToTry({ faces }) {
  if (faces.length) return "";
  return ". Try a closer or sharper picture with the face upright, or cut out the part that shows it.";
}

new ResizeObserver(arrangeTags).observe(group);
