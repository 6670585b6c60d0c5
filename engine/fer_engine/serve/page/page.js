// The page: photos that are dropped, pasted or chosen, or the camera; one image at a time goes to the server.

import { Camera } from "./camera.js";
import { Choice } from "./choice.js";
import { clearFaces, inWords, showFaces, stepFace } from "./faces.js";
import { predict } from "./predict.js";
import { clearTimes, showFacts, showRate } from "./readout.js";

const PAUSE = 1000; // milliseconds until a camera frame is tried again after an error
const RATE_OVER = 16; // frames of which the rate is shown
const SILENCE = 2000; // milliseconds between updates of the status, which screen readers read aloud

const [stage, frame, image, video, status, again, chooser, cameraButton, files, strip] = [
  "stage", "frame", "photo", "video", "status", "again", "choose", "camera", "files", "strip",
].map((id) => document.getElementById(id));

const photos = []; // { file, url, answer, error }
let shown = null; // the photo on the stage
let session = 0; // counts starts and stops of the camera, so that a late answer knows that it is late
let starting = false; // the browser is asking for the camera
let queue = Promise.resolve();
const camera = new Camera(video, () => stopCamera("The camera was disconnected."));
const thumbnails = new Choice(strip, (index) => showPhoto(photos[index]));

function say(words) {
  if (status.textContent !== words) status.textContent = words;
}

function shape(width, height) {
  frame.style.setProperty("--ratio", width / height);
}

function addPhotos(added) {
  if (!added.length) return say("There was no image in that. Save it as a file first, then drop it here.");
  const fresh = [...added].map((file) => ({ file, url: URL.createObjectURL(file) }));
  photos.push(...fresh);
  showPhoto(fresh[0]);
  fresh.forEach((photo) => {
    queue = queue.then(() => analyse(photo));
  });
}

async function analyse(photo) {
  photo.error = null;
  if (photo === shown) update();
  try {
    photo.answer = await predict(photo.file);
  } catch (error) {
    photo.error = error;
  }
  if (photo === shown) update();
  showThumbnails();
}

function showPhoto(photo) {
  if (camera.running || starting) stopCamera();
  shown = photo;
  frame.hidden = false;
  video.hidden = true;
  image.hidden = false;
  image.src = photo.url;
  image.alt = `Photo ${photo.file.name}`;
  update();
  showThumbnails();
}

/** Show what is known of the photo on the stage. */
function update() {
  const { file, answer, error } = shown;
  stage.dataset.state = error ? "error" : answer ? "shown" : "busy";
  again.hidden = !error?.passing;
  if (!answer || error) {
    clearFaces();
    clearTimes();
    return say(error ? `${file.name}: ${error.message}` : `Looking at ${file.name} …`);
  }
  shape(answer.width, answer.height);
  showFaces(answer);
  showFacts(answer);
  say(`${file.name}: ${inWords(answer)}`);
}

function newThumbnail() {
  const thumbnail = Object.assign(document.createElement("img"), { alt: "" });
  thumbnail.addEventListener("error", () => {
    thumbnail.hidden = true;
  });
  return thumbnail;
}

function showThumbnails() {
  strip.hidden = photos.length < 2;
  thumbnails.resize(photos.length);
  thumbnails.buttons.forEach((button, at) => {
    const { file, url, answer, error } = photos[at];
    if (!button.firstElementChild) button.append(newThumbnail());
    const [thumbnail] = button.children;
    if (thumbnail.src !== url) {
      thumbnail.hidden = false;
      thumbnail.src = url;
    }
    button.dataset.state = error ? "error" : answer ? "shown" : "busy";
    button.setAttribute("aria-label", `${file.name}: ${error?.message ?? (answer ? inWords(answer) : "waiting")}`);
  });
  thumbnails.mark(photos.indexOf(shown));
}

async function startCamera() {
  if (starting) return;
  const mine = ++session;
  starting = true;
  say("Waiting for the camera …");
  try {
    await camera.start();
  } catch (error) {
    if (mine === session) stopCamera(error.message);
    return;
  } finally {
    starting = false;
  }
  if (mine !== session) return camera.stop();
  cameraButton.textContent = "Stop the camera";
  shown = null;
  again.hidden = true;
  showThumbnails();
  clearFaces();
  shape(camera.width, camera.height);
  frame.hidden = false;
  image.hidden = true;
  video.hidden = false;
  stage.dataset.state = "live";
  await watch(mine);
}

/** Send frame after frame, each when the last answer is here, until the camera is stopped. */
async function watch(mine) {
  let answered = [];
  let spoke = 0;
  while (mine === session) {
    try {
      const picture = await camera.frame();
      if (mine !== session) return; // stopped while the frame was read: it must not leave
      const answer = await predict(picture);
      if (mine !== session) return;
      const now = performance.now();
      answered = [...answered, now].slice(-RATE_OVER);
      showFaces(answer, true);
      showFacts(answer);
      showRate(answered.length > 1 ? (1000 * (answered.length - 1)) / (now - answered[0]) : 0);
      if (now - spoke > SILENCE) {
        say(inWords(answer));
        spoke = now;
      }
    } catch (error) {
      if (mine !== session) return;
      clearFaces();
      clearTimes();
      showRate(0);
      answered = [];
      say(`${error.message} Trying again.`);
      spoke = 0;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }
}

function stopCamera(words = "The camera is off.") {
  session += 1;
  camera.stop();
  cameraButton.textContent = "Use the camera";
  showRate(null);
  say(words);
  if (stage.dataset.state !== "live") return;
  clearFaces();
  frame.hidden = true;
  stage.dataset.state = "empty";
}

image.addEventListener("load", () => shape(image.naturalWidth, image.naturalHeight));
image.addEventListener("error", () => {
  image.hidden = true; // the server may read formats that this browser cannot show
  shape(...(shown?.answer ? [shown.answer.width, shown.answer.height] : [4, 3]));
});
again.addEventListener("click", () => {
  const photo = shown;
  queue = queue.then(() => analyse(photo));
  chooser.focus(); // this button goes away
});
chooser.addEventListener("click", () => files.click());
files.addEventListener("change", () => {
  addPhotos(files.files);
  files.value = ""; // the same file may be chosen again
});
cameraButton.addEventListener("click", () => (camera.running ? stopCamera() : startCamera()));
document.addEventListener("paste", (event) => addPhotos(event.clipboardData.files));
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
  addPhotos(event.dataTransfer.files);
});
document.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const elsewhere = event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey;
  if (step && !elsewhere) stepFace(step);
});
