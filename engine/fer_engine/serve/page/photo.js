// A photo that a person gave, and what is known of it.

import { inWords, whatToTry } from "./faces.js";
import { predict } from "./predict.js";
import { shrink } from "./shrink.js";

export class Photo {
  answer = null;
  error = null;
  #whole = false; // send the file as it is

  constructor(file) {
    this.name = file.name;
    this.file = file;
    this.url = URL.createObjectURL(file);
  }

  /** The picture for the row of all photos, an address. */
  get thumbnail() {
    return this.url;
  }

  get working() {
    return false; // at something whose progress could be told
  }

  get state() {
    return this.error ? "error" : this.answer ? "shown" : "busy";
  }

  /** What a person may do about the state, as the words of a button; "" for nothing. */
  get action() {
    if (this.error?.passing) return "Try again";
    return this.answer && !this.answer.faces.length && this.answer.smaller ? "Try the full size" : "";
  }

  /** Do what `action` says; return whether the photo is to be analysed. */
  act() {
    this.#whole ||= !this.error;
    this.answer = null;
    this.error = null;
    return true;
  }

  /** Send the photo; large ones are made smaller, unless no face was found in the smaller one. */
  async analyse() {
    try {
      const { blob, smaller } = this.#whole ? { blob: this.file, smaller: false } : await shrink(this.file);
      this.answer = { ...(await predict(blob)), bytes: blob.size, smaller };
    } catch (error) {
      this.error = error;
    }
  }

  /** Say in words what is known; `short` leaves out what to do about it. */
  inWords(short = false) {
    if (this.error) return `${this.name}: ${this.error.message}${short ? "" : ` ${this.error.advice}`}`;
    if (!this.answer) return short ? `${this.name}: waiting` : `Looking at ${this.name} …`;
    return `${this.name}: ${inWords(this.answer)}${short ? "" : whatToTry(this.answer)}`;
  }
}
