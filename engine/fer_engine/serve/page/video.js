// A video file that a person gave: read in this browser, its frames answered one by one.

import { inWords } from "./faces.js";
import { FrameReader } from "./frame_reader.js";
import { predict } from "./predict.js";

const STEP = 0.2; // seconds between the frames that are looked at
const MOST = 300; // frames; longer videos are looked at less often
const SUFFIXES = /\.(3gp|avi|m4v|mkv|mov|mp4|mpe?g|mts|ogv|ts|webm|wmv)$/i;

/** Whether a file is a video: by its type, or by its name where the system knows no type. */
export const isVideo = ({ type, name }) => type.startsWith("video/") || (!type && SUFFIXES.test(name));

export class VideoFile {
  error = null;
  frames = []; // { time, url, answer }, seconds and a picture
  duration = 0; // seconds
  step = STEP;
  chosen = 0; // the frame that is shown
  #reader;
  #following = true; // the newest frame is shown, until a person chooses one
  #state = "waiting"; // or "reading", "stopped", "done"

  constructor(file) {
    this.name = file.name;
    this.#reader = new FrameReader(file);
  }

  get state() {
    return this.error ? "error" : this.frames.length ? "shown" : "busy";
  }

  /** The picture that is shown, an address. */
  get url() {
    return this.frames[this.chosen]?.url;
  }

  /** The picture for the row of all photos, an address. */
  get thumbnail() {
    return this.frames[0]?.url;
  }

  /** Whether frames are being answered. */
  get working() {
    return this.#state === "reading" && !this.error && this.frames.length > 0;
  }

  get answer() {
    return this.frames[this.chosen]?.answer ?? null;
  }

  /** What a person may do about the state, as the words of a button; "" for nothing. */
  get action() {
    if (this.error) return this.error.passing ? "Try again" : "";
    return { waiting: "", reading: "Stop", stopped: "Go on", done: "" }[this.#state];
  }

  /** Do what `action` says; return whether the video is to be analysed. */
  act() {
    const stops = this.#state === "reading" && !this.error;
    this.#state = stops ? "stopped" : "waiting";
    this.error = null;
    return !stops;
  }

  /** Show frame number `index`. */
  choose(index) {
    this.chosen = index;
    this.#following = false;
  }

  /** Look at the frames that were not looked at yet; `onChange` is called after each. */
  async analyse(onChange) {
    this.#state = "reading";
    try {
      this.duration = await this.#reader.open();
      this.step = Math.max(STEP, this.duration / MOST);
      while (this.#state === "reading" && this.frames.length < this.total) {
        const time = this.frames.length * this.step;
        const picture = await this.#reader.frameAt(time);
        const answer = await predict(picture);
        this.frames.push({ time, url: URL.createObjectURL(picture), answer: { ...answer, bytes: picture.size } });
        if (this.#following) this.chosen = this.frames.length - 1;
        onChange();
      }
      if (this.#state === "reading") this.#state = "done";
    } catch (error) {
      this.error = error;
    }
    if (this.#state === "done" || this.error) this.#reader.close();
  }

  /** How many frames are looked at. */
  get total() {
    return Math.max(1, Math.ceil(this.duration / this.step - 1e-6));
  }

  /** Say in words what is known; `short` leaves out what to do about it. */
  inWords(short = false) {
    const { length } = this.frames;
    if (this.error) return `${this.name}: ${this.error.message}${short ? "" : ` ${this.error.advice}`}`;
    if (!length) return short ? `${this.name}: waiting` : `Opening ${this.name} …`;
    const every = `one every ${this.step.toFixed(1)} s`;
    if (this.#state === "done") return `${this.name}: ${length} frames, ${every}; ${this.#withFaces()} with faces`;
    return `${this.name}: ${length} of ${this.total} frames, ${every}`;
  }

  /** Say in words what the frame that is shown holds. */
  frameInWords() {
    return this.answer ? inWords(this.answer) : "";
  }

  #withFaces() {
    return this.frames.filter(({ answer }) => answer.faces.length).length;
  }
}
