// The frame on the stage, in the shape of what it shows: a photo, a frame of a video, or the camera.

const LONG = 2.5; // a picture with longer sides than this to one is shown as a strip that scrolls

const [stage, frame, image, video, canvas] = ["stage", "frame", "photo", "video", "live"].map((id) =>
  document.getElementById(id),
);

/** Give the frame the shape of a picture of `width` times `height` pixels. */
export function shape(width, height) {
  const ratio = width / height;
  frame.style.setProperty("--ratio", ratio);
  frame.style.setProperty("--width", `${width}px`);
  const long = ratio > LONG ? "wide" : ratio < 1 / LONG ? "tall" : "";
  if (stage.dataset.long === long) return;
  stage.dataset.long = long;
  if (long) stage.tabIndex = 0; // the arrow keys scroll a long picture
  else stage.removeAttribute("tabindex");
  stage.scrollTo(0, 0);
}

/** Show one of the elements of the frame. */
function show(element) {
  frame.hidden = false;
  [image, video, canvas].forEach((one) => {
    one.hidden = one !== element;
  });
}

/** Show a picture. */
export function showImage(url, words) {
  if (image.src === url && !image.hidden) return;
  show(image);
  image.src = url;
  image.alt = words;
}

/** Show the camera itself, before the first of its frames is answered. */
export function showCamera() {
  show(video);
}

/** Show a frame of the camera that was answered, a canvas. */
export function showFrame(picture) {
  show(canvas);
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  canvas.getContext("2d").drawImage(picture, 0, 0);
}

/** Show nothing. */
export function clearStage() {
  frame.hidden = true;
  shape(4, 3);
}

/** Scroll a long picture so that an element of it is in the middle. The page itself stays where it is. */
export function scrollTo(element) {
  if (!stage.dataset.long) return;
  const box = element.getBoundingClientRect();
  const view = stage.getBoundingClientRect();
  const by = [box.x + box.width / 2 - view.x - view.width / 2, box.y + box.height / 2 - view.y - view.height / 2];
  stage.scrollBy({ left: by[0], top: by[1] });
}

image.addEventListener("load", () => shape(image.naturalWidth, image.naturalHeight));
image.addEventListener("error", () => {
  image.hidden = true; // the server may read formats that this browser cannot show
});
