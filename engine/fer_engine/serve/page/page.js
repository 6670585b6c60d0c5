// The page: photos and videos that are dropped, pasted or chosen, or the camera.

import { Choice } from "./choice.js";
import { clearFaces, showFaces, stepFace } from "./faces.js";
import { Live } from "./live.js";
import { Photo } from "./photo.js";
import { clearTimes, showFacts } from "./readout.js";
import { onScoreChange } from "./score.js";
import { clearStage, shape, showImage } from "./stage.js";
import { say, sayProgress } from "./status.js";
import { Timeline } from "./timeline.js";
import { isVideo, VideoFile } from "./video.js";

const [stage, again, chooser, cameraButton, files, strip] = [
  "stage", "again", "choose", "camera", "files", "strip",
].map((id) => document.getElementById(id));

const items = []; // photos and videos, as they were given
let shown = null; // the one on the stage
const queues = new Map([Photo, VideoFile].map((kind) => [kind, Promise.resolve()]));
const live = new Live(cameraStarted, cameraStopped);
const thumbnails = new Choice(strip, (index) => show(items[index]));
const timeline = new Timeline((index) => {
  shown.choose(index);
  update();
});

function addFiles(added) {
  if (!added.length) return say("There was no file in that. Save the picture as a file first, then drop it here.");
  const fresh = [...added].map((file) => (isVideo(file) ? new VideoFile(file) : new Photo(file)));
  items.push(...fresh);
  show(fresh[0]);
  fresh.forEach(analyse);
}

/** Have a photo answered when those before are, and a video when those before are. */
function analyse(item) {
  const changed = () => {
    if (item === shown) update();
    showThumbnails();
  };
  changed();
  const kind = item.constructor;
  queues.set(kind, queues.get(kind).then(() => item.analyse(changed)).then(changed));
}

function show(item) {
  live.stop();
  shown = item;
  update();
  showThumbnails();
}

/** Show what is known of the item on the stage. */
function update() {
  const { answer, error, url, name } = shown;
  stage.dataset.state = shown.state;
  again.textContent = shown.action;
  again.hidden = !shown.action;
  timeline.show(shown instanceof VideoFile ? shown : null);
  if (shown.working) sayProgress(shown.inWords());
  else say(shown.inWords(), error?.detail);
  if (url) showImage(url, name);
  else clearStage();
  if (!answer) {
    clearFaces();
    return clearTimes();
  }
  shape(answer.width, answer.height);
  showFaces(answer, shown instanceof VideoFile);
  showFacts(answer);
}

function newThumbnail() {
  const thumbnail = Object.assign(document.createElement("img"), { alt: "" });
  thumbnail.addEventListener("error", () => {
    thumbnail.hidden = true;
  });
  return thumbnail;
}

function showThumbnails() {
  strip.hidden = items.length < 2;
  thumbnails.resize(items.length);
  thumbnails.buttons.forEach((button, at) => {
    const { thumbnail: url, state } = items[at];
    if (!button.firstElementChild) button.append(newThumbnail());
    const [thumbnail] = button.children;
    if (url && thumbnail.src !== url) {
      thumbnail.hidden = false;
      thumbnail.src = url;
    }
    button.dataset.state = state;
    button.setAttribute("aria-label", items[at].inWords(true));
  });
  thumbnails.mark(items.indexOf(shown));
}

function cameraStarted() {
  cameraButton.textContent = "Stop the camera";
  shown = null;
  again.hidden = true;
  timeline.show(null);
  showThumbnails();
  stage.dataset.state = "live";
}

function cameraStopped() {
  cameraButton.textContent = "Use the camera";
  if (stage.dataset.state !== "live") return;
  stage.dataset.state = "empty";
  clearFaces();
  clearStage();
}

onScoreChange(() => {
  if (shown) update();
  else if (live.answer) showFaces(live.answer, true);
  showThumbnails();
});
again.addEventListener("click", () => {
  if (shown.act()) analyse(shown);
  else update();
  if (again.hidden) chooser.focus(); // the focus must not get lost with the button
});
chooser.addEventListener("click", () => files.click());
files.addEventListener("change", () => {
  addFiles(files.files);
  files.value = ""; // the same file may be chosen again
});
cameraButton.addEventListener("click", () => (live.running ? live.stop() : live.start()));
document.getElementById("before").addEventListener("click", () => stepFace(-1));
document.getElementById("next").addEventListener("click", () => stepFace(1));
document.addEventListener("paste", (event) => addFiles(event.clipboardData.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  stage.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) stage.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  stage.classList.remove("over");
  addFiles(event.dataTransfer.files);
});
document.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const elsewhere = event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey;
  const busy = event.target.matches("input[type=range]") || (event.target === stage && stage.dataset.long);
  if (step && !elsewhere && !busy) stepFace(step);
});
