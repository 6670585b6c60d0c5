// The boxes over the image, and which of the faces is chosen.

import { Choice } from "./choice.js";
import { showFace } from "./readout.js";

const group = document.getElementById("boxes");
let answer = { faces: [], labels: [] };
const choice = new Choice(group, (index) => showFace(answer, index));

const centre = ({ box: [left, top, width, height] }) => [left + width / 2, top + height / 2];

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
  button.dataset.label = face.label;
  // Of the likeliest expression, which an uncertain face's label is not.
  const share = Math.round(100 * Math.max(...Object.values(face.probabilities)));
  button.setAttribute("aria-label", `Face ${index + 1} of ${answer.faces.length}: ${face.label}, ${share}%`);
}

/** Show the boxes of an answer; `follow` keeps to the person who was chosen in the last one. */
export function showFaces(next, follow = false) {
  const before = answer.faces[choice.chosen];
  answer = next;
  choice.resize(answer.faces.length);
  choice.buttons.forEach((button, at) => place(button, answer.faces[at], at));
  const index = answer.faces.length === 0 ? -1 : follow && before ? nearest(before, answer.faces) : 0;
  choice.mark(index);
  showFace(answer, index);
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
export function inWords({ faces }) {
  if (!faces.length) return "No face found";
  if (faces.length === 1) return `1 face (${faces[0].label})`;
  const counts = new Map();
  faces.forEach(({ label }) => counts.set(label, (counts.get(label) ?? 0) + 1));
  return `${faces.length} faces (${[...counts].map(([label, count]) => `${count} ${label}`).join(", ")})`;
}
