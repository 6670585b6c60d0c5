// Reads frames of a video file in this browser, each as a JPEG.

import { PredictError } from "./predict.js";

const LONG_SIDE = 1280; // pixels: larger frames are made smaller
const QUALITY = 0.85;
const PATIENCE = 20_000; // milliseconds until a frame is given up
const BEYOND = 1e7; // seconds: after the end of any video

export class FrameReader {
  #file;
  #video = null;
  #canvas = document.createElement("canvas");

  constructor(file) {
    this.#file = file;
  }

  /** Open the file, if it is not open; return its length in seconds. Throws an error for people. */
  async open() {
    if (this.#video) return this.#video.duration;
    const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true, preload: "auto" });
    video.src = URL.createObjectURL(this.#file);
    this.#video = video;
    try {
      await happened(video, "loadeddata");
      if (!Number.isFinite(video.duration)) await this.#seek(BEYOND); // as browsers record: then the length is known
      if (!video.videoWidth || !Number.isFinite(video.duration)) throw new Error("no picture or no length");
    } catch {
      this.close();
      throw new PredictError(
        "This browser cannot play the video.",
        "Save it as MP4 (H.264) or WebM, or let the command fer-predict read the file.",
      );
    }
    const scale = Math.min(1, LONG_SIDE / Math.max(video.videoWidth, video.videoHeight));
    this.#canvas.width = Math.round(video.videoWidth * scale);
    this.#canvas.height = Math.round(video.videoHeight * scale);
    return video.duration;
  }

  /** Return the frame that is shown at a time in seconds. Throws an error for people. */
  async frameAt(time) {
    try {
      await this.#seek(time);
    } catch {
      this.close();
      throw new PredictError(`The video breaks off: nothing can be read at ${time.toFixed(1)} s.`, "The frames before are shown.");
    }
    const { width, height } = this.#canvas;
    this.#canvas.getContext("2d").drawImage(this.#video, 0, 0, width, height);
    return new Promise((resolve) => this.#canvas.toBlob(resolve, "image/jpeg", QUALITY));
  }

  /** Let go of the file's decoder; it may be opened again. */
  close() {
    if (!this.#video) return;
    URL.revokeObjectURL(this.#video.src);
    this.#video.removeAttribute("src");
    this.#video.load();
    this.#video = null;
  }

  async #seek(time) {
    const sought = happened(this.#video, "seeked");
    this.#video.currentTime = time;
    await sought;
  }
}

/** Wait for an event of a video; throws where its file cannot be decoded, or nothing comes in time. */
function happened(video, name) {
  return new Promise((resolve, reject) => {
    const over = new AbortController();
    const end = (done, value) => {
      clearTimeout(timer);
      over.abort();
      done(value);
    };
    const timer = setTimeout(() => end(reject, new Error(`no ${name}`)), PATIENCE);
    video.addEventListener(name, () => end(resolve), { signal: over.signal });
    video.addEventListener("error", () => end(reject, video.error), { signal: over.signal });
  });
}
