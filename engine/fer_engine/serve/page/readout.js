// The panel: the chosen face's expressions as bars, what computed them, and how long it took.

const element = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)}%`;
const milliseconds = (time) => `${time < 100 ? time.toFixed(1) : time.toFixed(0)} ms`;

function showBars(labels, face) {
  const list = element("bars");
  while (list.children.length > labels.length) list.lastElementChild.remove();
  while (list.children.length < labels.length) {
    const row = document.createElement("li");
    row.append(...["name", "track", "share"].map((name) => Object.assign(document.createElement("span"), { className: name })));
    row.children[1].append(document.createElement("i"));
    list.append(row);
  }
  labels.forEach((label, at) => {
    const share = face?.probabilities[label];
    const [name, track, text] = list.children[at].children;
    list.children[at].classList.toggle("top", label === face?.label);
    name.textContent = label;
    track.firstElementChild.style.transform = `scaleX(${share ?? 0})`;
    text.textContent = face ? percent(share) : "";
  });
}

/** Show face number `index` of an answer; -1 where it has none. */
export function showFace(answer, index) {
  const face = answer.faces[index];
  if (answer.labels.length) element("readout").dataset.state = face ? "face" : "none";
  const score = face?.score === undefined ? "" : ` · score ${face.score.toFixed(2)}`;
  element("which").textContent = face ? `Face ${index + 1} of ${answer.faces.length}${score}` : "No face chosen";
  ["before", "next"].forEach((id) => {
    element(id).hidden = answer.faces.length < 2;
  });
  element("label").textContent = face ? face.label : "–";
  showBars(answer.labels, face);
}

/** Show which model answered, where, in what time, and what it was sent. */
export function showFacts({ model, milliseconds: times, roundTrip, width, height, bytes }) {
  element("model").textContent = model.name;
  element("precision").textContent = model.precision;
  element("backend").textContent = model.backend;
  element("device").textContent = model.device;
  const { total, ...parts } = times;
  element("total").textContent = milliseconds(total);
  element("parts").textContent = Object.entries(parts).map(([part, time]) => `${part}\u00a0${time.toFixed(1)}`).join(", ");
  element("round-trip").textContent = milliseconds(roundTrip);
  element("sent").textContent = `${width} × ${height}, ${(bytes / 1e6).toFixed(bytes < 1e5 ? 2 : 1)} MB`;
}

/** Forget the times of the last answer: there is none to what is shown now. */
export function clearTimes() {
  ["total", "parts", "round-trip", "sent"].forEach((id) => {
    element(id).textContent = "";
  });
}

/** Show how many frames a second were answered, 0 where that is not known; null hides the row. */
export function showRate(rate) {
  element("rate-row").hidden = rate === null;
  element("rate").textContent = rate ? `${rate.toFixed(rate < 10 ? 1 : 0)} frames/s` : "–";
}
